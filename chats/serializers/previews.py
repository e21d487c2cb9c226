"""The first participants of each of several conversations, however many it has."""

from collections.abc import Iterable
from uuid import UUID

from django.db import models

from chats.db.prepared import Keys, Param, PreparedSQL
from chats.models import Participant, User
from chats.serializers.rows import PARTICIPANT, PUBLIC_USER, Row
from chats.web.sizes import PREVIEW_SIZE

_FIRST = (
    "FROM chats_participant WHERE conversation_id = shown.value"
    f" ORDER BY id LIMIT {PREVIEW_SIZE}"
)
# Each finds its rows by the index participant_joined, and reads no other ones.
_SOURCES = {
    "postgresql": "{ids} CROSS JOIN LATERAL (SELECT * {first}) AS p",
    "sqlite": "{ids} JOIN chats_participant AS p ON p.id IN (SELECT id {first})",
}
_GIVEN = {
    "postgresql": "unnest(%s::uuid[]) AS shown(value)",
    "sqlite": "json_each(%s) AS shown",
}
# Those of them in which somebody takes part, at this very moment, by
# participant_unique. SQLite takes a CROSS JOIN in the order it is written.
_OF_READER = {
    vendor: f"(SELECT given.value FROM {ids.replace('shown', 'given')}"  # noqa: S608
    " CROSS JOIN chats_participant AS mine WHERE mine.user_id = %s"
    " AND mine.conversation_id = given.value) AS shown"
    for vendor, ids in _GIVEN.items()
}
_COLUMNS = ", ".join(
    f"u.{name.removeprefix('user__')}" if name.startswith("user__") else f"p.{name}"
    for name in PARTICIPANT
)


def _prepared(ids: dict[str, str], *params: Param) -> PreparedSQL:
    """Return the statement over the conversations that ``ids`` has, as "shown"."""
    return PreparedSQL(
        sql={
            vendor: f"SELECT {_COLUMNS}"  # noqa: S608 (all of it is here)
            f" FROM {source.format(ids=ids[vendor], first=_FIRST)}"
            " JOIN chats_user AS u ON u.user_id = p.user_id ORDER BY p.id"
            for vendor, source in _SOURCES.items()
        },
        params=[Keys("conversation_ids", models.UUIDField()), *params],
        fields={
            name: Participant._meta.get_field(name)
            for name in PARTICIPANT
            if not name.startswith("user__")
        }
        | {f"user__{name}": User._meta.get_field(name) for name in PUBLIC_USER},
    )


_PREVIEWS = _prepared(_GIVEN)
_PREVIEWS_FOR = _prepared(_OF_READER, Param("reader_id", models.UUIDField()))


def previews(conversation_ids: Iterable[UUID]) -> dict[UUID, list[Row]]:
    """Return rows of the longest-standing participants, by their conversation."""
    return _by_conversation(_PREVIEWS.rows(conversation_ids=conversation_ids))


def previews_for(
    reader_id: UUID, conversation_ids: Iterable[UUID]
) -> dict[UUID, list[Row]]:
    """Return what ``previews`` does, without the conversations that the reader has
    left by now: who joined after them is not for them to know."""
    found = _PREVIEWS_FOR.rows(conversation_ids=conversation_ids, reader_id=reader_id)
    return _by_conversation(found)


def _by_conversation(found: Iterable[Row]) -> dict[UUID, list[Row]]:
    shown: dict[UUID, list[Row]] = {}
    for row in found:
        shown.setdefault(row["conversation_id"], []).append(row)
    return shown
