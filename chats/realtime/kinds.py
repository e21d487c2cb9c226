"""The kinds of events: the rows in the payload of each, and their rendering.

A new type needs a member of ``Event.Type`` and an entry in ``_ALL``, or a place in one.
"""

from collections.abc import Callable, Hashable
from copy import deepcopy
from typing import NamedTuple
from uuid import UUID

from django.db.models import QuerySet, UUIDField
from drf_spectacular.utils import PolymorphicProxySerializer
from rest_framework.serializers import ChoiceField, Serializer

from chats.db.prepared import Param, Prepared
from chats.models import Conversation, Event, Message, Participant, User
from chats.serializers.conversations import ConversationSerializer
from chats.serializers.events import (
    CursorSerializer,
    EventSerializer,
    SharedConversationSerializer,
    SharedMessageSerializer,
)
from chats.serializers.messages import MessageSerializer
from chats.serializers.participants import ParticipantSerializer
from chats.serializers.rows import Row, RowSerializer
from chats.serializers.users import PublicUserSerializer

Type = Event.Type


# Takes keys; returns the rendered row of each, as for all readers, by one query.
Load = Callable[[set], dict[Hashable, Row]]


class Subject(NamedTuple):
    """A row that events show; all rows of a batch of events are loaded at once."""

    key_of: Callable[[Event], Hashable]
    load: Load
    shape: type[Serializer]  # for the schema
    show: Callable[[Row], Row] = lambda row: row  # the part that the payload has


class Kind(NamedTuple):
    """Event types with the same payload; ``name`` and ``about`` are for the schema.

    ``subjects`` are the payload's fields in addition to those of every event, by name;
    a subject under "" is merged into the payload. If the row of a subject is gone, the
    event is not shown. Events of a private kind reach only the user in ``user_id``.
    """

    name: str
    about: str
    types: tuple[Type, ...]
    subjects: dict[str, Subject]
    is_private: bool = False

    def shape(self) -> type[EventSerializer]:
        """Return the serializer of the payload, for the schema."""
        fields = {"type": ChoiceField([each.value for each in self.types])}
        for name, subject in self.subjects.items():
            own = {name: subject.shape()} if name else subject.shape().fields
            fields |= {field: deepcopy(value) for field, value in own.items()}
        named = {"__doc__": self.about, "__module__": __name__}
        return type(f"{self.name}Serializer", (EventSerializer,), named | fields)


# --- Subjects -------------------------------------------------------------------


def _rendered(serializer: type[RowSerializer], rows: QuerySet, key: str) -> dict:
    found = list(rows.values(*serializer.columns()).order_by())
    keys = [row[key] for row in found]
    return dict(zip(keys, serializer.render(found), strict=True))


def _messages(ids: set[UUID]) -> dict[UUID, Row]:
    if len(ids) != 1:
        kept = Message.objects.kept().filter(pk__in=ids)
        return _rendered(MessageSerializer, kept, "message_id")
    # The usual case, because events are rendered as soon as they are committed.
    shown = MessageSerializer.render(_MESSAGE.rows(message_id=min(ids)))
    return {message["message_id"]: message for message in shown}


_MESSAGE = Prepared(
    lambda: (
        Message.objects.kept()
        .filter(pk=Param("message_id", UUIDField()))
        .values(*MessageSerializer.columns())
        .order_by()
    )
)


def _conversations(ids: set[UUID]) -> dict[UUID, Row]:
    kept = Conversation.objects.kept().filter(pk__in=ids)
    return _rendered(ConversationSerializer, kept, "conversation_id")


def _users(ids: set[UUID]) -> dict[UUID, Row]:
    return _rendered(PublicUserSerializer, User.objects.filter(pk__in=ids), "user_id")


def _participants(pairs: set[tuple[UUID, UUID]]) -> dict[tuple[UUID, UUID], Row]:
    conversation_ids, user_ids = zip(*pairs, strict=True)
    found = Participant.objects.filter(
        conversation_id__in=set(conversation_ids), user_id__in=set(user_ids)
    )
    found = list(found.values(*ParticipantSerializer.columns()))
    keys = [(row["conversation_id"], row["user__user_id"]) for row in found]
    return dict(zip(keys, ParticipantSerializer.render(found), strict=True))


def _cursor(participant: Row) -> Row:
    return {
        name: participant[name] for name in ("user_id", "joined_seq", "last_read_seq")
    }


def _pair_of(event: Event) -> tuple[UUID, UUID]:
    return event.conversation_id, event.user_id


def _message_id(event: Event) -> UUID:
    return event.message_id


def _conversation_id(event: Event) -> UUID:
    return event.conversation_id


def _user_id(event: Event) -> UUID:
    return event.user_id


MESSAGE = Subject(_message_id, _messages, SharedMessageSerializer)
CONVERSATION = Subject(_conversation_id, _conversations, SharedConversationSerializer)
PARTICIPANT = Subject(_pair_of, _participants, ParticipantSerializer)
USER = Subject(_user_id, _users, PublicUserSerializer)
CURSOR = Subject(_pair_of, _participants, CursorSerializer, show=_cursor)

# --- Kinds ----------------------------------------------------------------------

_ALL = (
    Kind(
        "MessageEvent",
        "A message was sent, edited or deleted.",
        (Type.MESSAGE_CREATED, Type.MESSAGE_UPDATED, Type.MESSAGE_DELETED),
        {"message": MESSAGE},
    ),
    Kind(
        "ConversationEvent",
        "A conversation was started, renamed or given another owner.",
        (Type.CONVERSATION_CREATED, Type.CONVERSATION_UPDATED),
        {"conversation": CONVERSATION},
    ),
    Kind(
        "ConversationDeletedEvent",
        "A conversation was deleted, with its messages.",
        (Type.CONVERSATION_DELETED,),
        {},
    ),
    Kind(
        "ParticipantAddedEvent",
        "A participant joined.",
        (Type.PARTICIPANT_ADDED,),
        {"participant": PARTICIPANT, "conversation": CONVERSATION},
    ),
    Kind(
        "ParticipantRemovedEvent",
        "A participant left or was removed; it is the last event they receive.",
        (Type.PARTICIPANT_REMOVED,),
        {"participant": USER},
    ),
    Kind(
        "ReadUpdatedEvent",
        "A participant's read cursor moved.",
        (Type.READ_UPDATED,),
        {"": CURSOR},
    ),
)
KINDS: dict[str, Kind] = {name: kind for kind in _ALL for name in kind.types}


def private_types() -> list[str]:
    """Return the types of events that reach only the user in ``user_id``."""
    return [name for name, kind in KINDS.items() if kind.is_private]


def only_reader_of(event: Event) -> UUID | None:
    """Return the user that a private event is for; None for events for everyone."""
    return event.user_id if KINDS[event.type].is_private else None


def shows_message(event: Event) -> bool:
    return MESSAGE in KINDS[event.type].subjects.values()


AnyEvent = PolymorphicProxySerializer(
    component_name="AnyEvent",
    serializers={
        name.value: shape
        for kind, shape in [(kind, kind.shape()) for kind in _ALL]
        for name in kind.types
    },
    resource_type_field_name="type",
    many=True,
)
