"""Messages to send or edit, and conversations to mark as read."""

from collections.abc import Mapping
from typing import Any

from drf_spectacular.utils import extend_schema_serializer
from rest_framework import serializers

from chats.api.inputs.fields import BodyField
from chats.serializers import examples
from chats.serializers.examples import shown_as

# Spellings of older clients: accepted on write, never returned.
ALIASES = {"content": "message_body", "conversation_id": "conversation"}


class AliasesMixin:
    """Accepts the older names where the present ones are missing."""

    def to_internal_value(self, data: Any) -> Any:
        if isinstance(data, Mapping):
            aliased = {new: data[old] for old, new in ALIASES.items() if old in data}
            data = aliased | dict(data)
        return super().to_internal_value(data)


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
