"""People added by somebody who shares no conversation with them yet are counted."""

from datetime import UTC, datetime
from uuid import UUID

import pytest
import time_machine
from django.core.cache import cache

from chats.models import Conversation, Event
from chats.services import conversations, users
from chats.services.starting import count_strangers
from chats.web import throttles
from tests.support.bulk import crowd
from tests.support.events import everything
from tests.support.factories import UserFactory, start
from tests.support.routes import CONVERSATIONS as URL
from tests.support.routes import url_of

NOON = datetime(2026, 1, 1, 12, 0, 10, tzinfo=UTC)  # ten seconds into an hour
NOBODY = UUID(int=1)
TOO_MANY = {
    "detail": "You added too many people with whom you shared no conversation."
    " Expected available in 3590 seconds.",
    "code": "throttled",
}


@pytest.fixture(autouse=True)
def clock():
    with time_machine.travel(NOON, tick=False) as traveller:
        yield traveller


@pytest.fixture
def limit(settings):
    """Return a function that sets how many strangers an hour allows."""

    def set_to(number: int) -> None:
        rates = dict.fromkeys(settings.THROTTLE_RATES)
        settings.THROTTLE_RATES = rates | {"strangers": (number, 3600)}

    return set_to


def begin(client, *people):
    return client.post(URL, {"participant_ids": [str(person.pk) for person in people]})


def add(client, conversation, person):
    url = f"{url_of(conversation)}add_participant/"
    return client.post(url, {"user_id": str(person.pk)})


def test_people_are_counted_not_calls(as_alice, limit):
    limit(5)
    people = crowd(7)

    answers = [begin(as_alice, *people[:3]), begin(as_alice, *people[3:5])]
    before = everything()
    refused = begin(as_alice, people[5])

    assert [answer.status_code for answer in answers] == [201, 201]
    assert (refused.status_code, refused.json()) == (429, TOO_MANY)
    assert refused.headers["Retry-After"] == "3590"
    assert everything() == before


def test_people_added_later_count_too(as_alice, alice, limit):
    limit(2)
    conversation = start(alice)
    people = crowd(3)

    answers = [add(as_alice, conversation, person) for person in people]

    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert answers[2].json() == TOO_MANY
    assert conversation.participations.count() == 3


def test_acquaintances_are_not_counted(as_alice, alice, bob, mallory, limit):
    start(mallory, alice, bob)  # whoever brought them together
    limit(1)

    answers = [begin(as_alice, bob, mallory) for _ in range(3)]
    answers.append(add(as_alice, start(alice), bob))

    assert [answer.status_code for answer in answers] == [201, 201, 201, 200]
    assert begin(as_alice, UserFactory()).status_code == 201
    assert begin(as_alice, UserFactory()).status_code == 429


def test_who_has_left_is_a_stranger_again(alice, bob, conversation):
    assert count_strangers(alice, [bob.pk]) == 0

    conversations.remove_participant(bob, conversation.pk, user_id=bob.pk)

    assert count_strangers(alice, [bob.pk]) == 1


def test_only_active_others_are_strangers(alice, bob, mallory):
    users.deactivate_user(mallory, actor=mallory)
    ids = [alice.pk, bob.pk, bob.pk, mallory.pk, NOBODY]

    assert count_strangers(alice, ids) == 1
    assert count_strangers(alice, []) == 0


def test_more_than_the_limit_at_once_is_400(as_alice, limit):
    limit(2)
    people = crowd(3)

    response = begin(as_alice, *people)

    assert response.status_code == 400
    assert response.json() == {
        "detail": "At most 2 people with whom you share no conversation can be added.",
        "code": "too_many_strangers",
    }
    assert not Conversation.objects.exists()
    assert begin(as_alice, *people[:2]).status_code == 201


def test_what_was_refused_is_not_counted(as_alice, as_mallory, alice, limit):
    limit(2)
    place, gone, people = start(alice), UserFactory(is_active=False), crowd(3)
    refused = [
        begin(as_alice, people[0], gone),  # 400
        add(as_mallory, place, people[0]),  # 404
        begin(as_alice, *people),  # 400, more than two
    ]

    assert [answer.status_code for answer in refused] == [400, 404, 400]
    assert begin(as_alice, people[0]).status_code == 201
    assert begin(as_alice, *people[1:]).status_code == 429
    assert begin(as_alice, people[1]).status_code == 201
    assert begin(as_mallory, *people[1:]).status_code == 201


def test_count_begins_anew_in_the_next_window(as_alice, limit, clock):
    limit(1)
    assert begin(as_alice, UserFactory()).status_code == 201
    assert begin(as_alice, UserFactory()).status_code == 429
    clock.shift(3590)
    assert begin(as_alice, UserFactory()).status_code == 201


def test_role_admins_and_installations_without_a_limit_count_nobody(
    as_admin, as_alice, limit, settings
):
    limit(1)
    assert begin(as_admin, *crowd(3)).status_code == 201
    settings.THROTTLE_RATES = dict.fromkeys(settings.THROTTLE_RATES)
    people = [UserFactory() for _ in range(3)]
    assert begin(as_alice, *people).status_code == 201


def test_services_are_not_limited(alice, limit):
    limit(1)
    start(alice, *crowd(3))
    assert Event.objects.count() == 1


def test_what_is_left_is_told_where_somebody_was_counted(as_alice, bob, limit):
    limit(5)

    first, again = begin(as_alice, bob, UserFactory()), begin(as_alice, bob)

    assert first.headers["RateLimit-Remaining"] == "3"
    assert "RateLimit-Remaining" not in again.headers


def test_nobody_is_refused_while_the_cache_is_away(as_alice, limit):
    limit(1)
    throttles.breaker.fail()

    answers = [begin(as_alice, UserFactory()) for _ in range(2)]

    assert [answer.status_code for answer in answers] == [201, 201]


def test_taking_back_after_the_cache_was_emptied_leaves_nothing(as_alice, limit, bob):
    limit(1)
    window = f"throttle:strangers:{bob.pk}:0"

    throttles._take_back(window, 1)

    assert cache.get(window) is None
