"""Searches by an index find what a plain query does, and give up in time."""

import random
from contextlib import nullcontext
from datetime import timedelta
from importlib import import_module
from itertools import chain
from pathlib import Path
from urllib.parse import quote

import pytest
from django.conf import settings
from django.db import connection, transaction
from django.utils import timezone

from chats.management.checks.settings import check_search_index
from chats.models import Conversation, Message, User, search_index
from chats.models.search_index import (
    has_index,
    messages_in,
    messages_with,
    people_with,
    places_of,
)
from tests.support.bulk import fill
from tests.support.databases import on_postgresql
from tests.support.factories import UserFactory, send, start
from tests.support.routes import MESSAGES, USERS
from tests.support.searches import TIME_LIMIT, bodies, look, pages

SEEDS = pytest.mark.parametrize("seed", range(2))
# SQLite has no index of messages, which could find too many.
MOST_FOUND = [0, 4, 500] if connection.vendor == "postgresql" else [500]
WORDS = (
    "Zebra",
    "zebra",
    "ZEBRAS",
    "Ærøskøbing",
    "100%_of\\it",
    "the",
    "a",
    "of",
    "né",
)
TEXTS = ("zebra", "ÆRØSKØBING", "%_O", "f\\i", "the zebra", "a", "e z", "...", "okapi")

migration = import_module("chats.migrations.0012_search_index")


@pytest.fixture(autouse=True)
def uncommon(monkeypatch):
    """Nothing comes up several times among the newest messages: they are one."""
    monkeypatch.setattr(search_index, "NEWEST", 1)


@pytest.fixture
def zoo(alice, bob) -> list[Conversation]:
    """Two conversations of alice and one of others, in which random words are said."""
    return [start(alice, bob), start(bob, alice), start(bob)]


@pytest.fixture
def without_index(db):
    """A database in which there are no indexes of search."""
    with connection.cursor() as cursor:
        cursor.execute("DROP INDEX message_search, user_search")
    has_index.cache_clear()
    yield
    has_index.cache_clear()


def talk(place: Conversation, sender: User, draw: random.Random, count: int) -> None:
    """Have random words said."""
    fill(
        place,
        sender,
        count,
        body=lambda _: " ".join(draw.choices(WORDS, k=draw.randint(1, 3))),
    )


@SEEDS
@pytest.mark.parametrize("ordering", ["-seq", "seq"])
@pytest.mark.parametrize("found", MOST_FOUND)
def test_search_finds_what_a_plain_query_does(
    as_alice, bob, zoo, monkeypatch, seed, ordering, found
):
    """With an index that gives up on all it finds, on much, and on nothing."""
    draw = random.Random(seed)
    for place in zoo:
        talk(place, bob, draw, 20)
    look(monkeypatch, 3, 7)
    monkeypatch.setattr(search_index, "FOUND", found)
    for text in TEXTS:
        url = f"{MESSAGES}?search={quote(text)}&ordering={ordering}"
        for among in (zoo[:2], zoo[:1]):
            place = f"&conversation_id={zoo[0].pk}" if len(among) == 1 else ""
            shown = pages(as_alice, f"{url}{place}&page_size=3")
            names = ["seq"] if place else ["sent_at", "pk"]
            order = names if ordering == "seq" else [f"-{name}" for name in names]
            plain = Message.objects.filter(conversation__in=among).search(text)
            expected = plain.order_by(*order).values_list("message_body", flat=True)
            assert bodies(shown) == list(expected), (text, place)


@SEEDS
@pytest.mark.parametrize("found", [0, 4, 500])
def test_search_of_people_finds_what_a_plain_query_does(
    as_alice, as_admin, monkeypatch, seed, found
):
    draw = random.Random(seed)
    for number in range(30):
        UserFactory(
            username=f"{draw.choice(['anna', 'Ann', 'zoe'])}{number}",
            first_name=draw.choice(["Zoë", "Anna", "O'Hara"]),
            last_name=draw.choice(["Nanni", "Zebra"]),
            is_active=number % 5 > 0,
        )
    look(monkeypatch, 2, 7)
    monkeypatch.setattr(search_index, "FOUND", found)
    for client, with_email in ((as_alice, False), (as_admin, True)):
        for text in ("ann", "ZOË", "o'h", "nna1", "a nan", "zoe3", "example", "29@"):
            shown = pages(client, f"{USERS}?search={quote(text)}&page_size=3")
            people = User.objects.active().search(text, with_email=with_email)
            expected = people.order_by("username").values_list("username", flat=True)
            assert [who["username"] for who in chain(*shown)] == list(expected), text


def test_person_far_back_is_found_on_the_first_page(as_alice, monkeypatch):
    look(monkeypatch, 2, 5)
    for number in range(20):
        UserFactory(username=f"person-{number:02}")
    for text, names in [("PERSON-19", ["person-19"]), ("okapi", [])]:
        answer = as_alice.get(f"{USERS}?search={text}").json()
        found = [person["username"] for person in answer["results"]]
        assert (found, answer["next"]) == (names, None)


@on_postgresql
def test_rare_word_far_back_is_found_on_the_first_page(as_alice, bob, monkeypatch, zoo):
    send(bob, zoo[0], "A needle")
    talk(zoo[2], bob, random.Random(1), 30)
    for number in range(20):
        send(bob, zoo[1], f"Hay {number}")
    look(monkeypatch, 2, 5)
    answer = as_alice.get(f"{MESSAGES}?search=needle").json()
    assert (bodies([answer["results"]]), answer["next"]) == (["A needle"], None)
    answer = as_alice.get(f"{MESSAGES}?search=nowhere").json()
    assert answer == {"next": None, "previous": None, "results": []}


@on_postgresql
def test_index_tells_of_ones_own_conversations_only(alice, bob, mallory, zoo):
    said = [send(bob, place, "The needle").pk for place in zoo]
    assert set(messages_in("NEEDLE", alice, places_of(alice))) == set(said[:2])
    assert messages_with("needle", alice, zoo[1].pk) == [said[1]]
    assert messages_with("needle", alice, zoo[2].pk) == []
    assert messages_in("needle", mallory, places_of(mallory)) == []


@on_postgresql
def test_index_knows_messages_of_every_chapter(alice, bob, zoo, monkeypatch):
    late = send(bob, zoo[0], "The needle")
    last_seq = 3 * search_index.CHAPTER
    Message.objects.filter(pk=late.pk).update(seq=last_seq)
    Conversation.objects.filter(pk=zoo[0].pk).update(last_seq=last_seq)
    assert messages_in("needle", alice, places_of(alice)) == [late.pk]
    monkeypatch.setattr(
        search_index, "CHAPTERS", 5
    )  # four of the one, one of the other
    assert messages_in("needle", alice, places_of(alice)) == [late.pk]
    monkeypatch.setattr(search_index, "CHAPTERS", 4)
    assert messages_in("needle", alice, places_of(alice)) is None


@on_postgresql
@pytest.mark.parametrize("text", ["ne", "e d", "e...", "_%_", "n_ed"])
def test_index_is_not_asked_without_a_trigram(alice, bob, zoo, text):
    send(bob, zoo[0], "The needle")
    assert messages_in(text, alice, places_of(alice)) is None
    assert people_with(text, with_email=True) is None


@on_postgresql
def test_index_gives_up_on_what_is_found_too_often(alice, bob, zoo, monkeypatch):
    monkeypatch.setattr(search_index, "FOUND", 2)
    for number in range(2):
        send(bob, zoo[0], f"Needle {number}")
    assert len(messages_in("needle", alice, places_of(alice))) == 2
    send(bob, zoo[0], "Needle 2")
    assert messages_in("needle", alice, places_of(alice)) is None


@on_postgresql
def test_index_is_not_asked_for_what_the_newest_messages_have(
    alice, bob, zoo, monkeypatch
):
    monkeypatch.setattr(search_index, "NEWEST", 4)
    for place in (zoo[2], zoo[0], zoo[2], zoo[2]):
        send(bob, place, "A needle")
    apart()
    # Once, as far as alice may know.
    assert len(messages_in("needle", alice, places_of(alice))) == 1
    assert len(messages_with("needle", alice, zoo[0].pk)) == 1
    assert messages_with("needle", alice, zoo[2].pk) == []  # whatever bob says there
    send(bob, zoo[0], "Another needle")
    apart()
    assert messages_with("needle", alice, zoo[0].pk) is None
    # The second in which the newest four begin may have begun before.
    assert len(messages_in("needle", alice, places_of(alice))) == 2
    send(bob, zoo[0], "The last needle")
    apart()
    assert messages_in("needle", alice, places_of(alice)) is None


def apart() -> None:
    """Let all messages have been sent a second apart."""
    first = timezone.now() - timedelta(hours=1)
    keys = Message.objects.order_by("sent_at", "message_id").values_list("pk")
    for number, (key,) in enumerate(list(keys)):
        sent_at = first + timedelta(seconds=number)
        Message.objects.filter(pk=key).update(sent_at=sent_at)


@on_postgresql
def test_index_gives_up_on_what_takes_too_long(db, monkeypatch):
    slow = "SELECT pg_sleep(60) WHERE %s <> '' LIMIT %s"
    monkeypatch.setattr(search_index, "PEOPLE", slow)
    assert people_with("needle", with_email=False) is None
    with connection.cursor() as cursor:
        cursor.execute("SHOW statement_timeout")
        assert cursor.fetchone() == ("0",)  # for what comes after


def plan_of(statement: str, *values: object) -> str:
    """Return the plan for unknown values, by indexes where that is possible."""
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_seqscan = off")
        cursor.execute("SET LOCAL plan_cache_mode = force_generic_plan")
        cursor.execute(f"EXPLAIN {statement}", values)
        return "\n".join(line for (line,) in cursor.fetchall())


@on_postgresql
def test_index_is_taken_whatever_the_term(db):
    plan = plan_of(search_index.MESSAGES, ["some chapter"], "%term%", 10)
    assert plan.count("Bitmap Index Scan on message_search") == 1
    [condition] = [line for line in plan.splitlines() if "Index Cond" in line]
    assert "seq >> 16" in condition
    assert "upper(message_body)" in condition
    plan = plan_of(search_index.PEOPLE, "%term%", 10)
    assert plan.count("Bitmap Index Scan on user_search") == 1
    plan = plan_of(search_index.PEOPLE_BY_EMAIL_TOO, "%term%", "%term%", 10)
    assert plan.count("Bitmap Index Scan on user_search") == 2


@on_postgresql
def test_index_is_taken_for_no_other_query(db):
    for rows in (Message.objects.search("term"), User.objects.search("term")):
        sql, values = rows.query.sql_with_params()
        assert "_search" not in plan_of(sql, *values)


@on_postgresql
@pytest.mark.usefixtures("without_index")
def test_search_without_index_goes_by_stretches(as_alice, bob, zoo, monkeypatch):
    send(bob, zoo[0], "A needle")
    talk(zoo[1], bob, random.Random(1), 20)
    look(monkeypatch, 2, 5)
    found = pages(as_alice, f"{MESSAGES}?search=needle")
    assert bodies(found) == ["A needle"]
    assert len(found) > 1


@on_postgresql
@pytest.mark.usefixtures("without_index")
def test_indexes_missing_warn():
    found = check_search_index(None, databases=["default"])
    assert [warning.id for warning in found] == ["chats.W005"] * 2


def test_indexes_there_or_not_wanted_are_silent(db):
    assert check_search_index(None, databases=["default"]) == []
    assert check_search_index(None) == []


def test_docs_say_how_the_migration_makes_the_indexes():
    page = (Path(settings.BASE_DIR) / "docs" / "search.md").read_text()
    for name in migration.EXTENSIONS:
        assert f"CREATE EXTENSION IF NOT EXISTS {name};" in page
    for statement in (migration.MESSAGES, migration.PEOPLE):
        assert f"{statement.strip()};" in page


def test_chapters_are_those_of_the_index():
    bits = search_index.CHAPTER.bit_length() - 1
    for statement in (migration.MESSAGES, search_index.MESSAGES):
        assert f"(seq >> {bits})" in statement


@on_postgresql
@pytest.mark.parametrize(("hits", "queries"), [(1, 4), (3, 4), (60, 5)])
def test_search_by_index_takes_few_queries(
    as_alice, bob, zoo, monkeypatch, django_assert_num_queries, hits, queries
):
    for number in range(hits):
        send(bob, zoo[0], f"Needle {number}")
    talk(zoo[1], bob, random.Random(1), 20)
    look(monkeypatch, 2, 5)
    # My conversations; is it common; the index; which are on the page, if not all; the
    # page. The second, the third and the page have a limit of time each.
    has_index("message_search")  # which a process asks once
    with django_assert_num_queries(3 * TIME_LIMIT + queries):
        as_alice.get(f"{MESSAGES}?search=needle")


@on_postgresql
@pytest.mark.skipif(
    not connection.settings_dict["OPTIONS"].get("server_side_binding"),
    reason="nothing is prepared",
)
def test_search_by_index_leaves_statements_prepared(
    transactional_db, as_alice, bob, zoo, monkeypatch
):
    talk(zoo[0], bob, random.Random(1), 20)
    look(monkeypatch, 2, 5)
    as_alice.get(f"{MESSAGES}?search=needle")
    with connection.cursor() as cursor:
        cursor.execute("SELECT statement FROM pg_prepared_statements")
        prepared = [statement for (statement,) in cursor.fetchall()]
    assert [text for text in prepared if "AS chapter" in text]


@on_postgresql
def test_migration_goes_on_without_the_extensions(db, monkeypatch, capsys):
    monkeypatch.setattr(migration, "EXTENSIONS", ("pg_not_there",))
    with connection.schema_editor(atomic=False) as editor:
        migration.forwards(None, editor)
    assert "Search goes without an index" in capsys.readouterr().out
    assert User.objects.count() == 0  # the connection is still of use


@on_postgresql
def test_migration_goes_on_where_the_extensions_are_out_of_sight(
    without_index, monkeypatch, capsys
):
    plainly = migration.PEOPLE.replace("CONCURRENTLY", "")
    hidden = plainly.replace("gin_trgm_ops", "elsewhere_ops")
    monkeypatch.setattr(migration, "MESSAGES", "SELECT 1")
    monkeypatch.setattr(migration, "PEOPLE", hidden)
    monkeypatch.setattr(migration, "patient", nullcontext)  # all of this is rolled back
    with transaction.atomic(), connection.schema_editor(atomic=False) as editor:
        migration.forwards(None, editor)
        transaction.set_rollback(True)
    assert "Search goes without an index" in capsys.readouterr().out


@on_postgresql
def test_index_broken_off_is_made_again(db):
    with connection.cursor() as cursor, connection.schema_editor() as editor:
        assert migration.broken_off(editor) == []
        cursor.execute(
            "UPDATE pg_index SET indisvalid = false"
            " WHERE indexrelid = 'message_search'::regclass"
        )
        assert migration.broken_off(editor) == ["message_search"]


@on_postgresql
def test_people_found_by_the_index_are_in_the_order_of_the_database(
    as_alice, monkeypatch
):
    """Not all sort by code points, as the test databases do."""
    for name in ("Yak-okapi", "bee-okapi", "Zoo-okapi", "ant-okapi"):
        UserFactory(username=name)
    with connection.cursor() as cursor:
        cursor.execute(
            "ALTER TABLE chats_user"
            ' ALTER COLUMN username TYPE varchar(150) COLLATE "en-x-icu"'
        )
    look(monkeypatch, 1, 2)
    found = pages(as_alice, f"{USERS}?search=okapi&page_size=1")
    names = [person["username"] for page in found for person in page]
    assert names == ["ant-okapi", "bee-okapi", "Yak-okapi", "Zoo-okapi"]


@on_postgresql
def test_sigma_is_left_to_the_list(db):
    assert people_with("ΟΔΟΣ", with_email=False) is None
    assert people_with("ΟΔΟΙ", with_email=False) == []
