"""Who is online, who is typing, and whose stream may stay open."""

import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

import pytest
from django.db import connection
from django.test import Client
from django.utils import timezone

from chats.db import wakeups
from chats.models import (
    AccessToken,
    Participant,
    TypingSignal,
    User,
    UserSession,
    credentials,
)
from chats.models.credentials import Credential
from chats.models.events import TYPING_SIGNALS_KEPT
from chats.models.sign_in import digest_of
from chats.models.users import ONLINE_FOR
from chats.realtime.audience import Subscription
from chats.realtime.other_processes import OtherWriters
from chats.realtime.presence import EVERY, refresh, signed_out
from chats.services import conversations, users
from tests.support.factories import PASSWORD, UserFactory, start
from tests.support.hub import credential_of
from tests.support.threads import open_transaction

LONG_AGO = timedelta(minutes=5)


def last_seen(user: User, ago: timedelta | None) -> None:
    """Note that a person was last seen some time ago, or never."""
    moment = None if ago is None else timezone.now() - ago
    User.objects.filter(pk=user.pk).update(last_seen_at=moment)
    user.refresh_from_db()


def presence_of(user: User, *, is_online: bool) -> dict:
    """Return the event that the others get."""
    seen = user.last_seen_at
    return {
        "event": "presence",
        "user_id": str(user.pk),
        "is_online": is_online,
        "last_seen_at": seen and seen.isoformat().replace("+00:00", "Z"),
    }


# --- Presence ------------------------------------------------------------------


@pytest.fixture
def carol(bob, conversation) -> User:
    """Somebody with bob, away for long, in a conversation without alice."""
    carol = UserFactory(username="carol")
    start(bob, carol)
    last_seen(carol, LONG_AGO)
    return carol


def test_coming_online_is_told_to_who_shares_a_conversation(
    driven, alice, bob, carol, mallory
):
    for_alice, for_bob, for_mallory = driven.joined(alice, bob, mallory)

    last_seen(carol, timedelta())
    driven.turn(EVERY)

    assert driven.take(for_bob) == [presence_of(carol, is_online=True)]
    assert driven.take(for_alice) == driven.take(for_mallory) == []


def test_going_offline_is_told_with_when_they_were_last_seen(driven, bob, carol):
    last_seen(carol, ONLINE_FOR - timedelta(seconds=1))
    [stream] = driven.joined(bob)
    expected = presence_of(carol, is_online=False)

    last_seen(carol, ONLINE_FOR + timedelta(seconds=1))
    driven.turn(EVERY)

    expected["last_seen_at"] = (seen := driven.take(stream))[0]["last_seen_at"]
    assert seen == [expected]


def test_presence_has_no_id(driven, bob, carol):
    driven.joined(bob)

    last_seen(carol, timedelta())
    driven.turn(EVERY)

    [(_, frame)] = driven.posted
    assert frame.startswith(b"event: presence\ndata: ")


def test_own_presence_is_not_told(driven, bob, conversation):
    [stream] = driven.joined(bob)

    last_seen(bob, LONG_AGO)
    driven.turn(EVERY)

    assert driven.take(stream) == []


def test_presence_is_told_once(driven, bob, carol):
    [stream] = driven.joined(bob)

    last_seen(carol, timedelta())
    for _ in range(3):
        driven.turn(EVERY)

    assert driven.kinds(stream) == ["presence"]


def test_presence_is_looked_at_every_few_seconds(driven, bob, carol):
    [stream] = driven.joined(bob)

    last_seen(carol, timedelta())
    driven.turn(EVERY / 2)
    early = driven.kinds(stream)
    driven.turn(EVERY / 2)

    assert (early, driven.kinds(stream)) == ([], ["presence"])


def test_presence_of_somebody_removed_is_no_longer_told(
    driven, alice, bob, conversation
):
    last_seen(bob, LONG_AGO)
    [stream] = driven.joined(alice)
    conversations.remove_participant(alice, conversation.pk, user_id=bob.pk)
    driven.turn()
    driven.take(stream)

    last_seen(bob, timedelta())
    driven.turn(EVERY)

    assert driven.take(stream) == []


def test_suspended_person_goes_offline(driven, bob, carol):
    last_seen(carol, timedelta())
    [stream] = driven.joined(bob)

    users.deactivate_user(carol, actor=carol)
    driven.turn(EVERY)

    assert driven.take(stream) == [presence_of(carol, is_online=False)]


def test_presence_of_many_takes_as_many_queries_as_of_one(
    driven, alice, django_assert_num_queries
):
    people = UserFactory.create_batch(20)
    start(alice, *people)
    [stream] = driven.joined(alice)

    for count in (1, 19):
        for person in people[:count]:
            last_seen(person, LONG_AGO)
        people = people[count:]
        # The log, typing; people and tokens; who is here, who is online, who shares.
        with django_assert_num_queries(7 if connection.vendor == "sqlite" else 6):
            driven.turn(EVERY, was_notified=False)

    assert driven.kinds(stream) == ["presence"] * 20


# --- Being here ----------------------------------------------------------------


def test_people_with_a_stream_stay_online(driven, bob, conversation):
    driven.joined(bob)
    last_seen(bob, ONLINE_FOR - timedelta(seconds=1))

    driven.turn(EVERY)

    bob.refresh_from_db()
    assert bob.is_online
    assert timezone.now() - bob.last_seen_at < timedelta(seconds=10)


@pytest.mark.parametrize("ago", [None, LONG_AGO, timedelta(seconds=26)])
def test_refresh_notes_who_was_not_seen_lately(ago, bob):
    last_seen(bob, ago)
    before = timezone.now()

    refresh([bob.pk])

    bob.refresh_from_db()
    assert bob.last_seen_at >= before


def test_refresh_only_reads_if_everybody_was_seen_just_now(
    bob, django_assert_num_queries
):
    last_seen(bob, timedelta(seconds=20))
    before = bob.last_seen_at

    with django_assert_num_queries(1):
        refresh([bob.pk])

    bob.refresh_from_db()
    assert bob.last_seen_at == before


def test_refresh_notes_nobody_else(alice, bob):
    last_seen(alice, LONG_AGO)
    before = alice.last_seen_at

    refresh([bob.pk])

    alice.refresh_from_db()
    assert alice.last_seen_at == before


def test_refresh_notes_more_people_than_fit_into_one_query(db, monkeypatch):
    monkeypatch.setattr(credentials, "CHUNK", 2)
    people = UserFactory.create_batch(5, last_seen_at=None)

    refresh([person.pk for person in people])

    assert User.objects.online().count() == 5


@pytest.mark.django_db(transaction=True)
def test_refresh_waits_for_nobody_who_writes():
    """Events wait for the thread that does it."""
    alice, bob = UserFactory.create_batch(2, last_seen_at=None)

    with open_transaction(
        lambda: users.update_user(bob, {"first_name": "Robert"}, actor=bob)
    ):
        began = time.monotonic()
        refresh([alice.pk, bob.pk])
        took = time.monotonic() - began
        noted = set(User.objects.online())
    refresh([alice.pk, bob.pk])

    assert took < 1
    # SQLite has one lock for everything.
    assert noted == (set() if connection.vendor == "sqlite" else {alice})
    assert set(User.objects.online()) == {alice, bob}
    with connection.cursor() as cursor:
        if connection.vendor == "sqlite":
            cursor.execute("PRAGMA busy_timeout")
            assert cursor.fetchone() == (5000,)


# --- Credentials ---------------------------------------------------------------


def session_of(user: User) -> Subscription:
    """Return a stream opened with a session."""
    client = Client()
    assert client.login(username=user.username, password=PASSWORD)
    user.refresh_from_db()
    key = digest_of(client.session.session_key)
    return Subscription(0, Credential.of(user, "session", key))


def token_of(user: User) -> Subscription:
    """Return a stream opened with a token."""
    return Subscription(0, credential_of(user))


ENDS_SESSIONS = {
    "sign-out": lambda user: UserSession.objects.all().delete(),
    "session over": lambda user: UserSession.objects.update(expire_date=timezone.now()),
}
ENDS_TOKENS = {
    "revocation": lambda user: AccessToken.objects.filter(user=user).delete(),
    "token over": lambda user: AccessToken.objects.filter(user=user).update(
        expires_at=timezone.now()
    ),
}
ENDS_BOTH = {
    "password changed": lambda user: users.change_password(
        user, "another-good-one", actor=user
    ),
    "deactivated": lambda user: users.deactivate_user(user, actor=user),
    "suspended in the database": lambda user: User.objects.filter(pk=user.pk).update(
        is_active=False
    ),
    "deleted": lambda user: users.delete_user(user, actor=user),
}


ENDS = [(session_of, how) for how in (ENDS_SESSIONS | ENDS_BOTH).items()]
ENDS += [(token_of, how) for how in (ENDS_TOKENS | ENDS_BOTH).items()]


@pytest.mark.parametrize(
    ("stream_of", "how"), ENDS, ids=[f"{of.__name__} {how[0]}" for of, how in ENDS]
)
def test_stream_ends_by(stream_of, how, bob):
    stream, (_, end) = stream_of(bob), how
    assert signed_out([stream]) == []

    end(bob)

    assert signed_out([stream]) == [stream]


def test_streams_of_others_and_of_other_devices_stay_open(alice, bob):
    revoked, other_token, session, others = (
        token_of(bob),
        token_of(bob),
        session_of(bob),
        token_of(alice),
    )

    AccessToken.objects.filter(pk=revoked.credential.key).delete()

    assert signed_out([revoked, other_token, session, others]) == [revoked]


def test_stream_of_a_person_reactivated_does_not_live_on(bob):
    stream = token_of(bob)

    users.deactivate_user(bob, actor=bob)
    users.reactivate_user(bob, actor=bob)

    assert signed_out([stream]) == [stream]


def test_stream_with_a_key_of_the_other_kind_ends(bob):
    """A token's id is no session's key."""
    token = token_of(bob).credential
    stream = Subscription(0, token._replace(kind="session"))

    assert signed_out([stream]) == [stream]


def test_credentials_of_many_take_three_queries(alice, bob, django_assert_num_queries):
    streams = [make(user) for user in (alice, bob) for make in (token_of, session_of)]

    with django_assert_num_queries(3):
        assert signed_out(streams * 20) == []


def test_credentials_of_nobody_take_no_query():
    assert signed_out([]) == []


# --- Typing --------------------------------------------------------------------


class Ear:
    """Listens as a hub does, to whispers only."""

    def __init__(self):
        self.heard: list[tuple[uuid.UUID, uuid.UUID]] = []

    def notify_new_events(self) -> None:
        pass

    def notify_typing(self, conversation_id: uuid.UUID, user_id: uuid.UUID) -> None:
        self.heard.append((conversation_id, user_id))


@contextmanager
def listening() -> Iterator[list]:
    ear = Ear()
    detach = wakeups.attach(ear)
    yield ear.heard
    detach()


def type_in(client, conversation_id: uuid.UUID):
    return client.post(f"/api/conversations/{conversation_id}/typing/")


def test_typing_is_whispered_and_leaves_no_event(as_alice, alice, conversation):
    since = Participant.objects.get(user=alice).first_event_id

    with listening() as heard:
        response = type_in(as_alice, conversation.pk)

    assert (response.status_code, response.content) == (204, b"")
    assert heard == [(conversation.pk, alice.pk)]
    page = as_alice.get("/api/events/", {"after": f"1-{since}"}).json()
    assert page == {"events": [], "cursor": f"1-{since}", "more": False}


def test_typing_of_an_outsider_is_404_and_unheard(as_mallory, conversation):
    with listening() as heard:
        in_theirs = type_in(as_mallory, conversation.pk)
        in_none = type_in(as_mallory, uuid.uuid4())

    assert (in_theirs.status_code, heard) == (404, [])
    assert (
        in_theirs.json()
        == in_none.json()
        == {
            "detail": "Not found.",
            "code": "not_found",
        }
    )


def test_typing_of_nobody_is_401(anonymous, conversation):
    assert type_in(anonymous, conversation.pk).status_code == 401


def test_typing_signals_are_kept_for_a_moment_only(db):
    person, place = uuid.uuid4(), uuid.uuid4()

    for _ in range(TYPING_SIGNALS_KEPT + 5):
        TypingSignal.objects.send("elsewhere", place, person)

    assert TypingSignal.objects.count() == TYPING_SIGNALS_KEPT + 1


@pytest.mark.skipif(connection.vendor != "sqlite", reason="PostgreSQL notifies")
def test_signals_of_other_processes_are_read_once(db):
    others = OtherWriters()
    TypingSignal.objects.send("elsewhere", uuid.uuid4(), uuid.uuid4())
    others.skip()
    place, person = uuid.uuid4(), uuid.uuid4()

    TypingSignal.objects.send("elsewhere", place, person)
    TypingSignal.objects.send(wakeups.PROCESS_ID, place, person)

    assert others.typing() == [(place, person)]
    assert others.typing() == []
