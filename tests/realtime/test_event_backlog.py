"""The backlog of somebody who was away long is what looking at every event gives."""

import random

import pytest

from chats.models import Conversation, Event, User
from chats.realtime import log
from chats.services import conversations, messages
from tests.support.factories import UserFactory, send, start


def live(draw: random.Random, people: list[User]) -> None:
    """Do something, if that is possible."""
    rooms = list(Conversation.objects.exclude(participant_count=0))
    if not rooms or draw.random() < 0.1:
        start(*draw.sample(people, draw.randint(1, 3)))
        return
    room = draw.choice(rooms)
    inside = list(room.participants.order_by("username"))
    someone, other = draw.choice(inside), draw.choice(people)
    match draw.randrange(6):
        case 0:
            conversations.add_participant(someone, room.pk, user_id=other.pk)
        case 1:
            conversations.remove_participant(someone, room.pk, user_id=someone.pk)
        case 2 if draw.random() < 0.2:
            conversations.delete_conversation(room.owner, room.pk)
        case 3:
            messages.mark_conversation_as_read(someone, room.pk)
        case _:
            send(someone, room)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("scanned", [0, 7])
def test_first_events_are_those_of_the_whole_log(seed, scanned, db, monkeypatch):
    monkeypatch.setattr(log, "SCANNED", scanned)
    draw, people = random.Random(seed), [UserFactory() for _ in range(5)]
    for _ in range(150):
        live(draw, people)
    end = Event.objects.last_id()
    begin = end - Event.objects.count()

    for person in people:
        for after in (begin, begin + 1, draw.randint(begin, end), end - 3, end):
            wanted = list(log.visible_to(person.pk, after))
            for count in (1, 4, 30, 500):
                found = log.first_of(person.pk, after, count, end=end)
                assert found == wanted[:count], (after - begin, count)


def test_outsiders_have_no_events(conversation, alice, bob, mallory, monkeypatch):
    monkeypatch.setattr(log, "SCANNED", 0)
    begin = Event.objects.last_id()
    for _ in range(3):
        send(bob, conversation)
    end = Event.objects.last_id()

    assert log.first_of(mallory.pk, begin, 10, end=end) == []
    assert len(log.first_of(alice.pk, begin, 10, end=end)) == 3


@pytest.mark.parametrize("count", [1, 3, 50])
def test_statements_are_as_many_for_any_number_of_conversations(
    count, alice, bob, monkeypatch, django_assert_num_queries
):
    monkeypatch.setattr(log, "SCANNED", 0)
    begin = Event.objects.last_id()
    for _ in range(count):
        send(bob, start(alice, bob))
    end = Event.objects.last_id()

    # The events next to the cursor; the first in each conversation; the last that
    # may be needed; the events between.
    with django_assert_num_queries(4):
        found = log.first_of(alice.pk, begin, 1000, end=end)

    assert len(found) == 2 * count


def test_what_is_sent_between_two_statements_comes_with_the_next_page(
    alice, bob, monkeypatch
):
    """A conversation that was silent so far is not within the bounds."""
    busy, silent = start(alice, bob), start(alice, bob)
    after = Event.objects.last_id()
    sent = [send(alice, busy) for _ in range(3)]
    original, pending = log._bounds, [lambda: (send(alice, silent), send(alice, busy))]

    def bounds(*args):
        found = original(*args)
        while pending:
            sent.extend(pending.pop()())
        return found

    monkeypatch.setattr(log, "SCANNED", 1)
    monkeypatch.setattr(log, "_bounds", bounds)

    first = log.page(bob.pk, after, 10)
    second = log.page(bob.pk, first.position, 10)

    shown = [
        event["message"]["message_id"] for event in first.payloads + second.payloads
    ]
    assert shown == [message.pk for message in sent]
