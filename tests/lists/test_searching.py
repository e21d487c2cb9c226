"""Searches whose pages look through a stretch of rows: they miss nothing, and end."""

from itertools import chain
from uuid import UUID

import pytest
from django.db import DatabaseError, connection, transaction
from django.test.utils import CaptureQueriesContext

from chats.db.impatient import OutOfTime, time_limit
from chats.lists import searching
from chats.lists.pagination import decode_cursor, encode_cursor
from chats.lists.searching import messages_of
from chats.models import Conversation, Message, Participant, User, search_index
from chats.services import messages
from tests.support.bulk import fill
from tests.support.factories import UserFactory, send, start
from tests.support.routes import CONVERSATIONS, MESSAGES, USERS
from tests.support.searches import TIME_LIMIT, bodies, follow, look, pages

NEWEST = ["-sent_at", "-message_id"]


@pytest.fixture
def unindexed(monkeypatch):
    """No rows are found but by going through their list."""
    monkeypatch.setattr(search_index, "has_index", lambda name: False)
    monkeypatch.setattr(searching, "people_with", lambda *args, **kwargs: None)


@pytest.fixture
def short(monkeypatch, unindexed):
    """Stretches of a few rows, so that a few dozen rows are many."""
    look(monkeypatch, 2, 5)
    monkeypatch.setattr(searching, "CONVERSATIONS", 5)


@pytest.fixture
def hurried(monkeypatch, unindexed):
    """There is no time for a stretch: each page looks through the least there is."""
    look(monkeypatch, 5, 10)
    monkeypatch.setattr(searching, "PATIENCE", 0)
    monkeypatch.setattr(searching, "LEAST", 3)


@pytest.fixture
def history(alice, bob, conversation) -> Conversation:
    """40 messages here, of which some share a time, among others alice cannot see."""
    fill(conversation, bob, 40)
    fill(start(bob), bob, 25)
    return conversation


@pytest.mark.usefixtures("short")
@pytest.mark.parametrize("place", ["", "&conversation_id={}"])
@pytest.mark.parametrize("ordering", ["-seq", "seq"])
@pytest.mark.parametrize("text", ["MESSAGE", "7", "message 33", "nothing"])
def test_messages_searched_by_stretches_are_those_that_match(
    as_alice, history, text, ordering, place
):
    url = f"{MESSAGES}?search={text}&ordering={ordering}&page_size=3"
    found = pages(as_alice, url + place.format(history.pk))
    names = ["seq"] if place else ["sent_at", "pk"]
    order = [name if ordering == "seq" else f"-{name}" for name in names]
    mine = Message.objects.filter(conversation=history).order_by(*order)
    everything = mine.values_list("message_body", flat=True)
    assert bodies(found) == [one for one in everything if text.lower() in one.lower()]
    assert max(map(len, found)) <= 3


@pytest.mark.usefixtures("hurried")
@pytest.mark.parametrize("place", ["", "&conversation_id={}"])
@pytest.mark.parametrize("ordering", ["-seq", "seq"])
@pytest.mark.parametrize("text", ["MESSAGE", "7", "message 33", "nothing"])
def test_search_without_time_finds_each_message_once(
    as_alice, history, text, ordering, place
):
    url = f"{MESSAGES}?search={text}&ordering={ordering}&page_size=2"
    found = pages(as_alice, url + place.format(history.pk))
    mine = Message.objects.filter(conversation=history)
    mine = mine.order_by("seq" if ordering == "seq" else "-seq")
    everything = mine.values_list("message_body", flat=True)
    expected = [one for one in everything if text.lower() in one.lower()]
    assert sorted(bodies(found)) == sorted(expected)
    assert max(map(len, found)) <= 2


@pytest.mark.usefixtures("hurried")
def test_search_without_time_ends_a_page_by_the_text_it_looked_through(
    as_alice, alice, bob, monkeypatch
):
    monkeypatch.setattr(searching, "LEAST_TEXT", 25)
    place = start(alice, bob)
    for size in (10, 10, 10, 40, 10, 10, 10):  # the newest are looked through first
        send(bob, place, "x" * size)
    url = f"{MESSAGES}?conversation_id={place.pk}&search="

    # 10 and 10; 10, since 40 would be too much; 40 alone; 10 and 10; 10.
    assert [len(page) for page in pages(as_alice, f"{url}x")] == [2, 1, 1, 2, 1]
    assert [len(page) for page in pages(as_alice, f"{url}y")] == [0, 0, 0, 0, 0]


@pytest.mark.usefixtures("hurried")
def test_search_without_time_finds_each_person_once(as_alice, alice):
    for number in range(8):
        UserFactory(username=f"person-{number}", first_name="Zoe")
    found = pages(as_alice, f"{USERS}?search=zoe&page_size=2")
    names = [person["username"] for person in chain(*found)]
    assert names == [f"person-{number}" for number in range(8)]


@pytest.mark.usefixtures("hurried")
def test_search_without_time_finds_each_conversation_once(
    as_alice, alice, bob, monkeypatch
):
    monkeypatch.setattr(searching, "LEAST_PARTICIPANTS", 3)
    for number in range(8):
        start(alice, bob, title=f"Talk {number}")
    found = pages(as_alice, f"{CONVERSATIONS}?search=talk&page_size=2")
    titles = [item["title"] for item in chain(*found)]
    assert titles == [f"Talk {number}" for number in reversed(range(8))]
    assert max(map(len, found)) == 1  # more would be more than three participants


@pytest.mark.parametrize(
    ("body", "text"), [("a", "a" * 198 + "b"), ("\N{GRINNING FACE}", "a")]
)
def test_search_of_long_bodies_is_quick(alice, bob, conversation, body, text):
    """Of equal letters a LIKE compares the text at each of them."""
    last = send(bob, conversation, body * 10_000)
    text = text.replace("a", body)
    more = [
        Message(
            conversation=conversation,
            seq=seq,
            sender=bob,
            message_body=last.message_body,
            sent_at=last.sent_at,
        )
        for seq in range(2, 50)
    ]
    Message.objects.bulk_create(more)
    with time_limit(2_000):
        assert Message.objects.search(text.replace("b", "x")).count() in {0, 49}


SLOW = {
    "sqlite": "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n)"
    " SELECT COUNT(*) FROM n",
    "postgresql": "SELECT pg_sleep(60)",
}


@pytest.mark.django_db(transaction=True)
def test_time_limit_ends_a_statement_and_nothing_later():
    with connection.cursor() as cursor:
        with pytest.raises(OutOfTime), time_limit(1):
            cursor.execute(SLOW[connection.vendor])
        with time_limit(60_000):
            cursor.execute("SELECT 1")
        cursor.execute("SELECT 2")
        assert cursor.fetchone() == (2,)
        if connection.vendor == "postgresql":
            cursor.execute("SHOW statement_timeout")
            assert cursor.fetchone() == ("0",)


@pytest.mark.usefixtures("db")
def test_time_limit_leaves_other_errors_as_they_are():
    with pytest.raises(DatabaseError), transaction.atomic(), time_limit(60_000):
        connection.cursor().execute("SELECT no_such_column")


@pytest.mark.usefixtures("short")
def test_page_looks_no_further_than_its_stretch(as_alice, history):
    url = f"{MESSAGES}?conversation_id={history.pk}&search=message 33"
    found = pages(as_alice, url)
    # The first page to 39; 38 to 34; 33 to 29; and on through what is left.
    assert [len(page) for page in found] == [0, 0, 1, 0, 0, 0, 0, 0, 0]


@pytest.mark.usefixtures("short")
def test_page_that_is_full_early_ends_early(as_alice, history):
    url = f"{MESSAGES}?conversation_id={history.pk}&search=message&page_size=2"
    answer = as_alice.get(url).json()
    assert [message["seq"] for message in answer["results"]] == [40, 39]
    answer = as_alice.get(answer["next"]).json()
    assert [message["seq"] for message in answer["results"]] == [38, 37]


def test_all_of_ones_few_messages_are_looked_through_at_once(
    as_alice, bob, conversation, monkeypatch
):
    send(bob, conversation, "A needle")
    fill(start(bob), bob, 25)
    look(monkeypatch, 2, 5)
    answer = as_alice.get(f"{MESSAGES}?search=needle").json()
    assert (bodies([answer["results"]]), answer["next"]) == (["A needle"], None)


@pytest.mark.usefixtures("short")
@pytest.mark.parametrize("ordering", ["-seq", "seq"])
def test_edge_among_everybodys_messages_names_none_of_them(as_alice, history, ordering):
    """Of 65 messages 25 are not alice's: a cursor gives away neither id nor moment."""
    Message.objects.update(
        sent_at=Message.objects.first().sent_at.replace(microsecond=7)
    )
    history.messages.filter(seq__lte=20).update(sent_at="2029-01-01T00:00:00.5Z")
    url = f"{MESSAGES}?search=nothing&ordering={ordering}"
    sign = "" if ordering == "seq" else "-"
    order = [f"{sign}sent_at", f"{sign}message_id"]
    links = [page["next"] for page in follow(as_alice, url, "next")]
    assert len(links) > 1
    for link in links[:-1]:
        cursor = link.partition("cursor=")[2].partition("&")[0]
        _, (sent_at, message_id) = decode_cursor(cursor, Message, order)
        assert sent_at.microsecond == 0
        assert message_id.int == (2**128 - 1 if ordering == "seq" else 0)


@pytest.mark.usefixtures("short")
@pytest.mark.parametrize("order", ["-seq", "seq"])
def test_others_messages_are_counted_by_whole_seconds(as_alice, history, order):
    """Else a span that is made smaller and smaller tells when one was sent."""
    second = "2029-01-01T12:00:00"
    others = Message.objects.exclude(conversation=history)
    others.update(sent_at=f"{second}.400000Z")
    url = f"{MESSAGES}?search=nothing&ordering={order}"

    def leads_on(since: str, until: str) -> bool:
        span = f"sent_after={second}.{since}Z&sent_before={second}.{until}Z"
        return as_alice.get(f"{url}&{span}").json()["next"] is not None

    assert leads_on("3", "5") == leads_on("5", "6") == leads_on("1", "2")

    def leads_where(moment: str) -> str:
        names = ["sent_at", "message_id"] if order == "seq" else NEWEST
        cursor = encode_cursor(False, names, [f"{second}.{moment}+00:00", UUID(int=7)])
        return as_alice.get(f"{url}&cursor={cursor}").json()["next"]

    assert leads_where("3") == leads_where("5")


@pytest.mark.parametrize("edge", ["sent_after", "sent_before"])
@pytest.mark.usefixtures("short")
def test_search_at_the_end_of_the_calendar(as_alice, history, edge):
    end = "9999-12-31T23:59:59.999999Z"
    assert as_alice.get(f"{MESSAGES}?search=x&{edge}={end}").status_code == 200


@pytest.mark.usefixtures("short")
def test_search_in_a_conversation_of_others_has_no_next(as_mallory, history):
    url = f"{MESSAGES}?conversation_id={history.pk}&search=nothing"
    assert as_mallory.get(url).json() == {"next": None, "previous": None, "results": []}


@pytest.mark.usefixtures("short")
def test_search_across_conversations_shows_nothing_of_others(as_alice, bob, history):
    send(bob, start(bob), "Message of a secret")
    found = bodies(pages(as_alice, f"{MESSAGES}?search=message"))
    assert len(found) == 40
    assert "Message of a secret" not in found


@pytest.mark.usefixtures("short")
def test_search_goes_with_other_filters(as_alice, alice, bob, history):
    Participant.objects.filter(user=alice).update(last_read_seq=30)
    fill(history, alice, 3, first=41)
    query = "search=message&sender={}&unread=true"
    found = bodies(pages(as_alice, f"{MESSAGES}?{query.format(bob.pk)}"))
    assert sorted(found) == [f"Message {number}" for number in range(31, 41)]


@pytest.mark.parametrize("time", ["short", "hurried"])
def test_search_of_a_span_looks_through_no_more(as_alice, history, time, request):
    request.getfixturevalue(time)
    history.messages.filter(seq=7).update(sent_at="2029-06-01T12:00:00Z")
    span = "sent_after=2029-01-01T00:00:00Z&sent_before=2029-12-31T00:00:00Z"
    found = pages(as_alice, f"{MESSAGES}?search=message&{span}")
    assert [bodies([page]) for page in found] == [["Message 7"]]


@pytest.mark.usefixtures("short")
def test_people_searched_by_stretches_are_those_that_match(as_alice, alice):
    for number in range(20):
        UserFactory(
            username=f"person-{number:02}", first_name="Zoë" if number % 9 else "Ann"
        )
    found = pages(as_alice, f"{USERS}?search=ann&page_size=2")
    names = [person["username"] for person in chain(*found)]
    assert names == ["person-00", "person-09", "person-18"]


@pytest.mark.usefixtures("short")
def test_conversations_searched_by_stretches_are_those_that_match(as_alice, alice, bob):
    for number in range(20):
        start(alice, *([] if number % 8 else [bob]), title=f"Talk {number}")
    found = pages(as_alice, f"{CONVERSATIONS}?search=bob&page_size=2")
    titles = [item["title"] for item in chain(*found)]
    assert titles == ["Talk 16", "Talk 8", "Talk 0"]
    found = pages(as_alice, f"{CONVERSATIONS}?search=talk 5&page_size=2")
    assert [item["title"] for item in chain(*found)] == ["Talk 5"]


def test_stretch_of_conversations_is_shorter_where_many_take_part(
    as_alice, alice, monkeypatch
):
    monkeypatch.setattr(searching, "PARTICIPANTS", 6)
    crowd = UserFactory.create_batch(3)
    for _ in range(4):
        start(alice, *crowd)
    found = pages(as_alice, f"{CONVERSATIONS}?search=nothing")
    assert [len(page) for page in found] == [0, 0]  # two with 8 people, and two


@pytest.mark.usefixtures("unindexed")
@pytest.mark.parametrize(
    ("url", "queries"),
    [
        (f"{MESSAGES}?search=message", 2),  # how many are mine; the page
        (f"{USERS}?search=person", 2),  # how far the first few go; the page
        (f"{CONVERSATIONS}?search=plans", 3),  # where to stop; the page; previews
    ],
)
def test_search_of_few_rows_takes_few_queries(
    as_alice, history, url, queries, django_assert_num_queries
):
    with django_assert_num_queries(TIME_LIMIT + queries):
        as_alice.get(url)


@pytest.fixture
def indexed(monkeypatch):
    """An index of messages that knows each one, on either database."""

    def find(text: str, reader: User, conversation_id: UUID) -> list[UUID]:
        mine = Message.objects.visible_to(reader).filter(conversation=conversation_id)
        return list(mine.search(text).values_list("pk", flat=True))

    monkeypatch.setattr(searching, "messages_with", find)


@pytest.mark.usefixtures("indexed")
@pytest.mark.parametrize("ordering", ["-seq", "seq"])
def test_what_is_deleted_before_it_is_read_takes_nothing_else_along(
    as_alice, bob, history, monkeypatch, ordering
):
    def meanwhile(reader_id: UUID, ids: list[UUID]) -> list[dict]:
        seqs = Message.objects.filter(pk__in=ids).values_list("seq", "pk")
        for seq, key in seqs:
            if seq % 4 or 12 < seq < 20:  # of one page of four all, of the others most
                messages.delete_message(bob, key)
        return messages_of(reader_id, ids)

    monkeypatch.setattr(searching, "messages_of", meanwhile)
    url = f"{MESSAGES}?conversation_id={history.pk}&search=message&page_size=4"
    found = [
        page["results"]
        for page in follow(as_alice, f"{url}&ordering={ordering}", "next")
    ]
    seqs = [message["seq"] for message in chain(*found)]
    kept = [seq for seq in range(1, 41) if not seq % 4 and not 12 < seq < 20]
    assert seqs == (kept if ordering == "seq" else kept[::-1])
    assert all(message["message_body"] for message in chain(*found))


@pytest.mark.parametrize("count", [0, 1, 3])
def test_messages_by_their_ids_are_those_that_the_reader_may_see(
    alice, bob, history, count
):
    hidden = start(bob)
    send(bob, hidden, "Not for alice")
    keys = list(history.messages.values_list("pk", flat=True)[:count])
    found = messages_of(alice.pk, [*keys, *keys, hidden.messages.get().pk])
    assert sorted(row["message_id"] for row in found) == sorted(keys)


@pytest.mark.usefixtures("short")
@pytest.mark.skipif(connection.vendor != "sqlite", reason="SQLite's planner")
def test_search_among_many_messages_reads_them_in_order(as_alice, history):
    with CaptureQueriesContext(
        connection,
    ) as captured:
        as_alice.get(f"{MESSAGES}?search=nothing")
    last = captured.captured_queries[-1]["sql"]
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN QUERY PLAN {last}")
        plan = [row[-1] for row in cursor.fetchall()]
    assert plan[0].startswith("SEARCH chats_message USING INDEX message_newest")
    assert not [step for step in plan if "ORDER BY" in step]
