"""The log: what each change appends to it, whom that reaches, and in which order."""

import re
import threading
from collections.abc import Iterable, Iterator
from concurrent.futures import wait
from contextlib import suppress
from uuid import UUID, uuid4

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

from chats.db import wakeups
from chats.models import Conversation, Event, Message, User
from chats.services import conversations, messages, typing, users
from tests.support.cast import SERVICES, Cast
from tests.support.factories import UserFactory, send, start
from tests.support.threads import PATIENCE, in_thread, open_transaction

USES_SQLITE = connection.vendor == "sqlite"


@pytest.fixture
def cast(db) -> Cast:
    return Cast()


# Services that announce nothing.
SILENT = {
    "announce_typing": lambda c: typing.announce_typing(c.alice, c.id),
    "change_password": lambda c: users.change_password(
        c.alice, "another-good-one", actor=c.alice
    ),
    "deactivate_user": lambda c: users.deactivate_user(c.alice, actor=c.alice),
    "reactivate_user": lambda c: users.reactivate_user(c.alice, actor=c.alice),
    "update_user": lambda c: users.update_user(
        c.alice, {"first_name": "Alix"}, actor=c.alice
    ),
}


class Bell:
    """Listens as a hub does; notes how much of the log could be read at each ring."""

    def __init__(self):
        self.heard: list[int] = []

    def notify_new_events(self) -> None:
        self.heard.append(Event.objects.last_id())

    def notify_typing(self, conversation_id: UUID, user_id: UUID) -> None:
        pass


@pytest.fixture
def bell() -> Iterator[Bell]:
    bell = Bell()
    detach = wakeups.attach(bell)
    yield bell
    detach()


# --- What is appended ----------------------------------------------------------


@pytest.mark.parametrize("service", SERVICES)
def test_service_appends_its_events_for_its_audience(service, cast):
    call, expected = SERVICES[service]

    call(cast)

    assert cast.appended() == expected


@pytest.mark.parametrize("service", SILENT)
def test_service_that_changes_no_conversation_appends_nothing(service, cast):
    SILENT[service](cast)

    assert cast.appended() == []


def test_every_column_of_an_event_is_stored(db):
    ids = {
        f"{name}_id": uuid4() for name in ("conversation", "message", "user", "actor")
    }
    event = Event(type=Event.Type.READ_UPDATED, **ids)

    Event.objects.append(event)

    names = [field.attname for field in Event._meta.concrete_fields]
    stored = Event.objects.values(*names).get(pk=event.pk)
    assert stored == {name: getattr(event, name) for name in names}
    assert None not in stored.values()


def test_event_keeps_the_moment_and_the_conversation(cast):
    send(cast.alice, cast.conversation)

    event = Event.objects.order_by("-event_id").first()
    message = Message.objects.order_by("-seq").first()
    assert event.conversation_id == cast.id
    assert 0 <= (event.created_at - message.sent_at).total_seconds() < PATIENCE


@pytest.mark.parametrize("service", SERVICES)
def test_service_rings_after_the_commit(
    service, cast, bell, django_capture_on_commit_callbacks
):
    with django_capture_on_commit_callbacks(execute=True):
        SERVICES[service][0](cast)
        rung_early = list(bell.heard)

    assert rung_early == []
    assert set(bell.heard) == {Event.objects.last_id()}


@pytest.mark.django_db(transaction=True)
def test_bell_rings_when_others_can_read_the_event(bell):
    cast = Cast()
    bell.heard.clear()

    with transaction.atomic():
        send(cast.alice, cast.conversation)
        readable_early = in_thread(Event.objects.last_id).result(PATIENCE)
        rung_early = list(bell.heard)

    assert (readable_early, rung_early) == (cast.since, [])
    assert bell.heard == [in_thread(Event.objects.last_id).result(PATIENCE)]


@pytest.mark.django_db(transaction=True)
def test_rolled_back_change_appends_nothing_and_does_not_ring(bell):
    cast = Cast()
    bell.heard.clear()

    with suppress(ZeroDivisionError), transaction.atomic():
        send(cast.alice, cast.conversation)
        raise ZeroDivisionError

    assert (cast.appended(), bell.heard) == ([], [])


@pytest.mark.django_db(transaction=True)
def test_change_rolled_back_within_another_leaves_only_the_others_event(bell):
    cast = Cast()
    bell.heard.clear()

    with transaction.atomic():
        send(cast.alice, cast.conversation)
        with suppress(ZeroDivisionError), transaction.atomic():
            send(cast.bob, cast.conversation)
            raise ZeroDivisionError

    kinds = [(kind, actor) for kind, _, _, actor, _ in cast.appended()]
    assert kinds == [("message.created", "alice")]
    assert len(bell.heard) == 1


# --- Commit order --------------------------------------------------------------


def an_event(conversation_id: UUID) -> Event:
    return Event(type="conversation.updated", conversation_id=conversation_id)


class Tail:
    """A reader who goes on from the last id seen, as the hub and every client do."""

    def __init__(self):
        self.position = Event.objects.last_id()
        self.seen: list[int] = []

    def read(self) -> None:
        newer = Event.objects.filter(pk__gt=self.position).order_by("pk")
        self.seen += newer.values_list("pk", flat=True)
        self.position = self.seen[-1] if self.seen else self.position


@pytest.mark.django_db(transaction=True)
def test_reader_never_sees_a_later_id_before_an_earlier_one(conversation):
    """The first to append commits late; whoever appends after it must wait."""
    reader = Tail()

    def append() -> None:
        with transaction.atomic():
            Event.objects.append(an_event(conversation.pk))

    with open_transaction(append):
        second = in_thread(append)
        # Without the lock it commits at once, under a later id than the first's.
        overtaking, _ = wait([second], timeout=0.5)
        reader.read()
    second.result(PATIENCE)
    reader.read()

    everything = Event.objects.order_by("pk").values_list("pk", flat=True)
    assert reader.seen == list(everything)[-2:]
    assert overtaking == set()


@pytest.mark.django_db(transaction=True)
def test_reader_sees_every_event_of_many_writers_in_order(alice, bob):
    """Four write at once; one tails."""
    places = [start(alice, bob).pk for _ in range(4)]
    reader = Tail()
    since = reader.position

    def write(place: UUID) -> None:
        for number in range(15):
            messages.send_message(alice, place, message_body=str(number))

    writing = [in_thread(write, place) for place in places]
    while not all(future.done() for future in writing):
        reader.read()
    assert [future.result() for future in writing] == [None] * 4
    reader.read()

    written = Event.objects.filter(pk__gt=since).order_by("pk")
    assert reader.seen == list(written.values_list("pk", flat=True))
    assert len(reader.seen) == 60


# --- Locks ---------------------------------------------------------------------


INTO_THE_LOG = re.compile(r"INTO chats_event\b")


def statements_after_the_log_was_locked(queries: Iterable[dict]) -> list[str]:
    """Return the beginnings of the statements that follow the first event's."""
    texts = [query["sql"].replace('"', "") for query in queries]
    first = next(place for place, text in enumerate(texts) if INTO_THE_LOG.search(text))
    texts = [text.lstrip() for text in texts[first:]]
    return [text for text in texts if not text.startswith(("RELEASE", "SAVE"))]


ALLOWED_UNDER_THE_LOGS_LOCK = (
    "WITH held AS",  # the lock and the event, on PostgreSQL
    "INSERT INTO chats_event ",
    "INSERT INTO chats_pastparticipant ",
    "UPDATE chats_participant SET first_event_id",
)


# Staff replace people one by one, in one transaction that holds all rows by then.
@pytest.mark.parametrize("service", SERVICES.keys() - {"change_participants"})
def test_service_takes_the_logs_lock_last(service, cast):
    with CaptureQueriesContext(connection) as queries:
        SERVICES[service][0](cast)

    late = statements_after_the_log_was_locked(queries)
    assert [t for t in late if not t.startswith(ALLOWED_UNDER_THE_LOGS_LOCK)] == []


@pytest.mark.skipif(USES_SQLITE, reason="SQLite has one lock for everything")
@pytest.mark.django_db(transaction=True)
def test_writer_waiting_for_a_conversation_does_not_hold_the_log(alice, bob):
    busy, other = start(alice, bob), start(alice, bob)

    def lock_busy() -> None:
        Conversation.objects.locked(busy.pk, seen_by=alice)

    def send(conversation: Conversation) -> None:
        messages.send_message(bob, conversation.pk, message_body="Hi")

    with open_transaction(lock_busy):
        waiting = in_thread(send, busy)
        wait_until_blocked()
        in_thread(send, other).result(PATIENCE)
        sent = list(Message.objects.values_list("conversation_id", flat=True))
    waiting.result(PATIENCE)

    assert sent == [other.pk]
    assert Message.objects.count() == 2


def wait_until_blocked() -> None:
    """Wait until some connection to PostgreSQL waits for a lock."""
    waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted"
    for _ in range(PATIENCE * 100):
        with connection.cursor() as cursor:
            cursor.execute(waiting)
            if cursor.fetchone()[0]:
                return
            cursor.execute("SELECT pg_sleep(0.01)")
    raise AssertionError("Nobody waits.")


@pytest.mark.django_db(transaction=True)
def test_changes_that_cross_do_not_deadlock(alice, bob):
    """Deletions of people lock several conversations, while these are written to."""
    carol = UserFactory(username="carol")
    places = [start(alice, bob, carol) for _ in range(4)]
    barrier = threading.Barrier(4)

    def write(order: Iterable[Conversation]) -> None:
        barrier.wait(PATIENCE)
        for place in order:
            messages.send_message(alice, place.pk, message_body="Hi")
            conversations.rename_conversation(alice, place.pk, title="New")

    def delete(person: User) -> None:
        barrier.wait(PATIENCE)
        users.delete_user(person, actor=person)

    working = [
        in_thread(write, places),
        in_thread(write, places[::-1]),
        in_thread(delete, bob),
        in_thread(delete, carol),
    ]

    assert [future.result(PATIENCE) for future in working] == [None] * 4
    assert Event.objects.filter(type="participant.removed").count() == 8
