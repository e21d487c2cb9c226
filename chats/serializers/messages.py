"""Messages."""

from collections.abc import Mapping
from typing import Any

from drf_spectacular.utils import extend_schema_serializer
from rest_framework import serializers

from chats import rows
from chats.models import Message
from chats.serializers import examples
from chats.serializers.examples import shown_as
from chats.serializers.fields import BodyField
from chats.serializers.users import PublicUserSerializer

# Spellings of older clients: accepted on write, never returned.
ALIASES = {"content": "message_body", "conversation_id": "conversation"}


class AliasesMixin:
    """Accepts the older names where the present ones are missing."""

    def to_internal_value(self, data: Any) -> Any:
        if isinstance(data, Mapping):
            aliased = {new: data[old] for old, new in ALIASES.items() if old in data}
            data = aliased | dict(data)
        return super().to_internal_value(data)


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


@shown_as(examples.SEND, component_name="SendMessage")
class SendSerializer(AliasesMixin, serializers.Serializer):
    """A message to send."""

    conversation = serializers.UUIDField()
    message_body = BodyField()
    client_id = serializers.UUIDField(
        required=False,
        allow_null=True,
        help_text="Made by the client; a retry with the same one stores nothing twice.",
    )


@extend_schema_serializer(component_name="EditMessage")
class MessageEditSerializer(AliasesMixin, serializers.Serializer):
    """What a sender may change."""

    message_body = BodyField()


class MarkConversationSerializer(serializers.Serializer):
    """Which conversation to mark as read."""

    conversation_id = serializers.UUIDField()


@shown_as(examples.MARKED, component_name="MarkedConversation")
class MarkedSerializer(serializers.Serializer):
    """What marking a conversation as read did."""

    conversation_id = serializers.UUIDField()
    last_read_seq = serializers.IntegerField()
    marked = serializers.IntegerField(help_text="How many messages became read.")
    unread_count = serializers.IntegerField()
