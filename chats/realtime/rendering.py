"""From events to what readers get: the rows as they are now, rendered once for all.

The shapes are those of the REST routes, less what differs by reader.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Any
from uuid import UUID

from django.db.models import UUIDField

from chats.db.prepared import Param, Prepared
from chats.models import Conversation, Event, Message, Participant, User
from chats.realtime import cursors
from chats.serializers import rows
from chats.serializers.previews import previews
from chats.web.encoding import to_json

Payload = dict[str, Any]
Type = Event.Type
OF_MESSAGES = {Type.MESSAGE_CREATED, Type.MESSAGE_UPDATED, Type.MESSAGE_DELETED}
OF_CONVERSATIONS = {
    Type.CONVERSATION_CREATED,
    Type.CONVERSATION_UPDATED,
    Type.PARTICIPANT_ADDED,
}
OF_PARTICIPANTS = {Type.PARTICIPANT_ADDED, Type.READ_UPDATED}


def render(events: Sequence[Event]) -> list[Payload | None]:
    """Return the payload of each event, in at most five queries for all of them.

    None where the rows are gone: a message of a conversation deleted since, a
    participant who left since. The event that says so follows later in the log.
    """
    sources = Sources(events)
    return [_payload(event, sources) for event in events]


class Sources:
    """The rows that some events speak of, as they are now, each kind in one query."""

    def __init__(self, events: Iterable[Event]):
        messages = {e.message_id for e in events if e.type in OF_MESSAGES}
        conversations = {
            e.conversation_id for e in events if e.type in OF_CONVERSATIONS
        }
        users = {e.user_id for e in events if e.type == Type.PARTICIPANT_REMOVED}
        pairs = {
            (e.conversation_id, e.user_id) for e in events if e.type in OF_PARTICIPANTS
        }
        self.messages = _messages(messages)
        self.conversations = _by_key(
            Conversation.objects.kept(),
            "conversation_id",
            conversations,
            rows.CONVERSATION,
        )
        self.previews = previews(self.conversations) if self.conversations else {}
        self.users = _by_key(User.objects, "user_id", users, rows.PUBLIC_USER)
        self.participants = _participants(pairs)


def _messages(ids: set[UUID]) -> dict[UUID, rows.Row]:
    if len(ids) != 1:
        return _by_key(Message.objects.kept(), "message_id", ids, rows.MESSAGE)
    # As for nearly every event, since it is rendered as soon as it is committed.
    return {row["message_id"]: row for row in _MESSAGE.rows(message_id=min(ids))}


_MESSAGE = Prepared(
    lambda: (
        Message.objects.kept()
        .filter(pk=Param("message_id", UUIDField()))
        .values(*rows.MESSAGE)
        .order_by()
    )
)


def _by_key(present, key: str, values: set, fields: tuple[str, ...]) -> dict:
    if not values:
        return {}
    found = present.filter(**{f"{key}__in": values}).values(*fields)
    return {row[key]: row for row in found.order_by()}


def _participants(pairs: set[tuple[UUID, UUID]]) -> dict[tuple[UUID, UUID], rows.Row]:
    if not pairs:
        return {}
    found = Participant.objects.filter(
        conversation_id__in={pair[0] for pair in pairs},
        user_id__in={pair[1] for pair in pairs},
    ).values(*rows.PARTICIPANT)
    return {(row["conversation_id"], row["user__user_id"]): row for row in found}


def _payload(event: Event, sources: Sources) -> Payload | None:
    subject = _SUBJECTS[event.type](event, sources)
    if subject is None:
        return None
    return {
        "id": cursors.encode(event.pk),
        "type": event.type,
        "conversation_id": event.conversation_id,
        "created_at": event.created_at,
        "actor_id": event.actor_id,
        **subject,
    }


def _message(event: Event, sources: Sources) -> Payload | None:
    row = sources.messages.get(event.message_id)
    return row and {"message": rows.message(row)}


def _conversation(event: Event, sources: Sources) -> Payload | None:
    row = sources.conversations.get(event.conversation_id)
    shown = sources.previews.get(event.conversation_id, [])
    return row and {"conversation": rows.conversation(row, shown)}


def _participant_added(event: Event, sources: Sources) -> Payload | None:
    row = sources.participants.get((event.conversation_id, event.user_id))
    conversation = _conversation(event, sources)
    if row is None or conversation is None:
        return None
    return {"participant": rows.participant(row), **conversation}


def _participant_removed(event: Event, sources: Sources) -> Payload | None:
    row = sources.users.get(event.user_id)
    return row and {"participant": rows.public_user(row)}


def _read_updated(event: Event, sources: Sources) -> Payload | None:
    row = sources.participants.get((event.conversation_id, event.user_id))
    return row and {
        "user_id": event.user_id,
        "joined_seq": row["joined_seq"],
        "last_read_seq": row["last_read_seq"],
    }


_SUBJECTS: dict[str, Callable[[Event, Sources], Payload | None]] = {
    Type.MESSAGE_CREATED: _message,
    Type.MESSAGE_UPDATED: _message,
    Type.MESSAGE_DELETED: _message,
    Type.CONVERSATION_CREATED: _conversation,
    Type.CONVERSATION_UPDATED: _conversation,
    Type.CONVERSATION_DELETED: lambda event, sources: {},
    Type.PARTICIPANT_ADDED: _participant_added,
    Type.PARTICIPANT_REMOVED: _participant_removed,
    Type.READ_UPDATED: _read_updated,
}


def frame(event_type: str, data: Payload, event_id: str = "") -> bytes:
    """Return one Server-Sent Event (HTML standard, 9.2.6); JSON has no line breaks.

    There is no block without data: some clients pass every block on as a message.
    """
    head = f"id: {event_id}\n" if event_id else ""
    return f"{head}event: {event_type}\ndata: ".encode() + to_json(data) + b"\n\n"


def event_frame(payload: Payload) -> bytes:
    """Return the frame of a stored event, whose id is the cursor."""
    return frame(payload["type"], payload, payload["id"])
