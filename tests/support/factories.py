"""Plain factories: sequences, no surprises; what spans rows goes through services."""

import factory
from django.utils import timezone

from chats.models import Conversation, Message, User
from chats.services import conversations, messages

PASSWORD = "corr3ct-horse-battery"


class UserFactory(factory.django.DjangoModelFactory):
    """An active guest whose password is ``PASSWORD``, seen just now."""

    class Meta:
        model = User
        skip_postgeneration_save = True

    username = factory.Sequence(lambda n: f"person{n}")
    email = factory.LazyAttribute(lambda user: f"{user.username}@example.org")
    first_name = "Ann"
    last_name = "Person"
    # Just seen: so no call of a test has the extra query that marks them seen.
    last_seen_at = factory.LazyFunction(timezone.now)
    password = factory.django.Password(PASSWORD)


def start(owner: User, *others: User, title: str = "") -> Conversation:
    """Start a conversation of ``owner`` with the others."""
    return conversations.start_conversation(
        owner, participant_ids=[other.pk for other in others], title=title
    )


def send(actor: User, conversation: Conversation, body: str = "Hello") -> Message:
    """Send a message and return it as it is stored."""
    message, _ = messages.send_message(actor, conversation.pk, message_body=body)
    return Message.objects.get(pk=message.pk)
