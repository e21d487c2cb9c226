"""What the measurement of growth loads: a database the API answers rightly on."""

import pytest
from django.core.management import call_command
from django.db import connection
from django.db.models import F
from rest_framework.test import APIClient

from bench.lab import loading
from bench.lab.bulk import write
from bench.lab.loading import load
from bench.lab.population import ABSENT, RARE, Population, bodies
from chats.models import Conversation, Event, Message, Participant, User

MESSAGES = 400

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def place():
    return load(MESSAGES, bodies(None))


@pytest.fixture
def get(place):
    """Return a function that gets a path as the first caller."""
    client = APIClient(headers={"Authorization": f"Token {place.first.token}"})

    def get(path: str, **query) -> dict:
        response = client.get(f"/api/{path}/", query)
        assert response.status_code == 200
        return response.json()

    return get


def indexes() -> set[str]:
    with connection.cursor() as cursor:
        return {
            name
            for model in (Message, Conversation, Participant, Event)
            for name in connection.introspection.get_constraints(
                cursor, model._meta.db_table
            )
        }


def test_load_keeps_every_index_and_constraint():
    before = indexes()
    load(MESSAGES, bodies(None))

    assert indexes() == before


def test_load_leaves_nothing_for_the_doctor_to_find(place, client):
    call_command("doctor", verbosity=0)  # raises an error otherwise

    said = Conversation.objects.filter(last_seq__gt=0)
    assert Message.objects.count() == MESSAGES
    assert not said.exclude(updated_at=F("last_message__sent_at")).exists()
    people = (place.first, place.second, place.third)
    assert [
        Participant.objects.filter(user=caller.user_id).count() for caller in people
    ] == [25, 10, MESSAGES // 2 + 1]
    client.cookies["sessionid"] = place.session
    assert client.get("/admin/chats/message/").status_code == 200


def test_calls_find_what_the_load_is_to_hold(place, get):
    """One load for all of them: to make it takes longer than to call."""
    rows = get("messages", conversation_id=place.large, page_size=50)["results"]
    assert [row["seq"] for row in rows] == list(range(place.depth, 0, -1))

    rows = get("conversations", unread="true")["results"]
    unread = {row["conversation_id"]: row["unread_count"] for row in rows}
    assert unread.pop(place.large) == place.depth - place.depth // 2
    assert len(unread) == 2

    found = [len(get("messages", search=word)["results"]) for word in (RARE, ABSENT)]
    assert found == [3, 0]

    rows = get("messages", sender=place.seldom)["results"]
    assert [row["seq"] for row in rows] == [30, 20, 10]


def test_backlog_is_the_newest_tenth_of_ones_own(place, get):
    events = get("events", after=place.log_begins, limit=100)["events"]
    mine = Conversation.objects.filter(participations__user=place.first.user_id)
    newest = Message.objects.order_by("-message_id")[: MESSAGES // 10]
    expected = [
        str(message.pk)
        for message in reversed(newest)
        if message.conversation_id in set(mine.values_list("pk", flat=True))
    ]

    assert [event["message"]["message_id"] for event in events] == expected
    assert Event.objects.count() == MESSAGES // 10


def test_so_many_events_are_missed_behind_the_cursor(monkeypatch):
    monkeypatch.setattr(loading, "MISSED", 5)
    place = loading.load(MESSAGES, bodies(None))
    client = APIClient(headers={"Authorization": f"Token {place.first.token}"})

    assert len(client.get(f"/api/events/?after={place.missed}").json()["events"]) == 5


def test_write_leaves_columns_that_are_not_named_to_the_model():
    person = ("018c0000000070008000000000000001", "ann", "ann@example.org", "A", "B")
    names = ("user_id", "username", "email", "first_name", "last_name")
    write(User, names, [person])

    [found] = User.objects.all()
    assert (found.username, found.role, found.is_active) == ("ann", "guest", True)
    assert found.created_at is not None


def test_population_is_the_same_for_the_same_size():
    first, again = (list(Population(300, ["a", "b"]).said()) for _ in range(2))

    assert [(number, seq, who) for number, _, seq, who, _ in first] == [
        (number, seq, who) for number, _, seq, who, _ in again
    ]


def test_bodies_of_a_corpus_are_its_lines(tmp_path):
    (tmp_path / "a.txt").write_text("[00:01] <a> one\n=== b has joined\n")
    (tmp_path / "b.txt").write_text("[00:02] <b> two\n")

    assert bodies(tmp_path) == ["one", "two"]
