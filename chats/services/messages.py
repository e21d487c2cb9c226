"""Sending, editing, deleting and reading messages."""

from uuid import UUID

from django.db import transaction
from django.utils import timezone

from chats.models import Conversation, Event, Message, Participant, User
from chats.services.announce import announce
from chats.web.exceptions import Conflict, NotFound

Type = Event.Type


@transaction.atomic
def send_message(
    actor: User,
    conversation_id: UUID,
    *,
    message_body: str,
    client_id: UUID | None = None,
) -> tuple[Message, bool]:
    """Store a message at the end of the conversation.

    Under the conversation's lock it assigns ``seq``, stores the message, moves the
    sender's cursor to it, and marks the conversation as unread for the others. Returns
    the message and whether it is new: a ``client_id`` that this sender has used here
    before returns the first message. Raises Conflict if the body of that one, never
    edited or deleted, is different, and ChatError on ``conversation`` to outsiders.
    """
    conversation = Conversation.objects.locked(
        conversation_id, seen_by=actor, field="conversation", to="send"
    )
    first = client_id and Message.objects.sent_with(
        client_id, sender=actor, conversation_id=conversation_id
    )
    if first:
        if first.is_untouched and first.message_body != message_body:
            raise Conflict("This client_id was used for another message.")
        return first, False
    message = Message(
        conversation=conversation,
        seq=conversation.last_seq + 1,
        sender=actor,
        message_body=message_body,
        sent_at=conversation.touch(),
        client_id=client_id,
    )
    conversation.note_message(message)
    Message.objects.insert(message)
    conversation.participation.note_sent(message)
    _announce(Type.MESSAGE_CREATED, message, actor)
    return message, True


@transaction.atomic
def edit_message(actor: User, message_id: UUID, *, message_body: str) -> Message:
    """Replace the body and set ``edited_at``; the same body again changes nothing.

    Raises NotAllowed unless the actor is the sender, Conflict if it is deleted.
    """
    message = _locked_message(actor, message_id, to="edit_message")
    if message.is_deleted:
        raise Conflict("This message has been deleted.")
    if message.message_body != message_body:
        message.message_body = message_body
        message.edited_at = timezone.now()
        message.save(update_fields=["message_body", "edited_at"])
        _announce(Type.MESSAGE_UPDATED, message, actor)
    return message


@transaction.atomic
def require_editable(actor: User, message_id: UUID) -> None:
    """Raise NotFound to outsiders, NotAllowed unless the actor may edit the message."""
    _locked_message(actor, message_id, to="edit_message")


@transaction.atomic
def delete_message(actor: User, message_id: UUID) -> None:
    """Turn the message into a tombstone: without the body, with its ``seq``.

    Raises NotAllowed unless the actor is the sender or the conversation's owner. To
    delete a message again is harmless.
    """
    message = _locked_message(actor, message_id, to="delete_message")
    leave_tombstone(message, actor)


@transaction.atomic
def mark_as_read(actor: User, message_id: UUID) -> Message:
    """Move the actor's cursor forward to this message, never back.

    Under the conversation's lock: whether the cursor is at the end is true until the
    commit.
    """
    message = Message.objects.locked(message_id, seen_by=actor)
    if message is None:
        raise NotFound
    _move_cursor(actor, message.conversation, message.seq)
    message.last_read_seq = max(message.last_read_seq, message.seq)
    return message


@transaction.atomic
def mark_conversation_as_read(actor: User, conversation_id: UUID) -> tuple[int, int]:
    """Move the actor's cursor to the end; return it and how far it moved.

    Raises ChatError on ``conversation_id`` to outsiders.
    """
    conversation = Conversation.objects.locked(
        conversation_id, seen_by=actor, field="conversation_id"
    )
    marked = conversation.last_seq - conversation.participation.last_read_seq
    if marked > 0:
        _move_cursor(actor, conversation, conversation.last_seq)
    return conversation.last_seq, max(marked, 0)


def _move_cursor(actor: User, conversation: Conversation, seq: int) -> None:
    """Move the actor's cursor, under the conversation's lock."""
    behind = Participant(conversation=conversation, user=actor)
    if behind.move_cursor(seq, last_seq=conversation.last_seq):
        announce(Event.of(Type.READ_UPDATED, conversation.pk, actor, user_id=actor.pk))


def _locked_message(actor: User, message_id: UUID, *, to: str) -> Message:
    """Return a message that the actor may do this to, its conversation locked.

    ``to`` is an act of ``chats.models.rules``. Raises NotFound to outsiders, NotAllowed
    to participants who may not.
    """
    found = Message.objects.visible_to(actor).filter(pk=message_id)
    conversation_id = found.values_list("conversation_id", flat=True).first()
    if conversation_id is None:
        raise NotFound
    conversation = Conversation.objects.locked(conversation_id, seen_by=actor)
    message = Message.objects.select_related("sender").filter(pk=message_id).first()
    if message is None:
        raise NotFound
    conversation.require(to, sender_id=message.sender_id)
    message.conversation = conversation
    return message


def leave_tombstone(message: Message, actor: User) -> None:
    if message.is_deleted:
        return
    message.message_body = ""
    message.deleted_at = timezone.now()
    message.save(update_fields=["message_body", "deleted_at"])
    _announce(Type.MESSAGE_DELETED, message, actor)


def _announce(event_type: Event.Type, message: Message, actor: User) -> None:
    key = message.conversation_id
    announce(Event.of(event_type, key, actor, message_id=message.pk))
