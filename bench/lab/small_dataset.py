"""A small database for the measurements: callers, and messages that they may read."""

import os
import random
from datetime import timedelta
from itertools import chain
from typing import NamedTuple

from bench.lab.servers import environment

PEOPLE = 64
CONVERSATIONS = 320  # 25 for each person
PARTICIPANTS = 5
MESSAGES = 120  # in each conversation
WORDS = ("it", "was", "then", "that", "we", "all", "saw", "what", "others", "did")
PASSWORD = "correct horse 2026"


class Account(NamedTuple):
    """A caller; ``messages`` are all they may read, ascending by conversation."""

    username: str
    token: str
    conversation_id: str
    messages: list[str]


def fill(database_url: str) -> list[Account]:
    """Fill an empty database; return the callers. Call it in a separate process."""
    os.environ.clear()
    os.environ.update(environment(database_url))
    os.environ["DJANGO_SETTINGS_MODULE"] = "messaging_app.settings"
    import django

    django.setup()
    from django.db import connection, transaction

    from chats.models import AccessToken

    with transaction.atomic():
        people = store_people()
        said = [converse(people, number) for number in range(CONVERSATIONS)]
        tokens = [AccessToken.objects.issue(who, "bench", None)[1] for who in people]
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("ANALYZE")  # as autovacuum would do later
    return [
        Account(who.username, token, *places_of(n, said))
        for n, (who, token) in enumerate(zip(people, tokens, strict=True))
    ]


def store_people() -> list:
    from django.contrib.auth.hashers import make_password

    from chats.models import User

    hashed = make_password(PASSWORD)
    return User.objects.bulk_create(
        User(
            username=f"person-{n}",
            email=f"person-{n}@bench.example",
            first_name="Person",
            last_name=f"Number {n}",
            password=hashed,
        )
        for n in range(PEOPLE)
    )


def converse(people: list, number: int) -> tuple[str, list[str]]:
    """Store a conversation; return its id and the ids of its messages."""
    from django.utils import timezone

    from chats.models import Conversation, Message, Participant
    from chats.models.participants import hour_of

    present = [people[(number + n) % PEOPLE] for n in range(PARTICIPANTS)]
    place = Conversation(title=f"Conversation {number}", owner=present[0])
    start = timezone.now() - timedelta(days=1)
    messages = [
        Message(
            conversation=place,
            seq=seq,
            sender=present[seq % PARTICIPANTS],
            message_body=sentence(seq),
            sent_at=start + timedelta(seconds=seq),
        )
        for seq in range(1, MESSAGES + 1)
    ]
    place.participant_count, place.last_seq = PARTICIPANTS, MESSAGES
    place.last_message_id, place.updated_at = messages[-1].pk, messages[-1].sent_at
    Conversation.objects.bulk_create([place])
    Participant.objects.bulk_create(
        Participant(
            conversation=place,
            user=who,
            active_hour=hour_of(place.updated_at),
            has_unread=True,
        )
        for who in present
    )
    Message.objects.bulk_create(messages, batch_size=500)
    return str(place.pk), [str(message.pk) for message in messages]


def places_of(person: int, said: list[tuple[str, list[str]]]) -> tuple[str, list[str]]:
    """Return the person's own conversation, and all messages they may read."""
    mine = [
        messages
        for number, (_, messages) in enumerate(said)
        if (person - number) % PEOPLE < PARTICIPANTS
    ]
    return said[person][0], list(chain.from_iterable(mine))


def sentence(seed: int) -> str:
    """Return a sentence of about eighty characters."""
    return " ".join(random.Random(seed).choices(WORDS, k=20))
