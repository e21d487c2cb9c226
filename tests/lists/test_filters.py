"""Filters and search: what they show of mine, and that they show nothing of others."""

import uuid
from datetime import UTC, datetime, timedelta

import pytest
import time_machine

from chats.models import User
from chats.services import conversations, messages
from tests.support.bodies import no_choice
from tests.support.factories import UserFactory, send, start

MESSAGES = "/api/messages/"
CONVERSATIONS = "/api/conversations/"
MINUTE = timedelta(minutes=1)
NOON = datetime(2030, 1, 1, 12, tzinfo=UTC)


class World:
    """Two conversations of alice and one of others that resembles them.

    Each message is a minute after the one before, the first at noon; its name here
    says where it is and which seq it has.
    """

    def __init__(self, alice: User, bob: User, mallory: User):
        self.people = {"alice": alice, "bob": bob, "mallory": mallory}
        with time_machine.travel(NOON - MINUTE, tick=False) as clock:
            self.plans = start(alice, bob, title="Plans for May")
            self.lunch = start(bob, alice, mallory, title="Lunch")
            self.secret = start(mallory, bob, title="Secret plans for May")
            self.messages = {}
            for name, where, sender, body in [
                ("plans1", self.plans, alice, "A red kite"),
                ("secret1", self.secret, bob, "A red kite, between us"),
                ("lunch1", self.lunch, bob, "Red or white?"),
                ("plans2", self.plans, bob, "Blue: 100% sure"),
                ("secret2", self.secret, mallory, "Blue: 100% sure"),
                ("lunch2", self.lunch, mallory, "White_ish"),
                ("plans3", self.plans, bob, "blue it is"),
                ("plans4", self.plans, bob, "Gone"),
            ]:
                clock.shift(MINUTE)
                self.messages[name] = send(sender, where, body)
            messages.mark_as_read(alice, self.messages["plans2"].pk)
            messages.delete_message(bob, self.messages["plans4"].pk)
        self.names = {str(row.pk): name for name, row in self.messages.items()}
        self.conversations = {
            "plans": self.plans,
            "lunch": self.lunch,
            "secret": self.secret,
        }
        self.titles = {str(row.pk): name for name, row in self.conversations.items()}

    def fill_in(self, query: str) -> str:
        """Return the query with names in angle brackets replaced by ids."""
        for name, row in (self.people | self.conversations).items():
            query = query.replace(f"<{name}>", str(row.pk))
        return query.replace("<unknown>", str(uuid.UUID(int=1)))


@pytest.fixture
def world(alice, bob, mallory) -> World:
    return World(alice, bob, mallory)


def messages_shown(client, world: World, query: str) -> list[str]:
    response = client.get(MESSAGES + world.fill_in(query))
    assert response.status_code == 200
    return [world.names[row["message_id"]] for row in response.json()["results"]]


def conversations_shown(client, world: World, query: str) -> list[str]:
    response = client.get(CONVERSATIONS + world.fill_in(query))
    assert response.status_code == 200
    return [world.titles[row["conversation_id"]] for row in response.json()["results"]]


# --- Messages ------------------------------------------------------------------

ALL = ["plans4", "plans3", "lunch2", "plans2", "lunch1", "plans1"]  # of alice
MESSAGE_QUERIES = {
    # One parameter.
    "": ALL,
    "?conversation_id=<plans>": ["plans4", "plans3", "plans2", "plans1"],
    "?conversation_id=<lunch>": ["lunch2", "lunch1"],
    "?conversation_id=<secret>": [],
    "?conversation_id=<unknown>": [],
    "?conversation=<plans>": ["plans4", "plans3", "plans2", "plans1"],
    "?conversation=<secret>": [],
    "?sender=<bob>": ["plans4", "plans3", "plans2", "lunch1"],
    "?sender=<alice>": ["plans1"],
    "?sender=<mallory>": ["lunch2"],
    "?sender=<unknown>": [],
    "?unread=true": ["plans4", "plans3", "lunch2", "lunch1"],
    "?unread=false": ["plans2", "plans1"],
    "?sent_after=2030-01-01T12:03:00Z": ["plans4", "plans3", "lunch2"],
    "?sent_after=2030-01-01T12:02:59.999999Z": [
        "plans4",
        "plans3",
        "lunch2",
        "plans2",
    ],
    "?sent_after=2030-01-01T14:03:00%2B02:00": ["plans4", "plans3", "lunch2"],
    "?sent_after=2030-01-01t12:03:00z": ["plans4", "plans3", "lunch2"],
    "?sent_after=9999-12-31T23:59:59Z": [],
    "?sent_before=2030-01-01T12:02:00Z": ["plans1"],
    "?sent_before=2030-01-01T12:02:00.000001Z": ["lunch1", "plans1"],
    "?sent_before=2030-01-01T07:02:00-05:00": ["plans1"],
    "?sent_before=0001-01-01T00:00:00Z": [],
    "?search=red": ["lunch1", "plans1"],
    "?search=RED+KITE": ["plans1"],
    "?search=%20kite%20": ["plans1"],
    "?search=between": [],
    "?search=100%25": ["plans2"],
    "?search=%25": ["plans2"],
    "?search=_": ["lunch2"],
    "?search=Gone": [],
    "?search=nothing": [],
    "?search='": [],
    "?ordering=-seq": ALL,
    "?ordering=seq": ALL[::-1],
    # Several.
    "?conversation_id=<plans>&after_seq=2": ["plans4", "plans3"],
    "?conversation_id=<plans>&before_seq=3": ["plans2", "plans1"],
    "?conversation_id=<plans>&after_seq=1&before_seq=4": ["plans3", "plans2"],
    "?conversation_id=<plans>&after_seq=1&before_seq=4&ordering=seq": [
        "plans2",
        "plans3",
    ],
    "?conversation_id=<plans>&after_seq=0": ["plans4", "plans3", "plans2", "plans1"],
    "?conversation_id=<plans>&after_seq=4": [],
    "?conversation_id=<plans>&before_seq=1": [],
    "?conversation_id=<plans>&after_seq=9223372036854775807": [],
    "?conversation_id=<secret>&after_seq=0": [],
    "?conversation_id=<secret>&before_seq=9": [],
    "?conversation_id=<secret>&search=blue": [],
    "?conversation_id=<secret>&sender=<mallory>": [],
    "?conversation_id=<secret>&sender=<bob>&unread=true": [],
    "?conversation_id=<secret>&unread=false": [],
    "?conversation_id=<secret>&sent_before=2031-01-01T00:00:00Z": [],
    "?conversation_id=<plans>&ordering=seq": ["plans1", "plans2", "plans3", "plans4"],
    "?conversation_id=<plans>&unread=true": ["plans4", "plans3"],
    "?conversation_id=<plans>&sender=<bob>&search=blue": ["plans3", "plans2"],
    "?conversation=<plans>&sender=<bob>&search=blue": ["plans3", "plans2"],
    "?conversation=<plans>&after_seq=2&ordering=seq": ["plans3", "plans4"],
    "?conversation=<plans>&after_seq=2&unread=true": ["plans4", "plans3"],
    "?conversation=<secret>&search=blue": [],
    "?sender=<bob>&unread=true&ordering=seq": ["lunch1", "plans3", "plans4"],
    "?sender=<bob>&sent_after=2030-01-01T12:02:00Z&sent_before=2030-01-01T12:07:00Z": [
        "plans3",
        "plans2",
    ],
    "?sender=<mallory>&search=blue": [],
    "?search=red&unread=true": ["lunch1"],
    "?search=red&unread=false&ordering=seq": ["plans1"],
}


@pytest.mark.parametrize(("query", "wanted"), MESSAGE_QUERIES.items())
def test_messages_filter(query, wanted, as_alice, world):
    assert messages_shown(as_alice, world, query) == wanted


@pytest.mark.parametrize(
    "query",
    [
        "",
        "?unread=true",
        "?unread=false",
        "?search=a",
        "?sender=<bob>",
        "?sender=<alice>",
        "?conversation_id=<plans>",
        "?conversation_id=<secret>&after_seq=0",
        "?sent_before=2031-01-01T00:00:00Z",
        "?ordering=seq",
    ],
)
def test_messages_filter_shows_nothing_to_one_who_takes_part_nowhere(
    query, as_admin, world
):
    assert messages_shown(as_admin, world, query) == []


def test_messages_filter_reads_unread_for_the_reader(as_alice, as_bob, world):
    # His own last message has moved his cursor in "plans" to the end.
    assert messages_shown(as_bob, world, "?unread=true") == ["lunch2", "secret2"]
    assert messages_shown(as_bob, world, "?unread=true&conversation_id=<plans>") == []


NO_UUID = ["Enter a valid UUID."]
NO_TIME = ["Must be an RFC 3339 time, such as 2026-11-23T18:00:00Z."]
NO_SEQ = ["Enter a whole number."]
NEEDS_CONVERSATION = ["Requires conversation_id."]
NUL = ["Null characters are not allowed."]
TOO_LONG = ["Ensure this value has at most 200 characters (it has 201)."]


BAD_MESSAGE_QUERIES = {
    "?conversation_id=x": {"conversation_id": NO_UUID},
    "?conversation_id=1&after_seq=1": {"conversation_id": NO_UUID},
    "?sender=bob": {"sender": NO_UUID},
    "?unread=1": {"unread": no_choice("1")},
    "?unread=True": {"unread": no_choice("True")},
    "?sent_after=noon": {"sent_after": NO_TIME},
    "?sent_after=2030-02-30T00:00:00Z": {"sent_after": NO_TIME},
    "?sent_after=2030-01-01T12:00:00+02:00": {"sent_after": NO_TIME},  # "+" is a space
    "?sent_after=0001-01-01T00:00:00%2B14:00": {"sent_after": NO_TIME},
    "?sent_before=9999-12-31T23:59:59-14:00": {"sent_before": NO_TIME},
    "?sent_before=10000-01-01T00:00:00Z": {"sent_before": NO_TIME},
    "?after_seq=1": {"after_seq": NEEDS_CONVERSATION},
    "?before_seq=1": {"before_seq": NEEDS_CONVERSATION},
    "?after_seq=0&before_seq=9": {
        "after_seq": NEEDS_CONVERSATION,
        "before_seq": NEEDS_CONVERSATION,
    },
    "?conversation_id=<plans>&after_seq=x": {"after_seq": NO_SEQ},
    "?conversation_id=<plans>&after_seq=1.5": {"after_seq": NO_SEQ},
    "?conversation_id=<plans>&after_seq=-1": {
        "after_seq": ["Ensure this value is greater than or equal to 0."]
    },
    "?conversation_id=<plans>&before_seq=9223372036854775808": {
        "before_seq": [
            "Ensure this value is less than or equal to 9223372036854775807."
        ]
    },
    "?ordering=sent_at": {"ordering": no_choice("sent_at")},
    "?ordering=-sender__password": {"ordering": no_choice("-sender__password")},
    "?search=a%00": {"search": NUL},
    f"?search={'a' * 201}": {"search": TOO_LONG},
    "?conversation=x": {"conversation_id": NO_UUID},
    "?conversation=<plans>&conversation_id=<plans>": {
        "conversation": ["Give either conversation or conversation_id, not both."]
    },
    "?conversation_id=%20&after_seq=1": {"after_seq": NEEDS_CONVERSATION},
    "?sender=x&unread=x": {"sender": NO_UUID, "unread": no_choice("x")},
}


@pytest.mark.parametrize(("query", "errors"), BAD_MESSAGE_QUERIES.items())
def test_messages_filter_with_bad_input_names_the_parameter(
    query, errors, as_alice, world
):
    response = as_alice.get(MESSAGES + world.fill_in(query))

    assert (response.status_code, response.json()) == (400, errors)


def test_by_conversation_takes_the_same_filters(as_alice, world):
    query = world.fill_in(
        "?conversation_id=<plans>&sender=<bob>&after_seq=1&search=blue&unread=true"
    )

    results = as_alice.get(f"{MESSAGES}by_conversation/{query}").json()["results"]

    assert [world.names[row["message_id"]] for row in results] == ["plans3"]


def test_by_conversation_of_others_is_404_whatever_the_filters(as_alice, world):
    query = world.fill_in("?conversation_id=<secret>&search=blue&after_seq=0")

    response = as_alice.get(f"{MESSAGES}by_conversation/{query}")

    assert response.status_code == 404
    assert response.json() == {"detail": "Not found.", "code": "not_found"}


def test_search_of_200_characters_is_the_longest(as_alice, alice, world):
    send(alice, world.plans, "ü" * 300)

    results = as_alice.get(MESSAGES, {"search": "ü" * 200}).json()["results"]

    assert [row["message_body"] for row in results] == ["ü" * 300]


# --- Conversations -------------------------------------------------------------

CONVERSATION_QUERIES = {
    "": ["plans", "lunch"],
    "?participant=<bob>": ["plans", "lunch"],
    "?participant=<alice>": ["plans", "lunch"],
    "?participant=<mallory>": ["lunch"],
    "?participant=<unknown>": [],
    "?unread=true": ["plans", "lunch"],
    "?search=plans": ["plans"],
    "?search=FOR+may": ["plans"],
    "?search=secret": [],
    "?search=mallory": ["lunch"],
    "?search=Alice": ["plans", "lunch"],
    "?search=person": ["plans", "lunch"],  # everybody's last name
    "?search=example.org": [],  # e-mail addresses are private
    "?search=%25": [],
    "?search=_": [],
    "?participant=<mallory>&search=plans": [],
    "?participant=<mallory>&search=bob&unread=true": ["lunch"],
    "?participant=<bob>&unread=false": [],
}


@pytest.mark.parametrize(("query", "wanted"), CONVERSATION_QUERIES.items())
def test_conversations_filter(query, wanted, as_alice, world):
    assert conversations_shown(as_alice, world, query) == wanted


def test_conversations_filter_reads_unread_for_the_reader(as_alice, as_bob, world):
    messages.mark_as_read(world.people["alice"], world.messages["plans4"].pk)

    assert conversations_shown(as_alice, world, "?unread=true") == ["lunch"]
    assert conversations_shown(as_alice, world, "?unread=false") == ["plans"]
    assert conversations_shown(as_bob, world, "?unread=true") == ["lunch", "secret"]
    assert conversations_shown(as_bob, world, "?unread=false") == ["plans"]


@pytest.mark.parametrize(
    "query",
    ["", "?participant=<bob>", "?unread=true", "?unread=false", "?search=plans"],
)
def test_conversations_filter_shows_nothing_to_one_who_takes_part_nowhere(
    query, as_admin, world
):
    assert conversations_shown(as_admin, world, query) == []


def test_conversations_search_finds_each_once(as_alice, alice):
    made = start(alice, *(UserFactory(first_name="Zoë") for _ in range(3)), title="Zoë")

    results = as_alice.get(CONVERSATIONS, {"search": "Zoë"}).json()["results"]

    assert [row["conversation_id"] for row in results] == [str(made.pk)]


def test_conversations_search_does_not_find_by_former_participants(
    as_alice, alice, world
):
    trent = UserFactory(first_name="Trent")
    conversations.add_participant(alice, world.plans.pk, user_id=trent.pk)
    found = conversations_shown(as_alice, world, "?search=Trent")
    conversations.remove_participant(alice, world.plans.pk, user_id=trent.pk)

    assert found == ["plans"]
    assert conversations_shown(as_alice, world, "?search=Trent") == []


BAD_CONVERSATION_QUERIES = {
    "?participant=bob": {"participant": NO_UUID},
    "?unread=yes": {"unread": no_choice("yes")},
    "?search=%00": {"search": NUL},
    f"?search={'a' * 201}": {"search": TOO_LONG},
}


@pytest.mark.parametrize(("query", "errors"), BAD_CONVERSATION_QUERIES.items())
def test_conversations_filter_with_bad_input_names_the_parameter(
    query, errors, as_alice, world
):
    response = as_alice.get(CONVERSATIONS + query)

    assert (response.status_code, response.json()) == (400, errors)
