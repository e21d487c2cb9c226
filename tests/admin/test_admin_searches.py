"""Searches of the admin look through the newest rows, and say how to go on."""

from contextlib import contextmanager

import pytest
from django.db.models.expressions import RawSQL
from django.db.models.lookups import Exact

from chats.admin import lists
from chats.admin.users import UserAdmin
from chats.db.impatient import OutOfTime
from chats.models import User
from tests.support.admin import list_of, listed
from tests.support.factories import UserFactory, start


@pytest.fixture(autouse=True)
def _few(monkeypatch):
    """The newest are two."""
    monkeypatch.setattr(lists, "MOST_LISTED", 2)


def find(client, model: str, **asked) -> tuple[list, str]:
    page = client.get(list_of(model), asked)
    return listed(page), page.context["cl"].older_link


def test_user_search_looks_through_the_newest_and_goes_on(as_boss):
    old, *_, new = [UserFactory(first_name=f"Zoe{n}") for n in range(4)]

    page = as_boss.get(list_of("user"), {"q": "zoe"})
    assert listed(page)[0] == new
    assert old not in listed(page)
    assert old in listed(as_boss.get(list_of("user") + page.context["cl"].older_link))


@pytest.mark.parametrize("asked", ["OLD", "old@example.org"])
def test_user_search_finds_a_whole_name_however_old(asked, as_boss):
    old = UserFactory(username="old")
    UserFactory.create_batch(3)

    assert find(as_boss, "user", q=asked)[0] == [old]


def test_user_filter_looks_through_the_newest(as_boss):
    UserFactory.create_batch(3)

    found, older = find(as_boss, "user", is_staff__exact="1")

    assert found == []
    boss = User.objects.get(is_staff=True)
    assert listed(as_boss.get(list_of("user") + older)) == [boss]


def test_user_list_without_a_search_has_no_window(as_boss):
    UserFactory.create_batch(3)

    assert find(as_boss, "user")[1] == ""


def test_conversation_search_looks_through_the_newest_and_goes_on(as_boss, alice):
    old, *_ = [start(alice, title=f"Plan {n}") for n in range(3)]

    found, older = find(as_boss, "conversation", q="plan")

    assert [row.title for row in found] == ["Plan 2", "Plan 1"]
    assert listed(as_boss.get(list_of("conversation") + older)) == [old]


def test_participant_search_looks_through_the_newest_and_goes_on(as_boss, alice, bob):
    old = start(alice)
    for _ in range(2):
        start(bob)

    found, older = find(as_boss, "participant", q="alice")

    assert found == []
    rows = listed(as_boss.get(list_of("participant") + older))
    assert [row.conversation for row in rows] == [old]


MODELS = ("user", "conversation", "participant", "message", "accesstoken")


@pytest.mark.parametrize("model", MODELS)
def test_search_that_takes_too_long_is_stopped_and_says_so(as_boss, model, monkeypatch):
    start(UserFactory(first_name="Zoe"), title="Zoe")

    @contextmanager
    def no_time(milliseconds: int):
        raise OutOfTime
        yield

    monkeypatch.setattr(lists, "time_limit", no_time)
    page = as_boss.get(list_of(model), {"q": "zoe"})

    assert listed(page) == []
    assert [str(note) for note in page.context["messages"]] == [lists.TOOK_LONG]


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("text", ["x " * 101, "x" * 60_000])
def test_search_for_a_long_text_is_refused(as_boss, model, text):
    page = as_boss.get(list_of(model), {"q": text})

    assert page.status_code == 200
    assert [str(note) for note in page.context["messages"]] == [lists.UNSEARCHABLE]


def test_search_of_the_admin_stops_by_the_clock(as_boss, monkeypatch):
    """A condition that never ends, in the place of bodies that take as long."""
    endless = RawSQL(
        "(WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n)"
        " SELECT COUNT(*) FROM n WHERE i < 0)",
        [],
    )
    monkeypatch.setattr(lists, "PATIENCE", 50)
    monkeypatch.setattr(
        UserAdmin,
        "get_search_results",
        lambda page, request, rows, text: (rows.filter(Exact(endless, 1)), False),
    )
    page = as_boss.get(list_of("user"), {"q": "zoe"})

    assert [str(note) for note in page.context["messages"]] == [lists.TOOK_LONG]
