"""The admin asks before it ends something, and shows and finds rows by name."""

from html import unescape

import pytest
from django.contrib.auth.models import Permission
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from chats.admin import confirmations
from chats.db.uuids import uuid7
from chats.models import AccessToken, AuditEntry, Event, SignInAttempts, User
from chats.services.audit import record
from chats.services.messages import send_message
from chats.services.sign_in import (
    KINDS,
    WINDOW,
    forgive_attempts,
    keys_of,
    reserve_attempt,
)
from tests.support.admin import act, list_of, listed, page_of, signed_in
from tests.support.factories import UserFactory, start

Action = AuditEntry.Action


def reader(*models: str) -> Client:
    """Sign in one of the staff who may look at the rows of these models only."""
    clerk = UserFactory(is_staff=True)
    names = [f"view_{model}" for model in models]
    clerk.user_permissions.set(Permission.objects.filter(codename__in=names))
    return signed_in(clerk)


# --- Asking first -----------------------------------------------------------------


def test_deactivation_asks_first_and_names_the_people(as_boss, alice, bob):
    AccessToken.objects.issue(bob, "laptop", None)

    page = act(as_boss, "deactivate_selected", alice, bob).content.decode()

    assert "Deactivate these users?" in page
    assert ("<li>alice</li>" in page, "<li>bob</li>" in page) == (True, True)
    assert User.objects.filter(is_active=False).count() == 0
    assert AccessToken.objects.count() == 1


def test_page_that_asks_names_a_bounded_number_of_rows(as_boss, monkeypatch):
    monkeypatch.setattr(confirmations, "MOST_NAMED", 2)
    people = UserFactory.create_batch(5)

    page = act(as_boss, "deactivate_selected", *people).content.decode()

    assert "and 3 more" in page
    assert page.count('name="_selected_action"') == 5


@pytest.mark.parametrize("model", ["accesstoken", "usersession", "signinattempts"])
def test_deletion_of_what_lets_people_in_asks_first(model, as_boss, alice):
    rows = {
        "accesstoken": lambda: AccessToken.objects.issue(alice, "laptop", None)[0],
        "usersession": lambda: signed_in(alice) and alice.sessions.get(),
        "signinattempts": lambda: SignInAttempts.objects.create(
            key="k", attempts=3, window_ends_at=timezone.now()
        ),
    }
    row = rows[model]()

    page = act(as_boss, "delete_selected", row)

    assert "Are you sure you want to delete" in page.content.decode()
    assert type(row).objects.filter(pk=row.pk).exists()


# --- Names for ids ----------------------------------------------------------------


@pytest.fixture
def message(alice, conversation):
    return send_message(alice, conversation.pk, message_body="Hello")[0]


def links_in(page) -> set[str]:
    """Return the addresses that a page links to and the words it does so with."""
    text = unescape(page.content.decode())
    return {part.split("</a>")[0] for part in text.split('<a href="')[1:]}


def test_audit_shows_names_with_links_where_rows_exist(
    as_boss, boss, alice, conversation, message
):
    record(
        Action.MESSAGE_REDACTED,
        actor=boss,
        user_id=alice.pk,
        conversation_id=conversation.pk,
        message_id=message.pk,
    )
    entry = AuditEntry.objects.get()

    for url in (list_of("auditentry"), page_of(entry)):
        links = links_in(as_boss.get(url))
        assert {
            f'{page_of(boss)}">boss',
            f'{page_of(alice)}">alice',
            f'{page_of(conversation)}">Plans',
            f'{page_of(message)}">#1',
        } <= links


def test_audit_shows_the_id_of_what_is_gone(as_boss, boss):
    gone = uuid7()
    record(Action.USER_SUSPENDED, actor=boss, user_id=gone)

    assert str(gone) in as_boss.get(list_of("auditentry")).content.decode()


def test_audit_names_nothing_to_those_who_may_not_see_it(boss, alice, conversation):
    record(
        Action.CONVERSATION_RETITLED,
        actor=boss,
        user_id=alice.pk,
        conversation_id=conversation.pk,
    )

    page = reader("auditentry").get(list_of("auditentry")).content.decode()

    assert (str(alice.pk) in page, str(conversation.pk) in page) == (True, True)
    assert ("alice" in page, "Plans" in page, ">boss<" in page) == (False,) * 3


def test_events_show_names_with_links(as_boss, alice, conversation, message):
    links = links_in(as_boss.get(list_of("event")))

    assert {
        f'{page_of(alice)}">alice',
        f'{page_of(conversation)}">Plans',
        f'{page_of(message)}">#1',
    } <= links


@pytest.mark.parametrize("count", [1, 3])
def test_names_cost_one_query_of_each_kind(
    count, as_boss, boss, django_assert_num_queries
):
    for _ in range(count):
        person = UserFactory()
        place = start(person)
        sent, _ = send_message(person, place.pk, message_body="Hello")
        record(
            Action.MESSAGE_REDACTED,
            actor=boss,
            user_id=person.pk,
            conversation_id=place.pk,
            message_id=sent.pk,
        )

    with django_assert_num_queries(8):  # 5 without names
        as_boss.get(list_of("auditentry"))
    with django_assert_num_queries(8):
        as_boss.get(list_of("event"))


# --- Finding them -----------------------------------------------------------------


@pytest.mark.parametrize("asked", ["bob", "BOB", "bob@example.org", " bob "])
def test_audit_is_searched_by_whole_username_and_email(asked, as_boss, alice, bob):
    record(Action.USER_SUSPENDED, actor=alice, user_id=bob.pk)
    record(Action.USER_CHANGED, actor=bob, user_id=alice.pk)
    record(Action.USER_CHANGED, actor=alice, user_id=alice.pk)

    found = listed(as_boss.get(list_of("auditentry"), {"q": asked}))

    assert [entry.action for entry in found] == ["user.changed", "user.suspended"]


def test_audit_is_searched_by_any_id(as_boss, alice, conversation, message):
    record(
        Action.MESSAGE_REDACTED,
        actor=None,
        conversation_id=conversation.pk,
        message_id=message.pk,
    )
    record(Action.USER_CHANGED, actor=None, user_id=alice.pk)
    second, first = AuditEntry.objects.all()

    def found(asked: object) -> list:
        return listed(as_boss.get(list_of("auditentry"), {"q": str(asked)}))

    assert found(message.pk) == found(conversation.pk) == found(first.pk) == [first]
    assert found(alice.pk) == [second]
    assert found(uuid7()) == found("nobody") == found("9" * 30) == []


def test_audit_is_searched_by_a_username_of_digits(as_boss):
    record(Action.USER_CHANGED, actor=None, user_id=UserFactory(username="4711").pk)

    assert len(listed(as_boss.get(list_of("auditentry"), {"q": "4711"}))) == 1


def test_events_are_searched_by_name_and_id(as_boss, alice, bob, conversation, message):
    def types(asked: object) -> list[str]:
        rows = listed(as_boss.get(list_of("event"), {"q": str(asked)}))
        return [row.type for row in rows]

    assert types("alice") == ["message.created", "conversation.created"]
    assert types(message.pk) == ["message.created"]
    assert types(Event.objects.first().pk) == ["conversation.created"]
    assert types("nobody") == []


def test_names_are_not_searched_by_those_who_may_not_see_people(alice):
    record(Action.USER_CHANGED, actor=alice, user_id=alice.pk)
    page = reader("auditentry")

    assert listed(page.get(list_of("auditentry"), {"q": "alice"})) == []
    assert len(listed(page.get(list_of("auditentry"), {"q": str(alice.pk)}))) == 1


# --- Sign-in attempts -------------------------------------------------------------

OFFICE = "192.0.2.7"


def counted(browser: Client, asked: str) -> list[tuple[str, int]]:
    """Return what the counters found count by, and how many attempts each has."""
    page = browser.get(list_of("signinattempts"), {"q": asked})
    return sorted((row.kind, row.attempts) for row in listed(page))


@pytest.mark.parametrize("name", ["alice", "Alice", "alice@example.org"])
def test_counters_of_an_account_are_found_by_its_names(name, as_boss, alice):
    fail_to_sign_in("alice", OFFICE)
    fail_to_sign_in("mallory", "192.0.2.8")

    assert counted(as_boss, name) == [("account", 1)]
    assert counted(as_boss, f"{name} {OFFICE}") == [
        ("account", 1),
        ("account and address", 1),
        ("address", 1),
    ]


@pytest.mark.parametrize(
    ("address", "asked"),
    [
        (OFFICE, OFFICE),
        ("2001:db8:1:2::/64", "2001:db8:1:2::9"),
        ("2001:db8:1:2::/64", "2001:db8:1:2::/64"),
    ],
)
def test_counter_of_an_address_is_found_by_it(address, asked, as_boss):
    fail_to_sign_in("nobody", address)

    assert counted(as_boss, asked) == [("address", 1)]


def test_counter_is_found_by_its_key(as_boss):
    fail_to_sign_in("nobody", OFFICE)
    [key] = [key for key, kind in keys_of("nobody", OFFICE).items() if kind == KINDS[0]]

    found = listed(as_boss.get(list_of("signinattempts"), {"q": key}))

    assert [row.key for row in found] == [key]


@pytest.mark.parametrize("asked", ["x", "300.1.1.1", "::", "a b c d", "/"])
def test_counters_of_nobody_are_none(asked, as_boss):
    fail_to_sign_in("nobody", OFFICE)

    assert counted(as_boss, asked) == []


def test_sign_in_that_is_remembered_is_no_counter(as_boss):
    reserve_attempt("nobody", OFFICE)
    forgive_attempts("nobody", OFFICE)

    page = as_boss.get(list_of("signinattempts")).content.decode()

    assert page.count("nothing: a remembered sign-in") == 1
    assert SignInAttempts.objects.filter(
        window_ends_at__lte=timezone.now() + WINDOW
    ).exists()


def fail_to_sign_in(name: str, address: str) -> None:
    """Count an attempt as the sign-in page does for a name."""
    known = User.objects.named(name).first()
    reserve_attempt(str(known.pk) if known else name, address)


def test_counter_found_can_be_deleted(as_boss, alice):
    fail_to_sign_in("alice", OFFICE)
    page = as_boss.get(list_of("signinattempts"), {"q": "alice"})

    [row] = listed(page)
    as_boss.post(
        reverse("admin:chats_signinattempts_delete", args=[row.pk]), {"post": 1}
    )

    assert counted(as_boss, "alice") == []
