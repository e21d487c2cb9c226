"""Conversations and their participants."""

from rest_framework import serializers

from chats.models import Conversation
from chats.serializers import examples
from chats.serializers.examples import shown_as
from chats.serializers.messages import (
    MessageSerializer,
)
from chats.serializers.users import (
    PublicUserSerializer,
)


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
    remove = serializers.BooleanField(help_text="Remove others; anyone can leave.")
    delete = serializers.BooleanField()


@shown_as(examples.CONVERSATION)
class ConversationSerializer(serializers.ModelSerializer):
    """A conversation in a list, with a preview of its participants."""

    owner = serializers.UUIDField(read_only=True, allow_null=True)
    participants = ParticipantSerializer(many=True, read_only=True)
    last_message = MessageSerializer(read_only=True, allow_null=True)
    last_read_seq = serializers.IntegerField(
        read_only=True, help_text="The caller's read cursor."
    )
    unread_count = serializers.IntegerField(
        read_only=True, help_text="The number of messages the caller has not read."
    )
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
