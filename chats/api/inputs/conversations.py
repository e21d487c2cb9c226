"""Conversations to start or rename, and participants to add or remove."""

from typing import Any

from django.conf import settings
from drf_spectacular.utils import extend_schema_serializer
from rest_framework import serializers

from chats.api.inputs.fields import LinesSerializer
from chats.models import Conversation
from chats.serializers import examples
from chats.serializers.examples import shown_as


class IdsField(serializers.ListField):
    """UUIDs. Its errors are a flat list as any field's, naming the items at fault."""

    child = serializers.UUIDField()

    def to_internal_value(self, data: Any) -> list:
        """Refuse a list that can only be too long before looking at its items."""
        if isinstance(data, list) and len(data) > settings.MAX_PARTICIPANTS:
            most = settings.MAX_PARTICIPANTS
            raise serializers.ValidationError(
                f"A conversation has at most {most} participants.", code="max_length"
            )
        return super().to_internal_value(data)

    def run_child_validation(self, data: list) -> list:
        try:
            return super().run_child_validation(data)
        except serializers.ValidationError as error:
            raise serializers.ValidationError(
                [f"Item {at}: {why[0]}" for at, why in error.detail.items()]
            ) from error


@shown_as(examples.START)
class StartConversationSerializer(LinesSerializer):
    """A new conversation; the caller always takes part."""

    participant_ids = IdsField()
    client_id = serializers.UUIDField(
        required=False,
        allow_null=True,
        help_text="Made by the client; a retry with the same one starts nothing twice.",
    )

    class Meta:
        model = Conversation
        fields = ("participant_ids", "title", "client_id")


@extend_schema_serializer(component_name="RenameConversation")
class RenameSerializer(LinesSerializer):
    """Another title; empty is allowed."""

    class Meta:
        model = Conversation
        fields = ("title",)
        extra_kwargs = {"title": {"required": True}}


class ParticipantIdSerializer(serializers.Serializer):
    """Whom to add or remove."""

    user_id = serializers.UUIDField()
