"""Forgetting old events: in small steps, and never a log with a hole."""

from datetime import timedelta
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.utils import timezone

from chats.models import Conversation, Event, EventLog, Message, PastParticipant, User
from chats.services import conversations, messages
from chats.services.pruning import prunable_through, prune_batch
from tests.support.factories import start


def send(actor: User, conversation: Conversation, count: int = 1) -> None:
    for number in range(count):
        messages.send_message(actor, conversation.pk, message_body=str(number))


def age(days: float, through: int | None = None) -> int:
    """Make the events up to an id (all, if None) some days old; return that id."""
    through = through or Event.objects.last_id()
    then = timezone.now() - timedelta(days=days)
    Event.objects.filter(pk__lte=through).update(created_at=then)
    return through


def ids() -> list[int]:
    return list(Event.objects.order_by("pk").values_list("pk", flat=True))


def prune(**options) -> str:
    out = StringIO()
    call_command("prune_events", stdout=out, verbosity=0, **options)
    return out.getvalue()


# --- The command ---------------------------------------------------------------


def test_prune_deletes_what_is_past_its_retention(alice, conversation):
    send(alice, conversation, 4)
    end = age(31)
    send(alice, conversation, 2)
    kept = ids()[-2:]

    said = prune()

    assert said == f"5 events deleted; the log begins after {end}.\n"
    assert ids() == kept
    assert EventLog.pruned_through() == end


@pytest.mark.parametrize(("days", "left"), [(29, 3), (30.5, 0)])
def test_prune_keeps_thirty_days_unless_told_otherwise(days, left, alice, conversation):
    send(alice, conversation, 2)
    age(days)

    prune()

    assert Event.objects.count() == left


def test_prune_follows_the_setting_and_the_option(alice, conversation, settings):
    settings.EVENT_RETENTION_DAYS = 7
    send(alice, conversation, 2)
    end = age(8)
    send(alice, conversation)
    age(2)
    age(8, end)

    prune()
    after_the_setting = Event.objects.count()
    prune(days=1)

    assert (after_the_setting, Event.objects.count()) == (1, 0)


def test_prune_in_batches_deletes_the_same(alice, conversation):
    send(alice, conversation, 6)
    end = age(31)

    said = prune(batch=3)

    assert said == f"7 events deleted; the log begins after {end}.\n"
    assert (ids(), EventLog.pruned_through()) == ([], end)


def test_prune_shows_its_progress(alice, conversation, capsys):
    send(alice, conversation, 6)
    age(31)

    call_command("prune_events", batch=3, stdout=StringIO())

    assert "100%" in (progress := capsys.readouterr().err)
    assert "7/7" in progress


def test_prune_again_changes_nothing(alice, conversation):
    send(alice, conversation)
    end = age(31)
    prune()

    said = prune()

    assert said == f"0 events deleted; the log begins after {end}.\n"
    assert EventLog.pruned_through() == end


def test_prune_of_an_empty_log_says_so(db):
    assert prune() == "0 events deleted; the log begins after 0.\n"


def test_prune_with_a_wrong_option_is_refused(db):
    with pytest.raises(CommandError):
        call_command("prune_events", "--days", "many")


# --- One batch -----------------------------------------------------------------


def test_batch_deletes_the_oldest_and_moves_the_beginning_on(alice, conversation):
    send(alice, conversation, 5)
    before = ids()

    deleted = prune_batch(before[-1], 4)

    assert deleted == 4
    assert ids() == before[4:]
    assert EventLog.pruned_through() == before[3]


def test_batch_stops_at_the_end_given(alice, conversation):
    send(alice, conversation, 5)
    before = ids()

    deleted = prune_batch(before[1], 1000)

    assert (deleted, ids()) == (2, before[2:])


def test_batch_deletes_whatever_the_times_are_up_to_its_end(alice, conversation):
    """Clocks of two nodes differ; ids are in order."""
    send(alice, conversation, 3)
    before = ids()
    now = timezone.now()
    for pk, days in zip(before, (40, -300, 40), strict=False):
        Event.objects.filter(pk=pk).update(created_at=now - timedelta(days))

    end, count = prunable_through(timezone.now() - timedelta(30))

    assert (end, count) == (before[2], 3)


def test_batch_never_moves_the_beginning_back(alice, conversation):
    send(alice, conversation, 3)
    EventLog.objects.create(pruned_through_id=ids()[-1] + 10)

    prune_batch(ids()[0], 1)

    assert EventLog.pruned_through() == ids()[-1] + 10


def test_batch_deletes_no_message_and_no_participant(alice, bob, conversation):
    send(alice, conversation, 3)

    prune_batch(Event.objects.last_id(), 1000)

    conversation.refresh_from_db()
    assert Message.objects.count() == 3
    assert (conversation.last_seq, conversation.participations.count()) == (3, 2)


def test_batch_deletes_the_spans_that_lie_before_it(alice, bob, conversation):
    conversations.remove_participant(alice, conversation.pk, user_id=bob.pk)
    first_left = Event.objects.last_id()
    conversations.add_participant(alice, conversation.pk, user_id=bob.pk)
    conversations.remove_participant(alice, conversation.pk, user_id=bob.pk)
    second_left = Event.objects.last_id()

    prune_batch(first_left, 1000)

    spans = PastParticipant.objects.values_list("user", "last_event_id")
    assert list(spans) == [(bob.pk, second_left)]


def test_batch_rolled_back_leaves_the_log_whole(alice, conversation):
    send(alice, conversation, 3)
    before = ids()

    def fail(execute, sql, params, many, context):
        if sql.startswith("DELETE") and "chats_pastparticipant" in sql:
            raise ZeroDivisionError
        return execute(sql, params, many, context)

    with connection.execute_wrapper(fail), pytest.raises(ZeroDivisionError):
        prune_batch(before[-1], 1000)

    assert (ids(), EventLog.pruned_through()) == (before, 0)


# --- Readers -------------------------------------------------------------------


def read(client, after: int):
    return client.get("/api/events/", {"after": f"1-{after}"})


def test_reader_before_the_beginning_is_told_to_load_anew(
    as_alice, alice, conversation
):
    send(alice, conversation, 3)
    beginning = ids()[1]
    prune_batch(beginning, 1000)

    answer = read(as_alice, beginning - 1)

    assert answer.status_code == 410
    assert answer.json() == {
        "detail": "This cursor is older than the events kept. Reload everything.",
        "code": "gone",
    }


def test_reader_at_the_beginning_gets_everything_that_is_kept(
    as_alice, alice, conversation
):
    send(alice, conversation, 3)
    beginning, *kept = ids()[1:]
    prune_batch(beginning, 1000)

    answer = read(as_alice, beginning)

    assert answer.status_code == 200
    got = [event["id"] for event in answer.json()["events"]]
    assert got == [f"1-{pk}" for pk in kept]


def test_reader_of_a_log_pruned_empty_goes_on_where_it_ended(
    as_alice, alice, conversation
):
    send(alice, conversation, 2)
    end = Event.objects.last_id()
    prune_batch(end, 1000)

    beginning = as_alice.get("/api/events/").json()["cursor"]
    send(alice, conversation)
    answer = as_alice.get("/api/events/", {"after": beginning})

    assert beginning == f"1-{end}"
    assert [event["type"] for event in answer.json()["events"]] == ["message.created"]


def test_reader_removed_long_ago_gets_nothing_of_it(as_bob, alice, bob, conversation):
    other = start(alice, bob)
    conversations.remove_participant(alice, conversation.pk, user_id=bob.pk)
    beginning = Event.objects.last_id()
    send(alice, conversation)
    send(alice, other)
    prune_batch(beginning, 1000)

    answer = read(as_bob, beginning)

    got = [event["conversation_id"] for event in answer.json()["events"]]
    assert got == [str(other.pk)]
