"""Prepared pages: the same answers as the filter sets give."""

import json
import re
from itertools import count
from urllib.parse import parse_qs, urlsplit

import pytest
from django.db import connection

from chats.lists import pages
from chats.models import Conversation, Participant
from chats.serializers.participants import first_participants
from chats.web.sizes import PREVIEW_SIZE
from tests.support.bulk import crowd, fill
from tests.support.factories import send, start


@pytest.fixture
def talk(alice, bob, conversation) -> Conversation:
    """Seven messages, three of them read by bob; and one elsewhere."""
    for sender in (alice, bob, alice, alice, bob, alice, alice):
        send(sender, conversation)
    Participant.objects.filter(user=bob).update(last_read_seq=3)
    send(alice, start(alice, bob))
    return conversation


def walk(client, url: str, link: str = "next") -> list[dict]:
    """Return the bodies of a page and all that follow it by the link."""
    bodies = []
    while url:
        bodies.append(client.get(url).json())
        url = bodies[-1][link]
    return bodies


def contents(bodies: list[dict]) -> list[tuple]:
    """Return what pages hold, and the cursors of their links."""
    return [
        (body["results"], *(cursor_of(body[link]) for link in ("next", "previous")))
        for body in bodies
    ]


def cursor_of(url: str | None) -> list[str] | None:
    return url and parse_qs(urlsplit(url).query)["cursor"]


@pytest.mark.parametrize("page_size", [1, 3, 7, 200])
@pytest.mark.parametrize(
    ("query", "seqs"),
    [
        ("", [7, 6, 5, 4, 3, 2, 1]),
        ("&ordering=seq", [1, 2, 3, 4, 5, 6, 7]),
        ("&ordering=-seq&after_seq=2", [7, 6, 5, 4, 3]),
        ("&before_seq=6&after_seq=1&ordering=seq", [2, 3, 4, 5]),
        ("&before_seq=1", []),
        ("&after_seq=999999999999999999", []),
    ],
)
def test_messages_of_one_conversation_page_as_the_filter_set_has_them(
    query, seqs, page_size, as_bob, talk
):
    url = f"/api/messages/?page_size={page_size}{query}&conversation_id="

    prepared = walk(as_bob, f"{url}{talk.pk}")
    filtered = walk(as_bob, f"{url}{talk.pk.hex}")  # a form left to the filter set

    shown = [message for body in prepared for message in body["results"]]
    assert [message["seq"] for message in shown] == seqs
    assert contents(prepared) == contents(filtered)
    back = walk(as_bob, prepared[-1]["previous"], "previous")
    assert [body["results"] for body in reversed(back)] == [
        body["results"] for body in prepared[:-1]
    ]


def test_messages_of_one_conversation_are_none_to_outsiders(as_mallory, talk):
    body = as_mallory.get(f"/api/messages/?conversation_id={talk.pk}").json()

    assert body == {"next": None, "previous": None, "results": []}


def all_steps(plan: dict) -> list[dict]:
    return [plan, *(step for x in plan.get("Plans", ()) for step in all_steps(x))]


@pytest.mark.skipif(connection.vendor != "postgresql", reason="PostgreSQL's planner")
@pytest.mark.parametrize("statement", [pages._FALLING, pages._RISING])
def test_page_of_a_large_conversation_among_small_ones_gathers_no_more(
    statement, alice, bob
):
    for place in (start(alice, *crowd(60)), *(start(alice) for _ in range(99))):
        send(alice, place)
    large = start(alice, bob)
    fill(large, bob, 399)
    number = count(1)
    sql = re.sub("%s", lambda _: f"${next(number)}", statement._compile().sql)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")
        cursor.execute(f"PREPARE page AS {sql}")
        # What it comes to after a few executions, the values not looked at.
        cursor.execute("SET LOCAL plan_cache_mode = force_generic_plan")
        cursor.execute(
            "EXPLAIN (ANALYZE, FORMAT JSON)"
            f" EXECUTE page('{large.pk}', 0, {pages.MAX_SEQ}, 11, '{alice.pk}')"
        )
        plan = cursor.fetchone()[0]
        cursor.execute("DEALLOCATE page")
    [found] = json.loads(plan) if isinstance(plan, str) else plan

    steps = all_steps(found["Plan"])
    assert found["Plan"]["Actual Rows"] == 11
    # A hundred: the other tables are small enough to be read whole.
    assert max(step["Actual Rows"] * step["Actual Loops"] for step in steps) < 200


@pytest.mark.skipif(connection.vendor != "postgresql", reason="PostgreSQL prepares")
def test_only_prepared_statements_are_prepared(as_alice, talk):
    page = f"/api/messages/?conversation_id={talk.pk}"
    for _ in range(10):
        as_alice.get(page)
        as_alice.get(f"{page}&unread=true")

    with connection.cursor() as cursor:
        cursor.execute("SELECT statement FROM pg_prepared_statements")
        prepared = [sql for [sql] in cursor.fetchall()]
    assert [sql for sql in prepared if 'FROM (SELECT "chats_message"' in sql]
    unread = '"chats_message"."seq" > ("chats_participant"."last_read_seq")'
    assert not [sql for sql in prepared if unread in sql]


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("conversation_id=nonsense", "conversation_id"),
        ("conversation_id={}&after_seq=x", "after_seq"),
        ("conversation_id={}&before_seq=9999999999999999999", "before_seq"),
        ("conversation_id={}&ordering=up", "ordering"),
        ("conversation_id={}&page_size=0", "page_size"),
        ("conversation_id={}&cursor=%00", "cursor"),
    ],
)
def test_mistakes_in_a_plain_query_are_named(query, field, as_bob, talk):
    answer = as_bob.get(f"/api/messages/?{query.format(talk.pk)}")

    assert (answer.status_code, list(answer.json())) == (400, [field])


@pytest.mark.parametrize("page_size", [1, 2, 3, 200])
def test_conversations_page_as_the_filter_set_has_them(page_size, as_bob, bob, alice):
    places = [start(alice, bob, title=f"No {number}") for number in range(5)]
    for place in (places[3], places[0], places[3]):
        send(alice, place)
    Conversation.objects.filter(pk__in=[places[1].pk, places[2].pk]).update(
        updated_at=places[1].updated_at
    )
    url = f"/api/conversations/?page_size={page_size}"

    prepared = walk(as_bob, url)
    filtered = walk(as_bob, f"{url}&participant={bob.pk}")

    shown = [place for body in prepared for place in body["results"]]
    titles = ["No 3", "No 0", "No 4", "No 2", "No 1"]
    assert [place["title"] for place in shown] == titles
    assert contents(prepared) == contents(filtered)
    back = walk(as_bob, prepared[-1]["previous"], "previous")
    assert [body["results"] for body in reversed(back)] == [
        body["results"] for body in prepared[:-1]
    ]


def test_previews_show_the_longest_standing_of_each_conversation(alice, bob, mallory):
    one, two, other = start(alice, bob), start(mallory, alice), start(bob)
    large = start(bob, *crowd(PREVIEW_SIZE + 3))

    shown = first_participants([one.pk, two.pk, large.pk])

    names = {
        key: [row["user__username"] for row in people] for key, people in shown.items()
    }
    joined = large.participations.values_list("user__username", flat=True)
    of_alice = first_participants([one.pk, two.pk, large.pk], alice.pk)
    assert of_alice == {key: shown[key] for key in (one.pk, two.pk)}
    assert other.pk not in names
    assert names == {
        one.pk: ["alice", "bob"],
        two.pk: ["mallory", "alice"],
        large.pk: list(joined[:PREVIEW_SIZE]),
    }


def test_previews_of_nothing_are_none(db):
    assert first_participants([]) == {}
