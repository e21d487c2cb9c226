"""Changes to conversations on behalf of the staff, who need not take part.

The caller has checked that the actor is allowed to make them.
"""

from collections.abc import Iterable
from uuid import UUID

from django.db import transaction

from chats.models import AuditEntry, Conversation, Event, Participant, User
from chats.services.announce import announce
from chats.services.audit import record
from chats.services.conversations import add_as_staff, remove_as_staff
from chats.web.exceptions import ChatError


@transaction.atomic
def retitle_conversation(
    conversation: Conversation, *, title: str, actor: User
) -> Conversation:
    """Give the conversation another title; the same again changes nothing."""
    conversation = Conversation.objects.locked_for_staff(conversation.pk)
    if conversation.title != title:
        conversation.title = title
        record(
            AuditEntry.Action.CONVERSATION_RETITLED,
            actor=actor,
            conversation_id=conversation.pk,
        )
        _save_and_announce(conversation, "title", actor)
    return conversation


@transaction.atomic
def hand_over_conversation(
    conversation: Conversation, *, owner_id: UUID, actor: User
) -> Conversation:
    """Make a participant the owner. Raises ChatError on ``owner`` for others."""
    conversation = Conversation.objects.locked_for_staff(conversation.pk)
    if conversation.owner_id == owner_id:
        return conversation
    if not conversation.participations.filter(user_id=owner_id).exists():
        raise ChatError(
            "The owner must be a participant.", field="owner", code="not_participant"
        )
    record(
        AuditEntry.Action.CONVERSATION_HANDED_OVER,
        actor=actor,
        user_id=owner_id,
        conversation_id=conversation.pk,
        details=f"from {conversation.owner_id}",
    )
    conversation.owner_id = owner_id
    _save_and_announce(conversation, "owner", actor)
    return conversation


@transaction.atomic
def change_participants(
    conversation: Conversation,
    *,
    joining: Iterable[UUID] = (),
    leaving: Iterable[UUID] = (),
    actor: User,
) -> None:
    """Remove some people and add others, all or none.

    Who has left already, or takes part already, changes nothing. Raises ChatError
    as ``add_as_staff`` does.
    """
    joining = sorted({*joining})
    # All people before the conversation: the order that all services lock in.
    people = User.objects.filter(pk__in=joining).order_by("pk")
    list(people.select_for_update(no_key=True))
    conversation = Conversation.objects.locked_for_staff(conversation.pk)
    standing = conversation.participations.filter(user_id__in=[*leaving])
    for user_id in list(standing.order_by("id").values_list("user_id", flat=True)):
        remove_as_staff(conversation, user_id=user_id, actor=actor)
    for user_id in joining:
        add_as_staff(conversation, user_id=user_id, actor=actor)


def _save_and_announce(conversation: Conversation, field: str, actor: User) -> None:
    conversation.touch()
    conversation.save(update_fields=[field, "updated_at"])
    Participant.objects.note_activity([conversation])
    announce(
        Event(
            type=Event.Type.CONVERSATION_UPDATED,
            conversation_id=conversation.pk,
            actor_id=actor.pk,
        )
    )
