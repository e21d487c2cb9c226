"""The hub, driven turn by turn in one thread: who is handed which frames, and when."""

import json
import queue
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from django.db import OperationalError, connection

from chats.db import wakeups
from chats.models import AccessToken, Event, User
from chats.realtime import hub as hub_module
from chats.realtime import log, other_processes
from chats.realtime.audience import Subscription
from chats.realtime.hub import CREDENTIALS_EVERY, IDLE_AFTER, TIMER, Hub
from chats.services import conversations, messages, users
from tests.support.factories import send, start
from tests.support.hub import Driven, credential_of
from tests.support.servers import PATIENCE, blocks_of, wait_until


def stored(user: User, after: int) -> list[dict]:
    """Return the person's events since, as JSON pages have them."""
    payloads = log.page(user.pk, after, 1000).payloads
    return [
        {
            "event": p["type"],
            **json.loads(hub_module.event_frame(p).split(b"data: ")[1]),
        }
        for p in payloads
    ]


@contextmanager
def failing(*words: str) -> Iterator[list[str]]:
    """Have the statements with all these words fail; yields those that did."""
    failed = []

    def execute_unless(execute, sql, params, many, context):
        if all(word in sql for word in words):
            failed.append(sql)
            raise OperationalError("the database is away")
        return execute(sql, params, many, context)

    with connection.execute_wrapper(execute_unless):
        yield failed


# --- Dispatch ------------------------------------------------------------------


def test_event_is_posted_to_who_takes_part(driven, alice, bob, mallory, conversation):
    since = Event.objects.last_id()
    for_alice, for_bob, for_mallory = driven.joined(alice, bob, mallory)

    send(alice, conversation)
    driven.turn()

    expected = stored(alice, since)
    assert [item["event"] for item in expected] == ["message.created"]
    assert driven.take(for_alice) == driven.take(for_bob) == expected
    assert driven.take(for_mallory) == []


def test_event_is_rendered_once_for_all(driven, alice, bob, conversation):
    driven.joined(alice, alice, bob)

    send(alice, conversation)
    driven.turn()

    frames = [frame for _, frame in driven.posted]
    assert len(frames) == 3
    assert len({id(frame) for frame in frames}) == 1


def test_every_stream_of_a_person_gets_the_event(driven, bob, alice, conversation):
    phone, laptop = driven.joined(bob, bob)

    send(alice, conversation)
    driven.turn()

    assert driven.kinds(phone) == driven.kinds(laptop) == ["message.created"]


def test_events_are_posted_in_the_order_of_the_log(driven, alice, bob, conversation):
    other = start(alice, bob)
    since = Event.objects.last_id()
    [stream] = driven.joined(bob)

    for number in range(10):
        send(alice, (conversation, other)[number % 2], str(number))
    driven.turn()

    got = driven.take(stream)
    assert got == stored(bob, since)
    assert [item["message"]["message_body"] for item in got] == list("0123456789")


def test_event_is_posted_once_however_many_turns(driven, alice, bob, conversation):
    [stream] = driven.joined(bob)

    send(alice, conversation)
    for _ in range(3):
        driven.turn()

    assert driven.kinds(stream) == ["message.created"]


@pytest.mark.parametrize("count", [3, 4, 5])
def test_events_beyond_one_batch_are_all_posted(
    count, driven, alice, bob, conversation, monkeypatch
):
    monkeypatch.setattr(hub_module, "BATCH", 2)
    [stream] = driven.joined(bob)

    for _ in range(count):
        send(alice, conversation)
    driven.turn()

    assert driven.kinds(stream) == ["message.created"] * count


def test_event_for_nobody_here_is_not_rendered(
    driven, alice, mallory, conversation, django_assert_num_queries
):
    [stream] = driven.joined(mallory)
    send(alice, conversation)
    driven.turn()

    send(alice, conversation)
    log_and_typing = 2 if connection.vendor == "sqlite" else 1
    with django_assert_num_queries(log_and_typing):
        driven.turn()

    assert driven.posted == []
    assert driven.hub.position == stream.position + 2


def test_turn_takes_as_many_queries_for_ten_events_as_for_one(
    driven, alice, bob, conversation, django_assert_num_queries
):
    driven.joined(alice, bob)
    typing = 1 if connection.vendor == "sqlite" else 0

    for count in (1, 10):
        for _ in range(count):
            send(alice, conversation)
        with django_assert_num_queries(3 + typing):  # log, messages, who left
            driven.turn()

    assert len(driven.posted) == 22


def test_log_is_looked_at_by_the_timer_if_nothing_rings(
    driven, alice, bob, conversation
):
    [stream] = driven.joined(bob)
    driven.turn(was_notified=False)
    send(alice, conversation)

    driven.turn(TIMER / 2, was_notified=False)
    early = driven.kinds(stream)
    driven.turn(TIMER / 2, was_notified=False)

    assert (early, driven.kinds(stream)) == ([], ["message.created"])


def test_log_is_looked_at_when_it_rings(driven, alice, bob, conversation):
    """The bell reaches a hub that runs; here the flag is all there is to see."""
    driven.joined(bob)
    driven.hub._notified.clear()
    detach = wakeups.attach(driven.hub)

    wakeups.notify_new_events()
    detach()

    assert driven.hub._notified.is_set()


# --- Who takes part, batch by batch --------------------------------------------


def test_newcomer_gets_events_from_their_joining_on(
    driven, alice, mallory, conversation
):
    [stream] = driven.joined(mallory)
    send(alice, conversation, "Before")
    conversations.add_participant(alice, conversation.pk, user_id=mallory.pk)
    send(alice, conversation, "After")

    driven.turn()

    added, sent = driven.take(stream)
    assert (added["event"], added["participant"]["user_id"]) == (
        "participant.added",
        str(mallory.pk),
    )
    assert sent["message"]["message_body"] == "After"


def test_newcomer_admitted_before_the_batch_gets_nothing_from_before_their_joining(
    driven, alice, mallory, conversation
):
    """Their participation is known to the database before the hub gets to it."""
    driven.joined(alice)
    driven.turn(was_notified=False)
    stream = driven.join(mallory)
    send(alice, conversation, "Before")
    conversations.add_participant(alice, conversation.pk, user_id=mallory.pk)
    send(alice, conversation, "After")

    driven.turn(was_notified=False)
    assert driven.hub.audience.listeners.keys() == {alice.pk, mallory.pk}
    driven.turn()

    added, sent = driven.take(stream)
    assert added["event"] == "participant.added"
    assert sent["message"]["message_body"] == "After"


def test_newcomer_gets_nothing_from_before_their_joining_out_of_memory(
    driven, alice, mallory, conversation
):
    driven.joined(alice)
    missed_from = Event.objects.last_id()
    send(alice, conversation, "Before")
    conversations.add_participant(alice, conversation.pk, user_id=mallory.pk)
    send(alice, conversation, "After")
    driven.turn()

    stream = driven.join(mallory, missed_from)
    driven.turn()

    added, sent = driven.take(stream)
    assert added["event"] == "participant.added"
    assert sent["message"]["message_body"] == "After"


def test_removed_gets_the_removal_and_nothing_after_in_one_batch(
    driven, alice, bob, conversation
):
    for_alice, for_bob = driven.joined(alice, bob)
    send(alice, conversation, "For bob too")
    conversations.remove_participant(alice, conversation.pk, user_id=bob.pk)
    send(alice, conversation, "Secret")

    driven.turn()

    sent, removed = driven.take(for_bob)
    assert sent["message"]["message_body"] == "For bob too"
    assert removed["participant"]["user_id"] == str(bob.pk)
    assert driven.kinds(for_alice) == [
        "message.created",
        "participant.removed",
        "message.created",
    ]


def test_removed_sees_nothing_from_after_in_events_from_before(
    driven, alice, bob, conversation
):
    """All in one batch, and rendered as the rows are after all of it."""
    for_alice, for_bob = driven.joined(alice, bob)
    message = send(alice, conversation, "For bob too")
    conversations.rename_conversation(alice, conversation.pk, title="For bob too")
    conversations.remove_participant(alice, conversation.pk, user_id=bob.pk)
    messages.edit_message(alice, message.pk, message_body="Secret")
    conversations.rename_conversation(alice, conversation.pk, title="Secret")

    driven.turn()

    frames = b"".join(frame for to, frame in driven.posted if to is for_bob)
    assert b"Secret" not in frames
    assert driven.kinds(for_bob) == ["participant.removed"]
    assert len(driven.kinds(for_alice)) == 5


def test_removal_committed_while_rendering_hides_what_it_must(
    driven, alice, bob, conversation
):
    """The events are read, then bob is removed and a secret sent, then rendered."""
    for_alice, for_bob = driven.joined(alice, bob)
    conversations.rename_conversation(alice, conversation.pk, title="New")
    removing = iter([True])

    def change_before_rendering(execute, sql, params, many, context):
        if 'FROM "chats_conversation"' in sql and next(removing, False):
            conversations.remove_participant(alice, conversation.pk, user_id=bob.pk)
            send(alice, conversation, "Secret")
        return execute(sql, params, many, context)

    with connection.execute_wrapper(change_before_rendering):
        driven.turn()
    driven.turn()

    secret = [to for to, frame in driven.posted if b"Secret" in frame]
    assert secret == [for_alice, for_alice]
    assert driven.kinds(for_bob) == ["participant.removed"]
    assert driven.kinds(for_alice) == [
        "conversation.updated",
        "participant.removed",
        "message.created",
    ]


def test_who_comes_back_gets_each_stay_in_one_batch(driven, alice, bob, conversation):
    [stream] = driven.joined(bob)
    send(alice, conversation, "First stay")
    conversations.remove_participant(bob, conversation.pk, user_id=bob.pk)
    send(alice, conversation, "Away")
    conversations.add_participant(alice, conversation.pk, user_id=bob.pk)
    send(alice, conversation, "Second stay")

    driven.turn()

    got = driven.take(stream)
    assert [item["event"] for item in got] == [
        "message.created",
        "participant.removed",
        "participant.added",
        "message.created",
    ]
    bodies = [item["message"]["message_body"] for item in (got[0], got[3])]
    assert bodies == ["First stay", "Second stay"]


def test_conversation_started_in_a_batch_reaches_its_people(
    driven, alice, bob, mallory
):
    for_bob, for_mallory = driven.joined(bob, mallory)
    conversation = start(alice, bob)
    send(alice, conversation)

    driven.turn()

    assert driven.kinds(for_bob) == ["conversation.created", "message.created"]
    assert driven.kinds(for_mallory) == []


def test_conversation_started_and_left_in_a_batch_is_told_to_who_left(
    driven, alice, bob
):
    [stream] = driven.joined(bob)
    conversation = start(alice, bob)
    message = send(alice, conversation)
    conversations.remove_participant(alice, conversation.pk, user_id=bob.pk)
    send(alice, conversation, "Secret")

    driven.turn()

    sent, removed = driven.take(stream)
    assert sent["message"]["message_id"] == str(message.pk)
    assert removed["event"] == "participant.removed"


def test_conversation_started_and_deleted_in_a_batch_leaves_its_end(driven, alice, bob):
    [stream] = driven.joined(bob)
    conversation = start(alice, bob)
    send(alice, conversation)
    conversations.delete_conversation(alice, conversation.pk)

    driven.turn()

    assert driven.kinds(stream) == ["conversation.deleted"]


def test_deleted_conversation_reaches_its_people_and_is_forgotten(
    driven, alice, bob, mallory, conversation
):
    for_bob, for_mallory = driven.joined(bob, mallory)
    conversations.delete_conversation(alice, conversation.pk)

    driven.turn()

    assert driven.kinds(for_bob) == ["conversation.deleted"]
    assert driven.kinds(for_mallory) == []
    assert driven.hub.audience.participants_listening(conversation.pk) == set()
    assert driven.hub.audience.listeners[bob.pk].spans == {}


def test_deleted_person_is_told_of_their_leaving(driven, alice, bob, conversation):
    for_alice, for_bob = driven.joined(alice, bob)

    users.delete_user(alice, actor=alice)
    driven.turn()

    assert driven.kinds(for_alice) == ["participant.removed"]
    assert driven.kinds(for_bob) == ["participant.removed", "conversation.updated"]


# --- Joining -------------------------------------------------------------------


def test_joiner_gets_what_it_missed_from_memory(driven, alice, bob, conversation):
    driven.joined(alice)
    missed_from = Event.objects.last_id()
    send(alice, conversation, "One")
    send(alice, conversation, "Two")
    driven.turn()

    late = driven.join(bob, missed_from)
    driven.turn()
    send(alice, conversation, "Three")
    driven.turn()

    assert driven.ended == []
    bodies = [item["message"]["message_body"] for item in driven.take(late)]
    assert bodies == ["One", "Two", "Three"]


def test_joiner_gets_no_event_that_its_backlog_had(driven, alice, bob, conversation):
    """The view may have read further than the hub has."""
    driven.joined(alice)
    send(alice, conversation, "In the backlog")
    ahead = driven.join(bob)
    send(alice, conversation, "After it")

    driven.turn()

    [item] = driven.take(ahead)
    assert item["message"]["message_body"] == "After it"


def test_joiner_ahead_of_a_hub_that_does_not_read_gets_no_event_twice(
    driven, alice, bob, conversation
):
    driven.joined(alice)
    driven.turn(was_notified=False)
    send(alice, conversation, "In the backlog")
    ahead = driven.join(bob)

    driven.turn(was_notified=False)
    driven.turn()

    assert driven.take(ahead) == []


def test_joiner_who_missed_what_was_not_rendered_is_behind(
    driven, alice, bob, mallory, conversation
):
    driven.joined(mallory)
    missed_from = Event.objects.last_id()
    send(alice, conversation)
    driven.turn()

    late = driven.join(bob, missed_from)
    driven.turn()

    assert driven.ended == [(late, "behind")]
    assert driven.take(late) == []


@pytest.mark.parametrize(("limit", "most"), [("RECENT", 3), ("RECENT_BYTES", 2400)])
def test_joiner_older_than_memory_is_behind(
    driven, alice, bob, conversation, monkeypatch, limit, most
):
    """Memory is bounded by events and by bytes; a frame has some 700."""
    monkeypatch.setattr(hub_module, limit, most)
    driven = Driven()
    driven.joined(alice)
    missed_from = Event.objects.last_id()
    for number in range(4):
        send(alice, conversation, str(number))
    driven.turn()

    too_late = driven.join(bob, missed_from)
    in_time = driven.join(bob, missed_from + 1)
    driven.turn()

    assert driven.ended == [(too_late, "behind")]
    bodies = [item["message"]["message_body"] for item in driven.take(in_time)]
    assert bodies == ["1", "2", "3"]


def test_joiner_behind_can_join_again_where_its_backlog_ends(
    driven, alice, bob, mallory, conversation
):
    driven.joined(mallory)
    send(alice, conversation, "In the backlog")
    driven.turn()
    stream = driven.join(bob, Event.objects.last_id() - 1)
    driven.turn()
    told = list(driven.ended)

    stream.position = Event.objects.last_id()
    driven.hub.join(stream)
    driven.turn()
    send(alice, conversation, "Live")
    driven.turn()

    assert told == driven.ended == [(stream, "behind")]
    [item] = driven.take(stream)
    assert item["message"]["message_body"] == "Live"


def test_joiner_removed_since_is_sent_back_to_the_log(driven, alice, bob, conversation):
    """What is in memory may have been rendered after the removal."""
    driven.joined(alice)
    missed_from = Event.objects.last_id()
    conversations.rename_conversation(alice, conversation.pk, title="For bob too")
    conversations.remove_participant(alice, conversation.pk, user_id=bob.pk)
    conversations.rename_conversation(alice, conversation.pk, title="Secret")
    driven.turn()

    late = driven.join(bob, missed_from)
    driven.turn()

    assert driven.ended == [(late, "behind")]
    assert driven.take(late) == []


def test_joiner_who_missed_an_event_of_a_conversation_that_is_gone_is_not_behind(
    driven, alice, bob
):
    """There was nothing to render, which is not the same as not rendered."""
    kept = start(alice, bob)
    driven.joined(alice)
    conversation = start(alice)
    send(alice, conversation)
    conversations.delete_conversation(alice, conversation.pk)
    missed_from = Event.objects.last_id() - 3
    send(alice, kept)
    driven.turn()

    late = driven.join(bob, missed_from)
    driven.turn()

    assert driven.ended == []
    assert driven.kinds(late) == ["message.created"]


def test_second_stream_does_not_disturb_the_first(driven, alice, bob, conversation):
    [first] = driven.joined(bob)
    send(alice, conversation, "One")
    driven.turn()

    second = driven.join(bob, Event.objects.last_id() - 1)
    driven.turn()

    assert driven.kinds(first) == driven.kinds(second) == ["message.created"]


# --- Leaving -------------------------------------------------------------------


def test_stream_that_left_gets_nothing_more(driven, alice, bob, conversation):
    gone, stays = driven.joined(bob, bob)

    driven.hub.leave(gone)
    send(alice, conversation)
    driven.turn()

    assert driven.take(gone) == []
    assert driven.kinds(stays) == ["message.created"]


def test_person_is_forgotten_with_their_last_stream(driven, bob, conversation):
    [stream] = driven.joined(bob)

    driven.hub.leave(stream)
    driven.turn()

    assert driven.hub.audience.listeners == {}
    assert driven.hub.audience.participants_listening(conversation.pk) == set()


def test_stream_that_joined_and_left_before_a_turn_is_not_kept(
    driven, alice, bob, conversation
):
    """Or it would stay for ever, and its person online."""
    driven.joined(alice)

    stream = driven.join(bob)
    driven.hub.leave(stream)
    driven.turn()

    assert set(driven.hub.audience.listeners) == {alice.pk}


def test_stream_that_leaves_twice_or_never_joined_is_harmless(driven, bob):
    [stream] = driven.joined(bob)

    for _ in range(2):
        driven.hub.leave(stream)
    driven.hub.leave(Subscription(0, credential_of(bob)))
    driven.turn()

    assert driven.hub.audience.listeners == {}


# --- Idle ----------------------------------------------------------------------


def test_hub_with_nobody_listening_asks_the_database_nothing(
    driven, bob, django_assert_num_queries
):
    [stream] = driven.joined(bob)
    driven.hub.leave(stream)
    driven.turn(IDLE_AFTER)

    with django_assert_num_queries(0):
        driven.turn()

    assert driven.hub.position is None
    assert driven.hub._longest_wait() is None


def test_hub_stays_awake_for_a_while_after_the_last_stream(
    driven, alice, bob, conversation
):
    """A page that is loaded anew finds what it missed in memory."""
    [stream, other] = driven.joined(bob, alice)
    driven.hub.leave(stream)
    driven.hub.leave(other)
    driven.turn(IDLE_AFTER - 1)
    position = Event.objects.last_id()

    back = driven.join(bob, position)
    driven.turn()
    send(alice, conversation)
    driven.turn()

    assert (driven.ended, driven.kinds(back)) == ([], ["message.created"])


def test_hub_wakes_at_the_end_of_the_log(driven, alice, bob, conversation):
    [stream] = driven.joined(bob)
    driven.hub.leave(stream)
    driven.turn(IDLE_AFTER)
    missed_from = Event.objects.last_id()
    send(alice, conversation, "While idle")

    behind = driven.join(bob, missed_from)
    up_to_date = driven.join(alice)
    driven.turn()
    send(alice, conversation, "After waking")
    driven.turn()

    assert driven.ended == [(behind, "behind")]
    [item] = driven.take(up_to_date)
    assert item["message"]["message_body"] == "After waking"


def test_hub_forgets_what_was_typed_while_idle(driven, alice, bob, conversation):
    driven.hub.notify_typing(conversation.pk, alice.pk)
    driven.turn()

    [stream] = driven.joined(bob)

    assert driven.take(stream) == []


# --- What is not stored --------------------------------------------------------


def test_typing_reaches_the_others_without_an_id(
    driven, alice, bob, mallory, conversation
):
    _, for_bob, _ = driven.joined(alice, bob, mallory)

    driven.hub.notify_typing(conversation.pk, alice.pk)
    driven.turn()

    [(stream, frame)] = driven.posted
    assert stream is for_bob
    assert frame.startswith(b"event: typing\n")
    assert driven.take(for_bob) == [
        {
            "event": "typing",
            "conversation_id": str(conversation.pk),
            "user_id": str(alice.pk),
        }
    ]


def test_typing_no_longer_reaches_who_was_removed(driven, alice, bob, conversation):
    [stream] = driven.joined(bob)
    conversations.remove_participant(alice, conversation.pk, user_id=bob.pk)

    driven.hub.notify_typing(conversation.pk, alice.pk)
    driven.turn()

    assert driven.kinds(stream) == ["participant.removed"]


def test_credentials_are_checked_every_few_seconds(driven, alice, bob):
    for_alice, _ = driven.joined(alice, bob)
    AccessToken.objects.filter(user=alice).delete()

    driven.turn(CREDENTIALS_EVERY / 2)
    early = list(driven.ended)
    driven.turn(CREDENTIALS_EVERY / 2)

    assert (early, driven.ended) == ([], [(for_alice, "signed out")])


# --- The database away ---------------------------------------------------------

STATEMENTS = {
    "the log": ('FROM "chats_event"',),
    "who was there": ('FROM "chats_participant"', '"first_event_id" IN'),
    "who left": ('FROM "chats_pastparticipant"',),
    "messages": ('FROM "chats_message"',),
    "people": ('FROM "chats_user"', '"user_id" IN'),
}


@pytest.mark.parametrize("words", STATEMENTS.values(), ids=STATEMENTS)
def test_outage_in_a_dispatch_loses_and_doubles_nothing(
    words, driven, alice, bob, conversation
):
    since = Event.objects.last_id()
    for_alice, for_bob = driven.joined(alice, bob)
    other = start(alice, bob)
    send(alice, conversation, "One")
    send(alice, other, "Two")
    conversations.remove_participant(alice, conversation.pk, user_id=bob.pk)
    send(alice, conversation, "Three")

    with failing(*words) as failed:
        for _ in range(2):
            with pytest.raises(OperationalError):
                driven.turn()
    driven.turn()

    assert len(failed) == 2
    assert driven.take(for_bob) == stored(bob, since)
    assert driven.take(for_alice) == stored(alice, since)


def test_outage_while_joining_keeps_the_joiners_in_order(
    driven, alice, bob, conversation
):
    driven.joined(alice)
    missed_from = Event.objects.last_id()
    send(alice, conversation)
    driven.turn()
    first, gone, second = (driven.join(bob, missed_from) for _ in range(3))

    with failing('FROM "chats_participant"'), pytest.raises(OperationalError):
        driven.turn()
    driven.hub.leave(gone)
    driven.turn()

    assert [to for to, _ in driven.posted if to.user_id == bob.pk] == [first, second]
    assert driven.hub.audience.listeners[bob.pk].streams == {first, second}


def test_outage_while_waking_up_is_repeated(driven, bob, alice, conversation):
    stream = driven.join(bob)

    with failing('FROM "chats_event"'), pytest.raises(OperationalError):
        driven.turn()
    driven.turn()
    send(alice, conversation)
    driven.turn()

    assert (driven.ended, driven.kinds(stream)) == ([], ["message.created"])


# --- The thread ----------------------------------------------------------------


@pytest.fixture(autouse=True)
def _no_long_pauses(monkeypatch):
    """What a hub in a thread waits for, it waits for in short turns."""
    monkeypatch.setattr(hub_module, "OUTAGE_PAUSE", 0.01)
    monkeypatch.setattr(other_processes, "RECONNECT_EVERY", 0.05)


class Running:
    """A hub in its own thread; what it posts and ends arrives in queues."""

    def __init__(self):
        self.posted: queue.Queue = queue.Queue()
        self.ended: queue.Queue = queue.Queue()
        self.hub = Hub(self._post, lambda streams, why: self._end(streams, why))
        self.thread = threading.Thread(target=self.hub.run, name="hub")

    def _post(self, frames: list[tuple[Subscription, bytes]]) -> None:
        for pair in frames:
            self.posted.put(pair)

    def _end(self, streams: list[Subscription], why: str) -> None:
        for stream in streams:
            self.ended.put((stream, why))

    def __enter__(self) -> "Running":
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.hub.stop()
        self.thread.join(PATIENCE)
        for thread in threading.enumerate():
            if thread.name == "listener":
                thread.join(PATIENCE)
        assert not self.thread.is_alive()

    def open(self, user: User) -> Subscription:
        """Open a stream and wait until the hub has it."""
        stream = Subscription(Event.objects.last_id(), credential_of(user))
        self.hub.join(stream)
        wait_until(lambda: stream in self.hub.audience.streams())
        return stream

    def next_body(self) -> str:
        """Wait for the next message and return its body."""
        _, frame = self.posted.get(timeout=PATIENCE)
        [block] = blocks_of([frame])
        return json.loads(block["data"])["message"]["message_body"]


@pytest.mark.django_db(transaction=True)
def test_running_hub_posts_what_the_process_commits(alice, bob, conversation):
    with Running() as running:
        running.open(bob)
        send(alice, conversation, "One")
        first = running.next_body()
        send(alice, conversation, "Two")

        assert (first, running.next_body()) == ("One", "Two")


@pytest.mark.django_db(transaction=True)
def test_running_hub_that_meets_an_error_ends_its_streams_and_goes_on(
    alice, bob, conversation, caplog
):
    with Running() as running:
        first = running.open(bob)
        send(alice, conversation, "One")
        assert running.next_body() == "One"

        running.hub._typing.append(("what no code of ours whispers",))
        running.hub.notify_new_events()
        ended = running.ended.get(timeout=PATIENCE)
        assert ended == (first, "restart")

        running.open(bob)
        send(alice, conversation, "Two")
        assert running.next_body() == "Two"
    assert "The event hub restarts" in caplog.text


@pytest.mark.django_db(transaction=True)
def test_running_hub_outlives_the_loss_of_its_connection(
    alice, bob, conversation, caplog
):
    with Running() as running:
        running.open(bob)
        send(alice, conversation, "One")
        assert running.next_body() == "One"

        rename_the_log("chats_event", "chats_event_away")
        running.hub.notify_new_events()
        wait_until(lambda: "is waiting for the database" in caplog.text)
        rename_the_log("chats_event_away", "chats_event")
        send(alice, conversation, "Two")

        assert running.next_body() == "Two"
        assert running.ended.empty()


@pytest.mark.skipif(connection.vendor == "sqlite", reason="SQLite has no server")
@pytest.mark.django_db(transaction=True)
def test_running_hub_and_its_listener_connect_again(alice, bob, conversation):
    with Running() as running:
        running.open(bob)
        wait_until(lambda: other_connections("LISTEN"))

        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
        send(alice, conversation, "One")

        assert running.next_body() == "One"
        assert running.ended.empty()
        wait_until(lambda: other_connections("LISTEN"))


def other_connections(last_statement: str) -> int:
    """Count the connections to PostgreSQL whose last statement begins so."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
            " AND pid <> pg_backend_pid() AND query LIKE %s",
            [f"{last_statement}%"],
        )
        return cursor.fetchone()[0]


def rename_the_log(old: str, new: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(f"ALTER TABLE {old} RENAME TO {new}")
