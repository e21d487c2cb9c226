"""The log: what each change appends to it, whom that reaches, and in which order."""

import re
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import wait
from contextlib import suppress
from uuid import UUID, uuid4

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

from chats.db import wakeups
from chats.models import Conversation, Event, Message, User
from chats.realtime import log
from chats.services import conversations, messages, staff, typing, users
from tests.support.factories import UserFactory, start
from tests.support.threads import PATIENCE, in_thread, open_transaction

USES_SQLITE = connection.vendor == "sqlite"


class Cast:
    """A conversation of alice with bob, a message of each; the others are outside."""

    names = ("alice", "bob", "carol", "root", "mallory")

    def __init__(self):
        for name in self.names:
            setattr(self, name, UserFactory(username=name))
        start(self.mallory, self.carol)  # theirs alone
        self.conversation = start(self.alice, self.bob)
        self.id = self.conversation.pk
        self.by_alice = self.send(self.alice)
        self.by_bob = self.send(self.bob)
        self.since = Event.objects.last_id()

    def send(self, actor: User) -> Message:
        message, _ = messages.send_message(actor, self.id, message_body="Hello")
        return Message.objects.get(pk=message.pk)

    def appended(self) -> list[tuple]:
        """Return the new events: type, message, whom about, actor, and audience."""
        people = {getattr(self, name).pk: name for name in self.names}
        reached = {
            name: set(log.visible_to(pk, self.since).values_list("pk", flat=True))
            for pk, name in people.items()
        }
        newest = Message.objects.order_by("-message_id").first()
        notes = {None: None, newest.pk if newest else 0: "new"}
        notes |= {self.by_alice.pk: "alice's", self.by_bob.pk: "bob's"}
        return [
            (
                event.type,
                notes[event.message_id],
                people.get(event.user_id),
                people[event.actor_id],
                " ".join(name for name in reached if event.pk in reached[name]),
            )
            for event in Event.objects.filter(event_id__gt=self.since)
        ]


@pytest.fixture
def cast(db) -> Cast:
    return Cast()


ALL_BUT_CAROL = "alice bob"
EVERYBODY = "alice bob carol"

# What each service is called with, and the events it appends.
SERVICES: dict[str, tuple[Callable[[Cast], object], list[tuple]]] = {
    "start_conversation": (
        lambda c: conversations.start_conversation(
            c.alice, participant_ids=[c.carol.pk]
        ),
        [("conversation.created", None, None, "alice", "alice carol")],
    ),
    "rename_conversation": (
        lambda c: conversations.rename_conversation(c.bob, c.id, title="New"),
        [("conversation.updated", None, None, "bob", ALL_BUT_CAROL)],
    ),
    "delete_conversation": (
        lambda c: conversations.delete_conversation(c.alice, c.id),
        [("conversation.deleted", None, None, "alice", ALL_BUT_CAROL)],
    ),
    "delete_as_staff": (
        lambda c: staff.delete_as_staff(c.conversation, actor=c.root),
        [("conversation.deleted", None, None, "root", ALL_BUT_CAROL)],
    ),
    "add_participant": (
        lambda c: conversations.add_participant(c.bob, c.id, user_id=c.carol.pk),
        [("participant.added", None, "carol", "bob", EVERYBODY)],
    ),
    "remove_participant": (
        lambda c: conversations.remove_participant(c.alice, c.id, user_id=c.bob.pk),
        [("participant.removed", None, "bob", "alice", ALL_BUT_CAROL)],
    ),
    "remove_participant_who_leaves": (
        lambda c: conversations.remove_participant(c.bob, c.id, user_id=c.bob.pk),
        [("participant.removed", None, "bob", "bob", ALL_BUT_CAROL)],
    ),
    "remove_participant_who_owns": (
        lambda c: conversations.remove_participant(c.alice, c.id, user_id=c.alice.pk),
        [
            ("participant.removed", None, "alice", "alice", ALL_BUT_CAROL),
            ("conversation.updated", None, None, "alice", "bob"),
        ],
    ),
    "add_as_staff": (
        lambda c: staff.add_as_staff(c.conversation, user_id=c.carol.pk, actor=c.root),
        [("participant.added", None, "carol", "root", EVERYBODY)],
    ),
    "remove_as_staff": (
        lambda c: staff.remove_as_staff(c.conversation, user_id=c.bob.pk, actor=c.root),
        [("participant.removed", None, "bob", "root", ALL_BUT_CAROL)],
    ),
    "rename_as_staff": (
        lambda c: staff.rename_as_staff(c.conversation, title="New", actor=c.root),
        [("conversation.updated", None, None, "root", ALL_BUT_CAROL)],
    ),
    "transfer_ownership": (
        lambda c: staff.transfer_ownership(
            c.conversation, owner_id=c.bob.pk, actor=c.root
        ),
        [("conversation.updated", None, None, "root", ALL_BUT_CAROL)],
    ),
    "change_participants": (
        lambda c: staff.change_participants(
            c.conversation, joining=[c.carol.pk], leaving=[c.bob.pk], actor=c.root
        ),
        [
            ("participant.removed", None, "bob", "root", ALL_BUT_CAROL),
            ("participant.added", None, "carol", "root", "alice carol"),
        ],
    ),
    "send_message": (
        lambda c: messages.send_message(c.bob, c.id, message_body="Hi"),
        [("message.created", "new", None, "bob", ALL_BUT_CAROL)],
    ),
    "edit_message": (
        lambda c: messages.edit_message(c.bob, c.by_bob.pk, message_body="Edited"),
        [("message.updated", "bob's", None, "bob", ALL_BUT_CAROL)],
    ),
    "delete_message": (
        lambda c: messages.delete_message(c.alice, c.by_bob.pk),
        [("message.deleted", "bob's", None, "alice", ALL_BUT_CAROL)],
    ),
    "redact_message": (
        lambda c: staff.redact_message(c.by_bob, actor=c.root),
        [("message.deleted", "bob's", None, "root", ALL_BUT_CAROL)],
    ),
    "mark_as_read": (
        lambda c: messages.mark_as_read(c.alice, c.by_bob.pk),
        [("read.updated", None, "alice", "alice", ALL_BUT_CAROL)],
    ),
    "mark_conversation_as_read": (
        lambda c: messages.mark_conversation_as_read(c.alice, c.id),
        [("read.updated", None, "alice", "alice", ALL_BUT_CAROL)],
    ),
    "delete_user": (
        lambda c: users.delete_user(c.alice, actor=c.root),
        [
            ("participant.removed", None, "alice", "root", ALL_BUT_CAROL),
            ("conversation.updated", None, None, "root", "bob"),
        ],
    ),
}
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
    cast.send(cast.alice)

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
        cast.send(cast.alice)
        readable_early = in_thread(Event.objects.last_id).result(PATIENCE)
        rung_early = list(bell.heard)

    assert (readable_early, rung_early) == (cast.since, [])
    assert bell.heard == [in_thread(Event.objects.last_id).result(PATIENCE)]


@pytest.mark.django_db(transaction=True)
def test_rolled_back_change_appends_nothing_and_does_not_ring(bell):
    cast = Cast()
    bell.heard.clear()

    with suppress(ZeroDivisionError), transaction.atomic():
        cast.send(cast.alice)
        raise ZeroDivisionError

    assert (cast.appended(), bell.heard) == ([], [])


@pytest.mark.django_db(transaction=True)
def test_change_rolled_back_within_another_leaves_only_the_others_event(bell):
    cast = Cast()
    bell.heard.clear()

    with transaction.atomic():
        cast.send(cast.alice)
        with suppress(ZeroDivisionError), transaction.atomic():
            cast.send(cast.bob)
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
