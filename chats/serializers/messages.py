"""Messages."""

from uuid import UUID

from rest_framework import serializers

from chats.models import Message
from chats.serializers import examples
from chats.serializers.examples import shown_as
from chats.serializers.rows import RowSerializer
from chats.serializers.users import PublicUserSerializer


def is_read(reader_id: UUID, cursor: int | None, sender_id: UUID, seq: int) -> bool:
    """Return whether the reader has read a message; their own always count as read."""
    return sender_id == reader_id or seq <= (cursor or 0)


@shown_as(examples.MESSAGE)
class MessageSerializer(RowSerializer):
    """A message, as the caller sees it."""

    conversation = serializers.UUIDField(source="conversation_id", read_only=True)
    sender = PublicUserSerializer(read_only=True)
    is_read = serializers.BooleanField(
        read_only=True, help_text="Whether the caller has read it."
    )

    class Meta(RowSerializer.Meta):
        model = Message
        fields = (
            "message_id",
            "conversation",
            "sender",
            "seq",
            "message_body",
            "sent_at",
            "edited_at",
            "deleted_at",
            "is_read",
            "client_id",
        )
        read_only_fields = fields
        of_reader = {"is_read": (is_read, "sender__user_id", "seq")}


@shown_as(examples.MARKED, component_name="MarkedConversation")
class MarkedSerializer(serializers.Serializer):
    """The result of marking a conversation as read."""

    conversation_id = serializers.UUIDField()
    last_read_seq = serializers.IntegerField()
    marked = serializers.IntegerField(help_text="The number of newly read messages.")
    unread_count = serializers.IntegerField()
