"""A clock that was wrong for a while: what it wrote misleads nobody, and heals."""

from datetime import timedelta

import pytest
import time_machine
from django.core.management import call_command
from django.utils import timezone
from rest_framework.test import APIClient

from chats.models import AccessToken, AuditEntry, Event, User
from chats.realtime.presence import refresh
from chats.services import sign_in
from chats.services.audit import Action, record
from tests.support.factories import PASSWORD, UserFactory

AHEAD = timedelta(days=300)
ME = "/api/users/me/"
PLACE = "01900000-0000-7000-8000-000000000000"


def wrong_clock(by: timedelta = AHEAD) -> time_machine.travel:
    return time_machine.travel(timezone.now() + by)


def online(client: APIClient) -> set[str]:
    found = client.get("/api/users/", {"is_online": "true"}).json()["results"]
    return {person["username"] for person in found}


def offline(client: APIClient) -> set[str]:
    found = client.get("/api/users/", {"is_online": "false"}).json()["results"]
    return {person["username"] for person in found}


@pytest.fixture
def ahead(bob) -> User:
    """Bob, whose last call was to a node whose clock was 300 days ahead."""
    with wrong_clock():
        bob.mark_seen()
    return User.objects.get(pk=bob.pk)


def test_somebody_seen_in_the_future_is_not_online(as_alice, ahead):
    assert ahead.last_seen_at > timezone.now() + timedelta(days=299)
    assert as_alice.get(f"/api/users/{ahead.pk}/").json()["is_online"] is False
    assert (online(as_alice), offline(as_alice)) == ({"alice"}, {"bob"})


def test_somebody_seen_in_the_future_is_online_again_with_the_next_call(
    as_alice, ahead
):
    client = APIClient()
    client.force_login(ahead)
    client.get(ME)
    assert User.objects.get(pk=ahead.pk).last_seen_at <= timezone.now()
    assert online(as_alice) == {"alice", "bob"}


def test_somebody_seen_in_the_future_is_noted_by_their_stream(ahead):
    refresh([ahead.pk])
    assert User.objects.get(pk=ahead.pk).is_online


@pytest.mark.parametrize("seconds", [5, -5, 55])
def test_somebody_seen_by_a_clock_a_little_ahead_is_online(as_alice, seconds):
    seen_at = timezone.now() + timedelta(seconds=seconds)
    UserFactory(username="bob", last_seen_at=seen_at)
    assert online(as_alice) == {"alice", "bob"}


def test_front_page_counts_nobody_seen_in_the_future(ahead, as_boss):
    figures = as_boss.get("/admin/").context["activity"]["figures"]
    numbers = {figure.name: figure.number for figure in figures}
    assert numbers["People online"] == numbers["Active people"] == "1"


def test_use_in_the_future_is_noted_anew(alice):
    _, secret = AccessToken.objects.issue(alice, "script", None)
    script, browser = APIClient(), APIClient()
    script.credentials(HTTP_AUTHORIZATION=f"Token {secret}")
    browser.force_login(alice)
    future = timezone.now() + AHEAD
    alice.sessions.update(last_used_at=future)
    alice.access_tokens.update(last_used_at=future)

    for client in (script, browser):
        client.get(ME)

    now = timezone.now()
    for row in (alice.sessions.get(), alice.access_tokens.get()):
        assert now - timedelta(minutes=1) < row.last_used_at <= now


def test_somebody_kept_out_until_next_year_can_sign_in(alice):
    credentials = {"username": "alice", "password": "wrong"}
    with wrong_clock():
        for _ in range(6):
            answer = APIClient().post("/api/auth/login/", credentials)
    assert answer.status_code == 429
    credentials["password"] = PASSWORD
    assert APIClient().post("/api/auth/login/", credentials).status_code == 200


def test_address_remembered_until_next_year_is_not(alice):
    account = str(alice.pk)
    with wrong_clock():
        sign_in.forgive_attempts(account, "192.0.2.1")
    assert not sign_in._is_remembered(account, "192.0.2.1")
    sign_in.forgive_attempts(account, "192.0.2.1")
    assert sign_in._is_remembered(account, "192.0.2.1")


def events_dated(*days: int) -> list[int]:
    """Leave these events only, in the order of their ids, so many days old."""
    Event.objects.all().delete()
    now = timezone.now()
    made = [
        Event.objects.create(type="read.updated", conversation_id=PLACE, created_at=at)
        for at in (now - timedelta(days=age) for age in days)
    ]
    return [event.pk for event in made]


@pytest.mark.parametrize(
    ("days", "kept"),
    [
        ([20, 20000, 1], 3),  # a clock that began in 1970 takes nothing with it
        ([40, 20000, 1], 1),
        ([40, -300, 31, 1], 1),  # one dated in the future keeps nothing older
        ([40, -300], 1),
        ([-300, -300], 2),  # the clock that is wrong is this one
    ],
)
def test_pruning_follows_the_order_and_not_a_single_time(db, days, kept):
    keys = events_dated(*days)
    call_command("prune_events", days=30, verbosity=0)
    assert (
        list(Event.objects.order_by("pk").values_list("pk", flat=True))
        == (keys[len(keys) - kept :])
    )


def test_audit_entry_dated_long_ago_is_as_old_as_those_around_it(alice):
    for days in (400, 3, 20000, 1):
        record(Action.USER_SUSPENDED, actor=None, user_id=alice.pk)
        latest = AuditEntry.objects.filter(pk=AuditEntry.objects.latest("pk").pk)
        latest.update(
            created_at=timezone.now() - timedelta(days=days), details=f"{days}"
        )
    call_command("prune_audit", verbosity=0)
    kept = AuditEntry.objects.order_by("pk").values_list("details", flat=True)
    assert list(kept) == ["3", "20000", "1"]
