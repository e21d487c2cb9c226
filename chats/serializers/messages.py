"""Messages."""

from rest_framework import serializers

from chats.models import Message
from chats.serializers import examples, rows
from chats.serializers.examples import shown_as
from chats.serializers.users import (
    PublicUserSerializer,
)


@shown_as(examples.MESSAGE)
class MessageSerializer(serializers.ModelSerializer):
    """A message, as the caller sees it."""

    conversation = serializers.UUIDField(read_only=True)
    sender = PublicUserSerializer(read_only=True)
    is_read = serializers.BooleanField(
        read_only=True, help_text="Whether the caller has read it."
    )

    class Meta:
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

    def to_representation(self, instance: rows.Row) -> rows.Row:
        """Take a row of ``rows.MESSAGE`` with ``last_read_seq``."""
        reader_id = self.context["request"].user.pk
        return rows.message_for(reader_id, instance["last_read_seq"], instance)


@shown_as(examples.MARKED, component_name="MarkedConversation")
class MarkedSerializer(serializers.Serializer):
    """The result of marking a conversation as read."""

    conversation_id = serializers.UUIDField()
    last_read_seq = serializers.IntegerField()
    marked = serializers.IntegerField(help_text="The number of newly read messages.")
    unread_count = serializers.IntegerField()
