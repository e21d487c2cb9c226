"""The first participants of each of several conversations, however many it has."""

from collections.abc import Iterable
from uuid import UUID

from django.db import models

from chats.models import Participant, User
from chats.prepared import Keys, PreparedSQL
from chats.rows import PARTICIPANT, PUBLIC_USER, Row

PREVIEW_SIZE = 10  # participants shown of a conversation in a list or an event

_FIRST = (
    "FROM chats_participant WHERE conversation_id = shown.value"
    f" ORDER BY id LIMIT {PREVIEW_SIZE}"
)
# Each finds its rows by the index participant_joined, and reads no other ones.
_SOURCES = {
    "postgresql": "unnest(%s::uuid[]) AS shown(value)"
    f" CROSS JOIN LATERAL (SELECT * {_FIRST}) AS p",
    "sqlite": "json_each(%s) AS shown"
    f" JOIN chats_participant AS p ON p.id IN (SELECT id {_FIRST})",
}
_COLUMNS = ", ".join(
    f"u.{name.removeprefix('user__')}" if name.startswith("user__") else f"p.{name}"
    for name in PARTICIPANT
)
_PREVIEWS = PreparedSQL(
    sql={
        vendor: f"SELECT {_COLUMNS} FROM {source}"  # noqa: S608 (all of it is here)
        " JOIN chats_user AS u ON u.user_id = p.user_id ORDER BY p.id"
        for vendor, source in _SOURCES.items()
    },
    params=[Keys("conversation_ids", models.UUIDField())],
    fields={
        name: Participant._meta.get_field(name)
        for name in PARTICIPANT
        if not name.startswith("user__")
    }
    | {f"user__{name}": User._meta.get_field(name) for name in PUBLIC_USER},
)


def previews(conversation_ids: Iterable[UUID]) -> dict[UUID, list[Row]]:
    """Return rows of the longest-standing participants, by their conversation."""
    shown: dict[UUID, list[Row]] = {}
    for row in _PREVIEWS.rows(conversation_ids=conversation_ids):
        shown.setdefault(row["conversation_id"], []).append(row)
    return shown
