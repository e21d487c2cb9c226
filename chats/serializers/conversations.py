"""Conversations and their participants."""

from typing import Any

from django.conf import settings
from drf_spectacular.utils import extend_schema_serializer
from rest_framework import serializers

from chats.models import Conversation
from chats.serializers import examples
from chats.serializers.examples import shown_as
from chats.serializers.fields import LinesSerializer
from chats.serializers.messages import MessageSerializer
from chats.serializers.users import PublicUserSerializer


@shown_as(examples.PARTICIPANT)
class ParticipantSerializer(PublicUserSerializer):
    """A person as participant of a conversation."""

    joined_at = serializers.DateTimeField(read_only=True)
    joined_seq = serializers.IntegerField(
        read_only=True, help_text="The conversation's `last_seq` when they joined."
    )
    last_read_seq = serializers.IntegerField(
        read_only=True,
        help_text="Their read cursor, which starts at `joined_seq`. They have read a "
        "message if and only if `joined_seq < seq <= last_read_seq`.",
    )

    class Meta(PublicUserSerializer.Meta):
        fields = (
            *PublicUserSerializer.Meta.fields,
            "joined_at",
            "joined_seq",
            "last_read_seq",
        )
        read_only_fields = fields


class CapabilitiesSerializer(serializers.Serializer):
    """What the caller may do in a conversation."""

    send = serializers.BooleanField()
    rename = serializers.BooleanField()
    add = serializers.BooleanField()
    remove = serializers.BooleanField(help_text="Others; anybody may leave.")
    delete = serializers.BooleanField()


@shown_as(examples.CONVERSATION)
class ConversationSerializer(serializers.ModelSerializer):
    """A conversation in a list, with a preview of its participants."""

    owner = serializers.UUIDField(read_only=True, allow_null=True)
    participants = ParticipantSerializer(many=True, read_only=True)
    last_message = MessageSerializer(read_only=True, allow_null=True)
    last_read_seq = serializers.IntegerField(read_only=True, help_text="Mine.")
    unread_count = serializers.IntegerField(read_only=True, help_text="Mine.")
    can = CapabilitiesSerializer(read_only=True)

    class Meta:
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


@shown_as(examples.CONVERSATION_DETAIL)
class ConversationDetailSerializer(ConversationSerializer):
    """A conversation with its newest messages, newest first."""

    messages = MessageSerializer(many=True, read_only=True)

    class Meta(ConversationSerializer.Meta):
        fields = (*ConversationSerializer.Meta.fields, "messages")


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
