"""Conversations and their participants."""

from uuid import UUID

from rest_framework import serializers

from chats.models import Conversation, Message, Participant, rules
from chats.serializers import examples
from chats.serializers.examples import shown_as
from chats.serializers.messages import MessageSerializer
from chats.serializers.participants import ParticipantSerializer, first_participants
from chats.serializers.rows import Part, Row, RowSerializer
from chats.web.sizes import fitting

DETAIL_PARTICIPANTS = 200
DETAIL_MESSAGES = 50


class CapabilitiesSerializer(serializers.Serializer):
    """What the caller may do in a conversation."""

    send = serializers.BooleanField()
    rename = serializers.BooleanField()
    add = serializers.BooleanField()
    remove = serializers.BooleanField(help_text="Remove others; anyone can leave.")
    delete = serializers.BooleanField()


def own_cursor(reader_id: UUID, cursor: int) -> int:
    return cursor


def unread_count(reader_id: UUID, cursor: int, last_seq: int) -> int:
    return last_seq - cursor


def can(reader_id: UUID, cursor: int, owner_id: UUID | None) -> dict[str, bool]:
    return rules.can(rules.Participation(reader_id, owner_id))


def all_participants(ids: list[UUID], reader_id: UUID) -> dict[UUID, list[Row]]:
    """Load the participants of one conversation, if the reader is one of them."""
    [conversation_id] = ids
    seen = Participant.objects.visible_to(reader_id)
    seen = seen.filter(conversation_id=conversation_id)
    found = list(seen.values(*ParticipantSerializer.columns())[:DETAIL_PARTICIPANTS])
    return {conversation_id: found} if found else {}


def newest_messages(ids: list[UUID], reader_id: UUID) -> dict[UUID, list[Row]]:
    """Load the newest messages of one conversation, as many as make a page."""
    [conversation_id] = ids
    seen = Message.objects.visible_to(reader_id)
    seen = seen.filter(conversation_id=conversation_id).order_by("-seq")
    found = seen.values(*MessageSerializer.columns(for_reader=True))
    found = list(found[:DETAIL_MESSAGES])
    return {conversation_id: found[: fitting(found)]}


@shown_as(examples.CONVERSATION)
class ConversationSerializer(RowSerializer):
    """A conversation in a list, with a preview of its participants."""

    owner = serializers.UUIDField(source="owner_id", read_only=True, allow_null=True)
    participants = ParticipantSerializer(many=True, read_only=True)
    last_message = MessageSerializer(read_only=True, allow_null=True)
    last_read_seq = serializers.IntegerField(
        read_only=True, help_text="The caller's read cursor."
    )
    unread_count = serializers.IntegerField(
        read_only=True, help_text="The number of messages the caller has not read."
    )
    can = CapabilitiesSerializer(read_only=True)

    class Meta(RowSerializer.Meta):
        model = Conversation
        fields = (
            "conversation_id",
            "title",
            "owner",
            "participants",
            "participant_count",
            "last_message",
            "last_seq",
            "last_read_seq",
            "unread_count",
            "created_at",
            "updated_at",
            "can",
        )
        read_only_fields = fields
        of_reader = {
            "last_read_seq": (own_cursor,),
            "unread_count": (unread_count, "last_seq"),
            "can": (can, "owner_id"),
        }
        # Without any participants, the reader has left the conversation meanwhile.
        parts = {"participants": Part(first_participants, is_required=True)}


@shown_as(examples.CONVERSATION_DETAIL)
class ConversationDetailSerializer(ConversationSerializer):
    """A conversation with its newest messages, newest first."""

    messages = MessageSerializer(many=True, read_only=True)

    class Meta(ConversationSerializer.Meta):
        fields = (*ConversationSerializer.Meta.fields, "messages")
        parts = {
            "participants": Part(all_participants, is_required=True),
            "messages": Part(newest_messages),
        }
