"""SQLite's index of people has what a plain query finds, and follows every change."""

import random
import re
from uuid import UUID

import pytest
from django.core.management import call_command
from django.db import OperationalError, connection, migrations, models
from django.db.migrations.loader import MigrationLoader
from django.utils import timezone

from chats.management.checks.settings import check_search_index
from chats.models import User, people_index, search_index
from chats.models.search_index import has_index, people_with
from chats.models.text.characters import spellings
from chats.services import users
from tests.support.factories import UserFactory
from tests.support.routes import USERS
from tests.support.searches import look, pages

pytestmark = [
    pytest.mark.skipif(connection.vendor != "sqlite", reason="SQLite's index"),
    pytest.mark.django_db,
]
# What folds, joins, quotes, escapes, ends a text, or is no character at all.
SIGNS = "aAbBzZ09 .%_\\\"'*^:-+(){}\n\0\t"
SIGNS += "\u0130\u0131ßẞ\u017fΣ\u03c3ςÉée\u0301K𐐀𐐨😀\ufffe\uffff"


@pytest.fixture
def fresh():
    """Whether there is an index is asked anew, in the test and after it."""
    has_index.cache_clear()
    yield
    has_index.cache_clear()


def found(text: str, *, with_email: bool = False) -> set[UUID]:
    return set(people_with(text, with_email=with_email))


def entries() -> list[int]:
    """Return how many rows each table of the index has."""
    with connection.cursor() as cursor:
        return [
            cursor.execute(f"SELECT count(*) FROM {name}").fetchone()[0]
            for name in people_index.TABLES
        ]


def writes(act) -> int:
    """Return how many rows the act wrote, those of triggers among them."""
    before = connection.connection.total_changes
    act()
    return connection.connection.total_changes - before


@pytest.mark.parametrize("seed", range(4))
def test_index_has_whatever_a_plain_query_finds(seed):
    draw = random.Random(seed)

    def some(longest: int, signs: str = SIGNS.replace("\0", "")) -> str:
        return "".join(draw.choices(signs, k=draw.randint(1, longest)))

    people = [
        User(
            username=f"{some(6)}{n}",
            first_name=some(9),
            last_name=some(9),
            email=f"{some(9)}@{n}",
        )
        for n in range(80)
    ]
    User.objects.bulk_create(people)
    hits = 0
    for _ in range(400):
        person = draw.choice(people)
        whole = draw.choice(
            [person.username, person.last_name, person.email, some(5, SIGNS)]
        )
        start = draw.randrange(len(whole))
        text = whole[start : start + draw.randint(3, 9)]
        text = draw.choice([text, text.lower(), text.upper(), text.swapcase()])
        for with_email in (False, True):
            plain = User.objects.search(text, with_email=with_email)
            told = people_with(text, with_email=with_email)
            is_sure = len(text) >= 3 and "\0" not in text
            assert (told is None) == (not is_sure or len(spellings(text)) > 1), text
            if told is not None:
                assert {person.pk for person in plain} <= set(told), text
                hits += plain.count()
    assert hits > 100


def test_person_far_back_is_found_on_the_first_page(as_alice, monkeypatch):
    look(monkeypatch, 2, 5)
    for number in range(20):
        UserFactory(username=f"person-{number:02}")
    for text, names in [("N-19", ["person-19"]), ("okapi", []), ("n-1", range(10))]:
        answer = as_alice.get(f"{USERS}?search={text}").json()
        assert (len(answer["results"]), answer["next"]) == (len(names), None)


def test_e_mails_are_found_for_those_who_may_search_them():
    person = UserFactory(username="ann", email="okapi@example.org")
    assert found("okapi") == set()
    assert found("OKAPI@", with_email=True) == {person.pk}
    assert found("ann", with_email=True) == {person.pk}


def test_index_gives_up_on_what_is_found_too_often(monkeypatch):
    monkeypatch.setattr(search_index, "FOUND", 2)
    UserFactory(last_name="Okapi")
    UserFactory(email="okapi@example.org")
    assert len(found("okapi", with_email=True)) == 2
    UserFactory(last_name="Okapi", email="okapi2@example.org")
    assert people_with("okapi", with_email=True) is None
    assert len(found("okapi")) == 2


@pytest.mark.parametrize(("hits", "queries"), [(1, 2), (3, 2), (60, 3)])
def test_search_by_index_takes_few_queries(
    as_alice, django_assert_num_queries, hits, queries
):
    UserFactory.create_batch(hits, last_name="Okapi")
    has_index("user_search")  # which a process asks once
    with django_assert_num_queries(queries):  # the index; the page
        as_alice.get(f"{USERS}?search=okapi")


def test_index_follows_every_change(as_alice, alice):
    person = UserFactory(first_name="Okapi")
    assert found("okapi") == {person.pk}
    person.first_name = "Zebra"
    person.save(update_fields=["first_name"])
    assert (found("okapi"), found("zebra")) == (set(), {person.pk})
    User.objects.filter(pk=person.pk).update(username="tapir", email="gnu@example.org")
    assert found("tapir") == found("gnu@", with_email=True) == {person.pk}
    more = User.objects.bulk_create(UserFactory.build_batch(2, last_name="Tapir"))
    assert found("tapir") == {person.pk, *(one.pk for one in more)}
    more[0].last_name = "Quagga"
    User.objects.bulk_update(more, ["last_name"])
    assert (found("quagga"), len(found("tapir"))) == ({more[0].pk}, 2)
    User.objects.filter(last_name="Tapir").delete()
    person.delete()
    assert (found("tapir"), found("quagga")) == (set(), {more[0].pk})
    assert entries() == [User.objects.count()] * 3


def test_nothing_of_a_deleted_account_is_found(alice):
    person = UserFactory(username="okapi", first_name="Okapi", last_name="Okapi")
    users.delete_user(person, actor=person)
    assert found("okapi", with_email=True) == set()


def test_only_another_name_is_written_to_the_index(alice):
    mine = User.objects.filter(pk=alice.pk)
    alice.last_seen_at = None
    assert writes(alice.mark_seen) == 1
    assert writes(lambda: mine.update(last_login=timezone.now(), password="x")) == 1
    assert writes(alice.save) == 1
    assert writes(lambda: mine.update(last_name="Okapi")) > 1
    assert not has_trigger("UPDATE chats_user SET last_seen_at = NULL")
    assert has_trigger("UPDATE chats_user SET email = ''")


def has_trigger(statement: str) -> bool:
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN {statement}")
        return "Program" in {step[1] for step in cursor.fetchall()}


@pytest.mark.parametrize("trigger", people_index.TRIGGERS)
def test_changes_find_their_rows_at_once(trigger):
    """Else the more people there are, the more each of them costs to delete."""
    body = people_index.TRIGGERS[trigger].partition("BEGIN")[2].removesuffix("END")
    with connection.cursor() as cursor:
        for statement in body.split(";")[:-1]:
            bare = re.sub(r"(NEW|OLD)[.]\w+", "'9'", statement)
            cursor.execute(f"EXPLAIN QUERY PLAN {bare}")
            for *_, step in cursor.fetchall():
                assert "SCAN" not in step or step.endswith("INDEX 0:="), step


def test_whole_index_is_left_alone(alice, django_assert_num_queries):
    assert people_index.is_whole()
    with django_assert_num_queries(2):
        people_index.make("default")


def test_index_filled_by_migrate_has_who_was_there(fresh, alice, bob):
    with connection.cursor() as cursor:
        cursor.execute("DROP TRIGGER user_search_update")
    assert not has_index("user_search")
    assert people_with("alice", with_email=False) is None
    User.objects.filter(pk=bob.pk).update(username="okapi")
    has_index.cache_clear()
    call_command("migrate", verbosity=0)
    assert found("alice") == {alice.pk}
    assert found("okapi") == {bob.pk}
    assert entries() == [2, 2, 2]


@pytest.mark.django_db(transaction=True)
def test_table_made_anew_has_its_index_after_migrate(fresh):
    person = UserFactory(last_name="Okapi")
    before = MigrationLoader(connection).project_state()
    after = before.clone()
    longer = models.CharField(max_length=151)
    change = migrations.AlterField("user", "last_name", longer)
    change.state_forwards("chats", after)
    try:
        with connection.schema_editor() as editor:
            change.database_forwards("chats", editor, before, after)
        assert not people_index.is_whole()  # Django dropped the triggers
        call_command("migrate", verbosity=0)
        assert people_index.is_whole()
        assert found("okapi") == {person.pk}
    finally:
        with connection.schema_editor() as editor:
            change.database_backwards("chats", editor, after, before)
        call_command("migrate", verbosity=0)


@pytest.mark.parametrize("missing", ["fts5", "trigram"])
def test_without_fts5_people_are_searched_by_stretches(
    fresh, as_alice, monkeypatch, missing
):
    statement = people_index.NAMES.replace(missing, "not_there")
    monkeypatch.setattr(people_index, "NAMES", statement)
    call_command("migrate", verbosity=0)
    assert not has_index("user_search")
    look(monkeypatch, 2, 5)
    for number in range(20):
        UserFactory(username=f"person-{number:02}")
    shown = pages(as_alice, f"{USERS}?search=n-19")
    assert [person["username"] for page in shown for person in page] == ["person-19"]
    assert len(shown) > 1
    found = check_search_index(None, databases=["default"])
    assert [warning.id for warning in found] == ["chats.W005"]


@pytest.mark.django_db(transaction=True)
def test_file_from_an_sqlite_with_fts5_is_of_use_to_one_without(fresh, monkeypatch):
    """After ``migrate``, which takes the triggers away."""

    def rename(old: str, new: str) -> None:
        with connection.cursor() as cursor:
            cursor.execute("PRAGMA writable_schema = ON")
            cursor.execute(
                "UPDATE sqlite_master SET sql = replace(sql, %s, %s)"
                " WHERE name LIKE 'user_search%%' AND sql LIKE 'CREATE VIRTUAL%%'",
                [old, new],
            )
        connection.close()  # a new connection reads the schema anew

    try:
        rename("fts5", "fts9")
        for name in ("NAMES", "EMAILS"):
            statement = getattr(people_index, name).replace("fts5", "fts9")
            monkeypatch.setattr(people_index, name, statement)
        assert not people_index.is_whole()
        call_command("migrate", verbosity=0)
        UserFactory()
    finally:
        monkeypatch.undo()
        rename("fts9", "fts5")
        call_command("migrate", verbosity=0)
    assert people_index.is_whole()


def test_other_failures_are_not_taken_for_a_want_of_fts5(monkeypatch):
    monkeypatch.setattr(people_index, "FILL", ("SELECT",))
    with connection.cursor() as cursor:
        cursor.execute("DROP TRIGGER user_search_insert")
    with pytest.raises(OperationalError):
        people_index.make("default")
