"""Starting, renaming and deleting conversations; joining and leaving them."""

from collections.abc import Iterable
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from chats.models import (
    AuditEntry,
    Conversation,
    Event,
    Participant,
    PastParticipant,
    User,
)
from chats.models.participants import hour_of
from chats.services import erasing
from chats.services.announce import announce
from chats.services.audit import record
from chats.web.exceptions import ChatError

Action, Type = AuditEntry.Action, Event.Type


@transaction.atomic
def start_conversation(
    actor: User, *, participant_ids: Iterable[UUID], title: str = ""
) -> Conversation:
    """Create a conversation that the actor owns and always takes part in.

    Raises ChatError on ``participant_ids`` if users are unknown or inactive, whom it
    names, or too many.
    """
    ids = {*participant_ids, actor.pk}
    require_room(len(ids), field="participant_ids")
    people = locked_people(ids)
    if missing := sorted(str(pk) for pk in ids - {person.pk for person in people}):
        raise ChatError(
            f"Unknown or inactive users: {', '.join(missing)}.",
            field="participant_ids",
            code="does_not_exist",
        )
    conversation = Conversation.objects.create(
        title=title, owner=actor, participant_count=len(people)
    )
    owner_first = sorted(people, key=lambda person: person.pk != actor.pk)
    Participant.objects.bulk_create(
        Participant(
            conversation=conversation,
            user=person,
            joined_at=conversation.created_at,
            active_hour=hour_of(conversation.updated_at),
        )
        for person in owner_first
    )
    event = Event.of(Type.CONVERSATION_CREATED, conversation.pk, actor)
    announce(event)
    conversation.participations.update(first_event_id=event.pk)
    return conversation


@transaction.atomic
def rename_conversation(actor: User, conversation_id: UUID, *, title: str) -> None:
    """Change the title; the same title again changes nothing."""
    conversation = Conversation.objects.locked(
        conversation_id, seen_by=actor, to="rename"
    )
    if conversation.title == title:
        return
    conversation.title = title
    conversation.touch()
    conversation.save(update_fields=["title", "updated_at"])
    Participant.objects.note_activity([conversation])
    announce(Event.of(Type.CONVERSATION_UPDATED, conversation.pk, actor))


@transaction.atomic
def require_allowed(actor: User, conversation_id: UUID, act: str = "") -> None:
    """Raise NotFound to outsiders, NotAllowed to participants who may not do ``act``.

    ``act`` is one of ``chats.models.rules``; without one every participant may.
    """
    Conversation.objects.locked(conversation_id, seen_by=actor, to=act)


@transaction.atomic
def delete_conversation(actor: User, conversation_id: UUID) -> None:
    """Delete a conversation with its messages, for everyone.

    Raises NotAllowed unless the actor is the owner. The conversation is gone at the
    commit. If it has many messages, they are invisible from then on, and are erased
    afterwards in the background.
    """
    conversation = Conversation.objects.locked(
        conversation_id, seen_by=actor, to="delete"
    )
    erase(conversation, actor)


@transaction.atomic
def add_participant(actor: User, conversation_id: UUID, *, user_id: UUID) -> bool:
    """Add a user, whose cursor and ``joined_seq`` are at the last message.

    Returns whether they are new. Raises ChatError on ``user_id`` if the user is unknown
    or inactive, or if the conversation is full.
    """
    person = next(iter(locked_people([user_id])), None)
    conversation = Conversation.objects.locked(conversation_id, seen_by=actor, to="add")
    if conversation.participations.filter(user_id=user_id).exists():
        return False
    if person is None:
        raise ChatError(
            f"Unknown or inactive user: {user_id}.",
            field="user_id",
            code="does_not_exist",
        )
    require_room(conversation.participant_count + 1, field="user_id")
    admit(conversation, person, actor)
    return True


@transaction.atomic
def remove_participant(actor: User, conversation_id: UUID, *, user_id: UUID) -> None:
    """End a participation: the actor's own or, if they are the owner, anybody's.

    When the owner leaves, the longest-standing participant becomes owner. Raises
    NotAllowed, or ChatError on ``user_id`` if that user does not take part.
    """
    act = "" if user_id == actor.pk else "remove"  # anybody may leave
    conversation = Conversation.objects.locked(conversation_id, seen_by=actor, to=act)
    leaving = Participant.objects.filter(conversation=conversation, user_id=user_id)
    if not leaving.exists():
        raise ChatError(
            f"{user_id} is not a participant.", field="user_id", code="not_participant"
        )
    if user_id != actor.pk:
        record(Action.PARTICIPANT_REMOVED, conversation, actor=actor, user_id=user_id)
    end_participations(leaving, [conversation], actor=actor)


def end_participations(
    leaving: "Iterable[Participant]", conversations: list[Conversation], *, actor: User
) -> None:
    """Delete one user's participations, pass their ownership on, and announce it.

    ``leaving`` is a queryset of the user's rows, one in each of ``conversations``,
    which the caller has locked in this transaction.
    """
    rows = {row.conversation_id: row for row in leaving}
    leaving.delete()
    removals, changes = [], []
    for conversation in conversations:
        user_id = rows[conversation.pk].user_id
        removals.append(
            Event.of(Type.PARTICIPANT_REMOVED, conversation.pk, actor, user_id=user_id)
        )
        conversation.participant_count -= 1
        conversation.touch()
        if conversation.owner_id == user_id:
            conversation.owner_id = _next_owner_id(conversation)
            changes.append(Event.of(Type.CONVERSATION_UPDATED, conversation.pk, actor))
    fields = ["participant_count", "owner", "updated_at"]
    Conversation.objects.bulk_update(conversations, fields, batch_size=200)
    Participant.objects.note_activity(conversations)
    announce(*removals, *changes)
    _note_past(
        (rows[event.conversation_id] for event in removals),
        {event.conversation_id: event.pk for event in removals},
    )


def admit(conversation: Conversation, person: User, actor: User) -> None:
    conversation.participant_count += 1
    conversation.owner_id = conversation.owner_id or person.pk
    conversation.touch()
    conversation.save(update_fields=["participant_count", "owner", "updated_at"])
    Participant.objects.note_activity([conversation])
    participant = conversation.participations.create(
        user=person,
        joined_seq=conversation.last_seq,
        last_read_seq=conversation.last_seq,
        joined_at=conversation.updated_at,
        active_hour=hour_of(conversation.updated_at),
    )
    event = Event.of(Type.PARTICIPANT_ADDED, conversation.pk, actor, user_id=person.pk)
    announce(event)
    participant.first_event_id = event.pk
    participant.save(update_fields=["first_event_id"])


def erase(conversation: Conversation, actor: User) -> None:
    rows = list(conversation.participations.all())
    details = f"{len(rows)} participants, {conversation.last_seq} messages"
    record(Action.CONVERSATION_DELETED, conversation, actor=actor, details=details)
    event = Event.of(Type.CONVERSATION_DELETED, conversation.pk, actor)
    if conversation.last_seq <= erasing.BATCH:
        conversation.delete()  # and participants and messages, in one statement each
    else:
        _empty(conversation)
        transaction.on_commit(erasing.begin)
    announce(event)
    _note_past(rows, {event.conversation_id: event.pk})


def _empty(conversation: Conversation) -> None:
    """Remove everything but the messages, which then are invisible to everyone."""
    conversation.participations.all().delete()
    conversation.title, conversation.owner = "", None
    conversation.participant_count = 0
    conversation.deleted_at = timezone.now()
    fields = ["title", "owner", "participant_count", "deleted_at"]
    conversation.save(update_fields=fields)


def _note_past(rows: Iterable[Participant], last_event_ids: dict[UUID, int]) -> None:
    PastParticipant.objects.bulk_create(
        PastParticipant(
            user_id=row.user_id,
            conversation_id=row.conversation_id,
            first_event_id=row.first_event_id,
            last_event_id=last_event_ids[row.conversation_id],
        )
        for row in rows
    )


def locked_people(ids: Iterable[UUID]) -> list[User]:
    """Return those who are active; they stay active until the commit."""
    people = User.objects.active().filter(pk__in=list(ids)).order_by("pk")
    return list(people.select_for_update(no_key=True))


def _next_owner_id(conversation: Conversation) -> UUID | None:
    standing = conversation.participations.order_by("id")
    return standing.values_list("user_id", flat=True).first()


def require_room(count: int, *, field: str) -> None:
    if count > settings.MAX_PARTICIPANTS:
        raise ChatError(
            f"A conversation has at most {settings.MAX_PARTICIPANTS} participants.",
            field=field,
            code="full",
        )
