"""Many rows at once: people, and messages of which many share a time."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from chats.models import Conversation, Message, Participant, User
from tests.support.factories import UserFactory

NOON = datetime(2030, 1, 1, 12, tzinfo=UTC)


def crowd(count: int) -> list[User]:
    """Create many people at once."""
    return User.objects.bulk_create(
        UserFactory.build(username=f"guest{number:03}") for number in range(count)
    )


def tied(number: int) -> datetime:
    """Return one of 7 moments: 500 rows are tied by the dozen."""
    return NOON + timedelta(seconds=number * 31 % 7)


def fill(
    conversation: Conversation,
    sender: User,
    count: int,
    first: int = 1,
    *,
    body: Callable[[int], str] = "Message {}".format,
) -> None:
    """Store messages in bulk, of which many share a time."""
    *_, last = Message.objects.bulk_create(
        Message(
            conversation=conversation,
            seq=number,
            sender=sender,
            message_body=body(number),
            sent_at=tied(number),
        )
        for number in range(first, first + count)
    )
    conversation.last_message, conversation.last_seq = last, last.seq
    conversation.updated_at = max(tied(number) for number in range(7))
    conversation.save(update_fields=["last_message", "last_seq", "updated_at"])
    Participant.objects.note_activity([conversation])
