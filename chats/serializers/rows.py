"""From database rows to the API's shapes: one rendering for REST and for events.

A row is a dict as ``QuerySet.values(*FIELDS)`` gives it, or ``row_of(instance)``.
Plain functions over plain rows cost a fraction of nested serializers; the
serializers declare the same fields for the schema, and a test compares the two.
"""

from collections.abc import Iterable
from typing import Any
from uuid import UUID

from django.db.models import Model

from chats.models.rules import capabilities
from chats.models.users import is_online

Row = dict[str, Any]


def prefixed(prefix: str, fields: Iterable[str]) -> tuple[str, ...]:
    return tuple(f"{prefix}__{field}" for field in fields)


PUBLIC_USER = ("user_id", "username", "first_name", "last_name", "role", "last_seen_at")
USER = (*PUBLIC_USER, "email", "phone_number", "created_at", "updated_at")
PARTICIPANT = (
    "id",  # the page's key: the order of joining
    "conversation_id",
    "joined_at",
    "joined_seq",
    "last_read_seq",
    *prefixed("user", PUBLIC_USER),
)
MESSAGE = (
    "message_id",
    "conversation_id",
    "seq",
    "message_body",
    "sent_at",
    "edited_at",
    "deleted_at",
    "client_id",
    *prefixed("sender", PUBLIC_USER),
)
CONVERSATION = (
    "conversation_id",
    "title",
    "owner_id",
    "participant_count",
    "last_message_id",
    "last_seq",
    "created_at",
    "updated_at",
    *prefixed("last_message", MESSAGE),
)


def row_of(instance: Model, fields: Iterable[str]) -> Row:
    """Return the row of an instance whose related objects are loaded."""
    row = {}
    for field in fields:
        value: Any = instance
        for name in field.split("__"):
            value = getattr(value, name)
        row[field] = value
    return row


def public_user(row: Row, at: str = "") -> Row:
    """What everybody signed in may know of a person; ``at`` is a field prefix."""
    last_seen_at = row[f"{at}last_seen_at"]
    return {
        "user_id": row[f"{at}user_id"],
        "username": row[f"{at}username"],
        "first_name": row[f"{at}first_name"],
        "last_name": row[f"{at}last_name"],
        "role": row[f"{at}role"],
        "is_online": is_online(last_seen_at),
        "last_seen_at": last_seen_at,
    }


def private_user(row: Row) -> Row:
    """What the person and role-admins may know besides."""
    return public_user(row) | {
        "email": row["email"],
        "phone_number": row["phone_number"],
        "created_at": row["created_at"],
        "updated_at": row["updated_at"],
    }


class People:
    """The public part of people, each rendered once in an answer."""

    def __init__(self) -> None:
        self._rendered: dict[str, Row] = {}

    def of(self, row: Row, at: str) -> Row:
        """Return what ``public_user`` does, the same dict for the same person."""
        name = row[f"{at}username"]  # as unique as the id, and hashed far faster
        person = self._rendered.get(name)
        if person is None:
            person = self._rendered[name] = public_user(row, at)
        return person


def participant(row: Row, people: People | None = None) -> Row:
    return {
        **(people or People()).of(row, "user__"),
        "joined_at": row["joined_at"],
        "joined_seq": row["joined_seq"],
        "last_read_seq": row["last_read_seq"],
    }


def message(row: Row, at: str = "", people: People | None = None) -> Row:
    """A message as it is the same for every reader."""
    return {
        "message_id": row[f"{at}message_id"],
        "conversation": row[f"{at}conversation_id"],
        "sender": (people or People()).of(row, f"{at}sender__"),
        "seq": row[f"{at}seq"],
        "message_body": row[f"{at}message_body"],
        "sent_at": row[f"{at}sent_at"],
        "edited_at": row[f"{at}edited_at"],
        "deleted_at": row[f"{at}deleted_at"],
        "client_id": row[f"{at}client_id"],
    }


def message_for(
    reader_id: UUID,
    last_read_seq: int | None,
    row: Row,
    at: str = "",
    people: People | None = None,
) -> Row:
    """A message as one reader sees it: with ``is_read``, always true for one's own."""
    rendered = message(row, at, people)
    rendered["is_read"] = rendered["sender"]["user_id"] == reader_id or rendered[
        "seq"
    ] <= (last_read_seq or 0)
    return rendered


def messages_for(reader_id: UUID, found: Iterable[Row]) -> list[Row]:
    """Messages as one reader sees them, each row with their ``last_read_seq``."""
    people = People()
    return [
        message_for(reader_id, row["last_read_seq"], row, people=people)
        for row in found
    ]


def conversation(
    row: Row, participants: Iterable[Row], people: People | None = None
) -> Row:
    """A conversation as it is the same for every participant.

    ``participants`` are rows of those to show, the longest-standing first.
    """
    people = people or People()
    has_message = row["last_message_id"] is not None
    return {
        "conversation_id": row["conversation_id"],
        "title": row["title"],
        "owner": row["owner_id"],
        "participants": [participant(item, people) for item in participants],
        "participant_count": row["participant_count"],
        "last_message": message(row, "last_message__", people) if has_message else None,
        "last_seq": row["last_seq"],
        "created_at": row["created_at"],
        "updated_at": row["updated_at"],
    }


def conversation_for(
    reader_id: UUID,
    row: Row,
    participants: Iterable[Row],
    people: People | None = None,
) -> Row:
    """A conversation as one participant sees it, ``last_read_seq`` being theirs."""
    rendered = conversation(row, participants, people)
    cursor, last = row["last_read_seq"], rendered["last_message"]
    if last:
        is_own = last["sender"]["user_id"] == reader_id
        last["is_read"] = is_own or last["seq"] <= cursor
    rendered["last_read_seq"] = cursor
    rendered["unread_count"] = row["last_seq"] - cursor
    rendered["can"] = capabilities(row["owner_id"], reader_id)
    return rendered


def conversations_for(
    reader_id: UUID, found: Iterable[Row], shown: dict[UUID, list[Row]]
) -> list[Row]:
    """Conversations as one participant sees them, ``shown`` of each by its id; those
    of which nobody is shown, the reader having left them by now, are left out."""
    people = People()
    return [
        conversation_for(reader_id, row, shown[row["conversation_id"]], people)
        for row in found
        if row["conversation_id"] in shown
    ]
