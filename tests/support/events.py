"""Events as they are stored, and every row that a service may change."""

import uuid

from chats.models import (
    Conversation,
    Event,
    Message,
    Participant,
    PastParticipant,
    User,
)

EVENT_FIELDS = ("type", "conversation_id", "message_id", "user_id", "actor_id")


def events_after(event_id: int) -> list[dict]:
    """Return the fields of the events since, in their order."""
    return list(Event.objects.filter(event_id__gt=event_id).values(*EVENT_FIELDS))


def event(
    kind: str,
    conversation: Conversation | uuid.UUID,
    *,
    actor: User,
    message: Message | uuid.UUID | None = None,
    user: User | None = None,
) -> dict:
    """Return the fields an event must have."""
    return {
        "type": kind,
        "conversation_id": getattr(conversation, "pk", conversation),
        "message_id": getattr(message, "pk", message),
        "user_id": user and user.pk,
        "actor_id": actor.pk,
    }


def everything() -> dict[str, list[dict]]:
    """Return every row that a service may change."""
    return {
        model.__name__: list(model.objects.order_by("pk").values())
        for model in (User, Conversation, Participant, PastParticipant, Message, Event)
    }
