"""Events, as the schema describes them; they are rendered by ``chats.realtime``."""

from drf_spectacular.utils import PolymorphicProxySerializer, extend_schema_field
from rest_framework import serializers

from chats.models import Event
from chats.serializers import examples
from chats.serializers.conversations import (
    ConversationSerializer,
    ParticipantSerializer,
)
from chats.serializers.examples import shown_as
from chats.serializers.messages import (
    MessageSerializer,
)
from chats.serializers.users import (
    PublicUserSerializer,
)

Type = Event.Type


class SharedMessageSerializer(MessageSerializer):
    """A message as it is the same for every reader."""

    class Meta(MessageSerializer.Meta):
        fields = tuple(f for f in MessageSerializer.Meta.fields if f != "is_read")

    is_read = None


class SharedConversationSerializer(ConversationSerializer):
    """A conversation as it is the same for every participant."""

    last_message = SharedMessageSerializer(read_only=True, allow_null=True)
    last_read_seq = unread_count = can = None

    class Meta(ConversationSerializer.Meta):
        fields = tuple(
            field
            for field in ConversationSerializer.Meta.fields
            if field not in {"last_read_seq", "unread_count", "can"}
        )


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


AnyEvent = PolymorphicProxySerializer(
    component_name="AnyEvent",
    serializers={
        Type.MESSAGE_CREATED.value: MessageEventSerializer,
        Type.MESSAGE_UPDATED.value: MessageEventSerializer,
        Type.MESSAGE_DELETED.value: MessageEventSerializer,
        Type.CONVERSATION_CREATED.value: ConversationEventSerializer,
        Type.CONVERSATION_UPDATED.value: ConversationEventSerializer,
        Type.CONVERSATION_DELETED.value: ConversationDeletedEventSerializer,
        Type.PARTICIPANT_ADDED.value: ParticipantAddedEventSerializer,
        Type.PARTICIPANT_REMOVED.value: ParticipantRemovedEventSerializer,
        Type.READ_UPDATED.value: ReadUpdatedEventSerializer,
    },
    resource_type_field_name="type",
    many=True,
)


@shown_as(examples.EVENT_PAGE)
class EventPageSerializer(serializers.Serializer):
    """A page of events, and the cursor after them."""

    events = serializers.SerializerMethodField()
    cursor = serializers.CharField(help_text="Pass it as `after` to continue.")
    more = serializers.BooleanField(help_text="Whether more events are available.")

    @extend_schema_field(AnyEvent)
    def get_events(self, page: dict) -> list:
        return page["events"]
