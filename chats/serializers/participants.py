"""Participants, and the previews of them in lists of conversations."""

from uuid import UUID

from django.db import models
from rest_framework import serializers

from chats.db.prepared import Keys, Param, PreparedSQL
from chats.models import Participant, User
from chats.serializers import examples
from chats.serializers.examples import shown_as
from chats.serializers.rows import Row, RowSerializer
from chats.serializers.users import PublicUserSerializer
from chats.web.sizes import PREVIEW_SIZE


@shown_as(examples.PARTICIPANT)
class ParticipantSerializer(PublicUserSerializer):
    """A user as a participant of a conversation."""

    joined_at = serializers.DateTimeField(read_only=True)
    joined_seq = serializers.IntegerField(
        read_only=True, help_text="The conversation's `last_seq` when they joined."
    )
    last_read_seq = serializers.IntegerField(
        read_only=True,
        help_text="Their read cursor, which starts at `joined_seq`. They have read a "
        "message if and only if `joined_seq < seq <= last_read_seq`.",
    )

    class Meta(RowSerializer.Meta):
        model = Participant
        fields = (
            *PublicUserSerializer.Meta.fields,
            "joined_at",
            "joined_seq",
            "last_read_seq",
        )
        read_only_fields = fields
        base = "user"
        keys = ("id", "conversation_id")  # for the order, and for previews


_FIRST = (
    "FROM chats_participant WHERE conversation_id = shown.value"
    f" ORDER BY id LIMIT {PREVIEW_SIZE}"
)
# Each finds its rows by the index participant_joined, and reads no other rows.
_SOURCES = {
    "postgresql": "{ids} CROSS JOIN LATERAL (SELECT * {first}) AS p",
    "sqlite": "{ids} JOIN chats_participant AS p ON p.id IN (SELECT id {first})",
}
_GIVEN = {
    "postgresql": "unnest(%s::uuid[]) AS shown(value)",
    "sqlite": "json_each(%s) AS shown",
}
# Of the given conversations, those in which the reader takes part at this moment, by
# participant_unique. SQLite runs a CROSS JOIN in its written order.
_OF_READER = {
    vendor: f"(SELECT given.value FROM {ids.replace('shown', 'given')}"  # noqa: S608
    " CROSS JOIN chats_participant AS mine WHERE mine.user_id = %s"
    " AND mine.conversation_id = given.value) AS shown"
    for vendor, ids in _GIVEN.items()
}


def _prepared(ids: dict[str, str], *params: Param) -> PreparedSQL:
    """Return the statement for the conversations that the SQL ``ids`` calls "shown"."""
    fields, columns = {}, []
    for name in ParticipantSerializer.columns():
        column = name.removeprefix("user__")
        model, table = (Participant, "p") if column == name else (User, "u")
        fields[name] = model._meta.get_field(column)
        columns.append(f"{table}.{fields[name].column}")
    return PreparedSQL(
        sql={
            vendor: f"SELECT {', '.join(columns)}"  # noqa: S608 (all of it is here)
            f" FROM {source.format(ids=ids[vendor], first=_FIRST)}"
            " JOIN chats_user AS u ON u.user_id = p.user_id ORDER BY p.id"
            for vendor, source in _SOURCES.items()
        },
        params=[Keys("conversation_ids", models.UUIDField()), *params],
        fields=fields,
    )


_PREVIEWS = _prepared(_GIVEN)
_PREVIEWS_OF_READER = _prepared(_OF_READER, Param("reader_id", models.UUIDField()))


def first_participants(
    conversation_ids: list[UUID], reader_id: UUID | None = None
) -> dict[UUID, list[Row]]:
    """Return the first participants of each conversation, in order of joining.

    With a reader, conversations that they have left meanwhile are omitted: they must
    not see who joined after that.
    """
    if reader_id is None:
        found = _PREVIEWS.rows(conversation_ids=conversation_ids)
    else:
        found = _PREVIEWS_OF_READER.rows(
            conversation_ids=conversation_ids, reader_id=reader_id
        )
    shown: dict[UUID, list[Row]] = {}
    for row in found:
        shown.setdefault(row["conversation_id"], []).append(row)
    return shown
