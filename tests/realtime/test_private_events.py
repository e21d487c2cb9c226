"""Events of private kinds: they reach nobody but the user they name."""

import pytest

from chats.models import Conversation, Event, User
from chats.realtime import log
from chats.realtime.kinds import CURSOR, KINDS, Kind
from tests.support.hub import Driven

PRIVATE = "test.private"


@pytest.fixture(autouse=True)
def _private_kind(monkeypatch):
    kind = Kind("Test", "A test.", (PRIVATE,), {"": CURSOR}, is_private=True)
    monkeypatch.setitem(KINDS, PRIVATE, kind)


@pytest.fixture
def driven(db) -> Driven:
    return Driven()


def announce_to(user: User, conversation: Conversation) -> int:
    event = Event(type=PRIVATE, conversation_id=conversation.pk, user_id=user.pk)
    Event.objects.append(event)
    return event.pk


def types_of(user: User, after: int) -> list[str]:
    return [item["type"] for item in log.page(user.pk, after, 100).payloads]


def test_page_of_the_log_has_ones_own_private_events_only(alice, bob, conversation):
    after = Event.objects.last_id()
    announce_to(alice, conversation)

    assert types_of(alice, after) == [PRIVATE]
    assert types_of(bob, after) == []


def test_far_back_in_the_log_others_private_events_are_none_too(
    alice, bob, conversation, monkeypatch
):
    """Beyond what is looked at first, the events are found by the conversations."""
    monkeypatch.setattr(log, "SCANNED", 0)
    after = Event.objects.last_id()
    announce_to(alice, conversation)
    announce_to(bob, conversation)

    assert types_of(alice, after) == [PRIVATE]
    assert types_of(bob, after) == [PRIVATE]


def test_stream_gets_ones_own_private_events_only(driven, alice, bob, conversation):
    [of_alice, other_of_alice, of_bob] = driven.joined(alice, alice, bob)
    announce_to(alice, conversation)

    driven.turn()

    assert driven.kinds(of_alice) == driven.kinds(other_of_alice) == [PRIVATE]
    assert driven.kinds(of_bob) == []


def test_stream_that_joins_late_gets_ones_own_private_events_only(
    driven, alice, bob, conversation
):
    driven.joined(alice, bob)
    after = Event.objects.last_id()
    announce_to(alice, conversation)
    announce_to(bob, conversation)
    driven.turn()

    late = driven.join(alice, after), driven.join(bob, after)
    driven.turn()

    for stream, user in zip(late, (alice, bob), strict=True):
        [item] = driven.take(stream)
        assert (item["event"], item["user_id"]) == (PRIVATE, str(user.pk))
