"""Changes to conversations on behalf of the staff, who need not take part.

The caller has checked that the actor is allowed to make them.
"""

from collections.abc import Iterable
from uuid import UUID

from django.db import transaction

from chats.models import AuditEntry, Conversation, Event, Message, Participant, User
from chats.services.announce import announce
from chats.services.audit import record
from chats.services.conversations import (
    admit,
    end_participations,
    erase,
    locked_people,
    require_room,
)
from chats.services.messages import leave_tombstone
from chats.web.exceptions import ChatError

Action, Type = AuditEntry.Action, Event.Type


@transaction.atomic
def rename_as_staff(
    conversation: Conversation, *, title: str, actor: User
) -> Conversation:
    """Change the title; the same title again changes nothing."""
    conversation = Conversation.objects.locked_for_staff(conversation.pk)
    if conversation.title != title:
        conversation.title = title
        record(Action.CONVERSATION_RETITLED, conversation, actor=actor)
        _save_and_announce(conversation, "title", actor)
    return conversation


@transaction.atomic
def transfer_ownership(
    conversation: Conversation, *, owner_id: UUID, actor: User
) -> Conversation:
    """Make a participant the owner. Raises ChatError on ``owner`` for other users."""
    conversation = Conversation.objects.locked_for_staff(conversation.pk)
    if conversation.owner_id == owner_id:
        return conversation
    if not conversation.participations.filter(user_id=owner_id).exists():
        raise ChatError(
            "The owner must be a participant.", field="owner", code="not_participant"
        )
    record(
        Action.CONVERSATION_HANDED_OVER,
        conversation,
        actor=actor,
        user_id=owner_id,
        details=f"from {conversation.owner_id}",
    )
    conversation.owner_id = owner_id
    _save_and_announce(conversation, "owner", actor)
    return conversation


@transaction.atomic
def delete_as_staff(conversation: Conversation, *, actor: User) -> None:
    """Delete the conversation for everyone."""
    erase(Conversation.objects.locked_for_staff(conversation.pk), actor)


@transaction.atomic
def add_as_staff(
    conversation: Conversation, *, user_id: UUID, actor: User
) -> Conversation:
    """Add a user. Actors who add themselves are recorded as readers of all messages.

    Raises ChatError as ``add_participant`` does.
    """
    person = next(iter(locked_people([user_id])), None)
    conversation = Conversation.objects.locked_for_staff(conversation.pk)
    if person is None:
        raise ChatError("This user is inactive.", field="user_id")
    if not conversation.participations.filter(user=person).exists():
        require_room(conversation.participant_count + 1, field="user_id")
        record(Action.PARTICIPANT_ADDED, conversation, person, actor=actor)
        if user_id == actor.pk and conversation.last_seq:
            details = f"seq 1-{conversation.last_seq}"
            record(Action.MESSAGES_READ, conversation, actor=actor, details=details)
        admit(conversation, person, actor)
    return conversation


@transaction.atomic
def remove_as_staff(
    conversation: Conversation, *, user_id: UUID, actor: User
) -> Conversation:
    """End a participation, if there is one."""
    conversation = Conversation.objects.locked_for_staff(conversation.pk)
    leaving = Participant.objects.filter(conversation=conversation, user_id=user_id)
    if leaving.exists():
        record(Action.PARTICIPANT_REMOVED, conversation, actor=actor, user_id=user_id)
        end_participations(leaving, [conversation], actor=actor)
    return conversation


@transaction.atomic
def change_participants(
    conversation: Conversation,
    *,
    joining: Iterable[UUID] = (),
    leaving: Iterable[UUID] = (),
    actor: User,
) -> None:
    """Remove some users and add others, all or none.

    Users who have left already, or who take part already, are skipped. Raises ChatError
    as ``add_as_staff`` does.
    """
    joining = sorted({*joining})
    # All users before the conversation: the order in which all services lock.
    people = User.objects.filter(pk__in=joining).order_by("pk")
    list(people.select_for_update(no_key=True))
    conversation = Conversation.objects.locked_for_staff(conversation.pk)
    standing = conversation.participations.filter(user_id__in=[*leaving])
    for user_id in list(standing.order_by("id").values_list("user_id", flat=True)):
        remove_as_staff(conversation, user_id=user_id, actor=actor)
    for user_id in joining:
        add_as_staff(conversation, user_id=user_id, actor=actor)


@transaction.atomic
def redact_message(message: Message, *, actor: User) -> None:
    """Turn the message into a tombstone."""
    conversation = Conversation.objects.locked_for_staff(message.conversation_id)
    message.refresh_from_db()
    if not message.is_deleted:
        record(
            Action.MESSAGE_REDACTED,
            conversation,
            message,
            actor=actor,
            details=f"seq {message.seq}",
        )
    leave_tombstone(message, actor)


def _save_and_announce(conversation: Conversation, field: str, actor: User) -> None:
    conversation.touch()
    conversation.save(update_fields=[field, "updated_at"])
    Participant.objects.note_activity([conversation])
    announce(Event.of(Type.CONVERSATION_UPDATED, conversation.pk, actor))
