"""The parts of events; ``chats.realtime.kinds`` lists the kinds of events."""

from rest_framework import serializers

from chats.serializers.conversations import ConversationSerializer
from chats.serializers.messages import MessageSerializer
from chats.serializers.rows import shared_fields


class SharedMessageSerializer(MessageSerializer):
    """A message, without the fields that differ by reader."""

    class Meta(MessageSerializer.Meta):
        fields = read_only_fields = shared_fields(MessageSerializer)


class SharedConversationSerializer(ConversationSerializer):
    """A conversation, without the fields that differ by reader."""

    last_message = SharedMessageSerializer(read_only=True, allow_null=True)

    class Meta(ConversationSerializer.Meta):
        fields = read_only_fields = shared_fields(ConversationSerializer)


class EventSerializer(serializers.Serializer):
    """The fields of every event."""

    id = serializers.CharField(help_text="The cursor of this event.")
    type = serializers.CharField()
    conversation_id = serializers.UUIDField()
    created_at = serializers.DateTimeField()
    actor_id = serializers.UUIDField(allow_null=True, help_text="The user who did it.")


class CursorSerializer(serializers.Serializer):
    """How far a user has read in a conversation."""

    user_id = serializers.UUIDField()
    joined_seq = serializers.IntegerField()
    last_read_seq = serializers.IntegerField()
