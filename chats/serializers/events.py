"""What events look like; ``chats.realtime.kinds`` says which there are."""

from rest_framework import serializers

from chats.models import Event
from chats.serializers.conversations import ConversationSerializer
from chats.serializers.messages import MessageSerializer
from chats.serializers.participants import ParticipantSerializer
from chats.serializers.rows import shared_fields
from chats.serializers.users import PublicUserSerializer

Type = Event.Type


class SharedMessageSerializer(MessageSerializer):
    """A message as it is the same for every reader."""

    class Meta(MessageSerializer.Meta):
        fields = read_only_fields = shared_fields(MessageSerializer)


class SharedConversationSerializer(ConversationSerializer):
    """A conversation as it is the same for every participant."""

    last_message = SharedMessageSerializer(read_only=True, allow_null=True)

    class Meta(ConversationSerializer.Meta):
        fields = read_only_fields = shared_fields(ConversationSerializer)


class EventSerializer(serializers.Serializer):
    """What every event has."""

    id = serializers.CharField(help_text="The cursor of this event.")
    type = serializers.CharField()
    conversation_id = serializers.UUIDField()
    created_at = serializers.DateTimeField()
    actor_id = serializers.UUIDField(allow_null=True, help_text="The user who did it.")


class MessageEventSerializer(EventSerializer):
    """A message was sent, edited or deleted."""

    type = serializers.ChoiceField(
        [
            Type.MESSAGE_CREATED.value,
            Type.MESSAGE_UPDATED.value,
            Type.MESSAGE_DELETED.value,
        ]
    )
    message = SharedMessageSerializer()


class ConversationEventSerializer(EventSerializer):
    """A conversation was started, renamed or given another owner."""

    type = serializers.ChoiceField(
        [Type.CONVERSATION_CREATED.value, Type.CONVERSATION_UPDATED.value]
    )
    conversation = SharedConversationSerializer()


class ConversationDeletedEventSerializer(EventSerializer):
    """A conversation was deleted, with its messages."""

    type = serializers.ChoiceField([Type.CONVERSATION_DELETED.value])


class ParticipantAddedEventSerializer(EventSerializer):
    """A participant joined."""

    type = serializers.ChoiceField([Type.PARTICIPANT_ADDED.value])
    participant = ParticipantSerializer()
    conversation = SharedConversationSerializer()


class ParticipantRemovedEventSerializer(EventSerializer):
    """A participant left or was removed; it is the last event they receive."""

    type = serializers.ChoiceField([Type.PARTICIPANT_REMOVED.value])
    participant = PublicUserSerializer()


class ReadUpdatedEventSerializer(EventSerializer):
    """A participant's read cursor moved."""

    type = serializers.ChoiceField([Type.READ_UPDATED.value])
    user_id = serializers.UUIDField()
    joined_seq = serializers.IntegerField()
    last_read_seq = serializers.IntegerField()
