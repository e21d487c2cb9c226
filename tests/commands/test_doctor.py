"""``manage.py doctor``: a sound database passes, and each thing broken is named."""

from collections.abc import Callable
from datetime import timedelta
from io import StringIO
from threading import Event as Flag
from threading import Thread

import pytest
from django.core.management import CommandError, call_command
from django.db import IntegrityError, connection, transaction
from django.db.models import F
from django.utils import timezone

from chats.db.uuids import uuid7
from chats.management.doctor.invariants import Scope
from chats.management.doctor.runner import CHECKS
from chats.management.doctor.runner import examine as examine_ranges
from chats.models import (
    AccessToken,
    Conversation,
    Event,
    EventLog,
    Message,
    Participant,
    PastParticipant,
    User,
    UserSession,
)
from chats.services import erasing
from chats.services.conversations import (
    add_participant,
    delete_conversation,
    remove_participant,
)
from chats.services.erasing import erase_batch
from chats.services.messages import delete_message, edit_message, send_message
from chats.services.pruning import prune_batch
from chats.services.transfer import export_conversation, import_conversation
from chats.services.users import deactivate_user, delete_user
from tests.support.factories import UserFactory, start

HOUR = timedelta(hours=1)


def examine(**options) -> tuple[set[str], str]:
    """Return the names of what the doctor finds wrong, and what it prints."""
    out = StringIO()
    try:
        call_command("doctor", verbosity=0, stdout=out, **options)
    except CommandError as error:
        _, _, kinds = str(error).partition(": ")
        return {kind.split()[0] for kind in kinds.split(", ")}, out.getvalue()
    return set(), out.getvalue()


@pytest.fixture
def half_erased(alice, bob, monkeypatch) -> Conversation:
    """A deleted conversation of which two messages of five are erased."""
    monkeypatch.setattr(erasing, "BATCH", 2)
    place = start(alice, bob)
    for number in range(5):
        send_message(bob, place.pk, message_body=f"Gone {number}")
    delete_conversation(alice, place.pk)
    erase_batch(2)
    return place


@pytest.fixture
def lived_in(alice, bob, mallory, conversation, half_erased) -> Conversation:
    """A conversation in which something of everything has happened."""
    for number in range(4):
        send_message(alice, conversation.pk, message_body=f"Hello {number}")
    first = conversation.messages.get(seq=1)
    edit_message(alice, first.pk, message_body="Hello!")
    delete_message(alice, conversation.messages.get(seq=2).pk)
    for _ in range(2):
        add_participant(alice, conversation.pk, user_id=mallory.pk)
        send_message(mallory, conversation.pk, message_body="Me too")
        remove_participant(alice, conversation.pk, user_id=mallory.pk)
    delete_conversation(alice, start(alice, bob).pk)
    gone, quiet = UserFactory(), UserFactory()
    AccessToken.objects.issue(alice, "laptop", None)
    start(gone, alice)
    start(gone)
    delete_user(gone, actor=gone)
    deactivate_user(quiet, actor=quiet)
    conversation.refresh_from_db()
    return conversation


@pytest.mark.parametrize("batch", [1, 2, 1000])
def test_doctor_finds_nothing_wrong_in_a_sound_database(lived_in, batch):
    found, printed = examine(batch=batch)

    assert (found, printed[-15:]) == (set(), ": no problems.\n")


def test_doctor_finds_nothing_wrong_in_an_empty_database(db):
    assert examine()[0] == set()


@pytest.mark.parametrize("kept", [0, 1, 5])
def test_doctor_finds_nothing_wrong_in_a_pruned_log(lived_in, kept):
    end = Event.objects.last_id() - kept

    prune_batch(end, size=1000)

    assert EventLog.pruned_through() == end
    assert examine()[0] == set()


@pytest.mark.parametrize("kept", [0, 1, 5, 1000])
def test_doctor_finds_nothing_wrong_in_imported_conversations(lived_in, kept):
    place = start(lived_in.owner)
    send_message(lived_in.owner, place.pk, message_body="To be imported")
    lines = list(export_conversation(place.pk))
    delete_conversation(lived_in.owner, place.pk)
    for going_on in (True, False):
        new = {"conversation_id": uuid7(), "message_id": uuid7()}
        lines = [line | {key: new[key] for key in new if key in line} for line in lines]
        imported, _ = import_conversation(lines)
        if going_on:
            send_message(imported.owner, imported.pk, message_body="Here again")

    prune_batch(Event.objects.last_id() - kept, size=1000)

    assert examine()[0] == set()


def raw(sql: str, **values) -> None:
    with connection.cursor() as cursor:
        cursor.execute(sql, values)


def unchecked(table: str, constraint: str) -> None:
    """Have the database not refuse what a check constraint forbids."""
    if connection.vendor == "sqlite":
        raw("PRAGMA ignore_check_constraints = ON")
    else:
        raw("SET CONSTRAINTS ALL IMMEDIATE")  # no table is altered before
        raw(f"ALTER TABLE {table} DROP CONSTRAINT {constraint}")


@pytest.fixture
def _checked_again(db):
    yield
    if connection.vendor == "sqlite":
        raw("PRAGMA ignore_check_constraints = OFF")


def lose_a_message(place: Conversation) -> None:
    place.messages.filter(seq=3).delete()


def number_a_message_anew(place: Conversation) -> None:
    place.messages.filter(seq=3).update(seq=300)


def send_in_the_past(place: Conversation) -> None:
    place.messages.filter(seq=3).update(sent_at=F("sent_at") - timedelta(days=1))


def point_at_an_earlier_message(place: Conversation) -> None:
    first = place.messages.get(seq=1)
    Conversation.objects.filter(pk=place.pk).update(last_message_id=first.pk)


def point_at_a_message_elsewhere(place: Conversation) -> None:
    other = start(place.owner)
    message, _ = send_message(place.owner, other.pk, message_body="Elsewhere")
    Conversation.objects.filter(pk=place.pk).update(last_message_id=message.pk)


def read_too_far(place: Conversation) -> None:
    place.participations.update(last_read_seq=place.last_seq + 1)


def come_back_to_what_is_deleted(place: Conversation) -> None:
    gone = Conversation.objects.deleted().get()
    Participant.objects.create(conversation=gone, user=place.owner)


def erase_from_the_end(place: Conversation) -> None:
    gone = Conversation.objects.deleted().get()
    gone.messages.get(seq=gone.last_seq).delete()


def erase_from_the_middle(place: Conversation) -> None:
    gone = Conversation.objects.deleted().get()
    gone.messages.get(seq=gone.last_seq - 1).delete()


def keep_a_deletion_secret(place: Conversation) -> None:
    Event.objects.filter(
        conversation_id=Conversation.objects.deleted().get().pk,
        type="conversation.deleted",
    ).delete()


def forget_what_is_unread(place: Conversation) -> None:
    place.participations.filter(last_read_seq__lt=place.last_seq).update(
        has_unread=False
    )


def be_active_in_another_hour(place: Conversation) -> None:
    place.participations.update(active_hour=1)


def miscount(place: Conversation) -> None:
    Conversation.objects.filter(pk=place.pk).update(participant_count=1)


def give_to_an_outsider(place: Conversation) -> None:
    Conversation.objects.filter(pk=place.pk).update(owner=UserFactory())


def keep_an_owner_of_nothing(place: Conversation) -> None:
    empty = start(place.owner)
    empty.participations.all().delete()
    Conversation.objects.filter(pk=empty.pk).update(participant_count=0)


def store_a_message_of_nowhere(place: Conversation) -> None:
    place.messages.filter(seq=1).update(conversation_id=uuid7(), seq=1)


def store_a_participant_of_nowhere(place: Conversation) -> None:
    last = place.participations.last()
    type(last).objects.filter(pk=last.pk).update(conversation_id=uuid7())


def forget_an_event(place: Conversation) -> None:
    message = place.messages.get(seq=3)
    Event.objects.filter(message_id=message.pk, type="message.created").delete()


def forget_the_first_event(place: Conversation) -> None:
    message = place.messages.get(seq=1)
    Event.objects.filter(message_id=message.pk).delete()


def forget_the_last_event(place: Conversation) -> None:
    Event.objects.filter(message_id=place.last_message_id).delete()


def empty_the_log(place: Conversation) -> None:
    Event.objects.all().delete()


def double_an_event(place: Conversation) -> None:
    events = Event.objects.filter(conversation_id=place.pk, type="message.created")
    event = events.first()
    event.pk = None
    event.save(force_insert=True)


def tell_of_an_edit_as_of_a_creation(place: Conversation) -> None:
    Event.objects.filter(type="message.updated").update(type="message.created")


def swap_events(place: Conversation) -> None:
    created = Event.objects.filter(conversation_id=place.pk, type="message.created")
    first, second = created[:2]
    created.filter(pk=first.pk).update(message_id=second.message_id)
    created.filter(pk=second.pk).update(message_id=first.message_id)


def live_on(place: Conversation) -> None:
    gone = Event.objects.filter(type="conversation.deleted").first()
    Event.objects.create(
        type="conversation.updated", conversation_id=gone.conversation_id
    )


def tell_of_nothing(place: Conversation) -> None:
    Event.objects.create(type="conversation.updated", conversation_id=uuid7())


def tell_of_no_message(place: Conversation) -> None:
    Event.objects.create(
        type="message.updated", conversation_id=place.pk, message_id=uuid7()
    )


def tell_of_a_message_elsewhere(place: Conversation) -> None:
    other = start(place.owner)
    message, _ = send_message(place.owner, other.pk, message_body="Elsewhere")
    Event.objects.create(
        type="message.updated", conversation_id=place.pk, message_id=message.pk
    )


def create_again(place: Conversation) -> None:
    Event.objects.create(type="conversation.created", conversation_id=place.pk)


def join_by_another_event(place: Conversation) -> None:
    message = Event.objects.filter(type="message.created").first()
    place.participations.update(first_event_id=message.pk)


def join_in_the_future(place: Conversation) -> None:
    place.participations.update(first_event_id=10**9)


def end_before_the_beginning(place: Conversation) -> None:
    span = PastParticipant.objects.first()
    span.first_event_id = span.last_event_id + 1
    span.save()


def end_by_another_event(place: Conversation) -> None:
    PastParticipant.objects.update(last_event_id=F("last_event_id") - 1)


def overlap(place: Conversation) -> None:
    span = PastParticipant.objects.filter(conversation_id=place.pk).last()
    PastParticipant.objects.create(
        user_id=span.user_id,
        conversation_id=span.conversation_id,
        first_event_id=span.first_event_id,
        last_event_id=span.last_event_id,
    )


def rejoin_too_early(place: Conversation) -> None:
    span = PastParticipant.objects.filter(conversation_id=place.pk).last()
    span.user_id = place.owner_id
    span.save()


def send_as_nobody(place: Conversation) -> None:
    place.messages.filter(seq=1).update(sender_id=uuid7())


def bring_the_dead_back(place: Conversation) -> None:
    gone = User.objects.exclude(deleted_at=None).get()
    Participant.objects.create(
        conversation=place, user=gone, first_event_id=EventLog.pruned_through()
    )


def sign_the_dead_in(place: Conversation) -> None:
    User.objects.exclude(deleted_at=None).update(sessions_ended_at=None)


def keep_a_session_of_the_dead(place: Conversation) -> None:
    gone = User.objects.exclude(deleted_at=None).get()
    before = gone.deleted_at - timedelta(seconds=1)
    UserSession.objects.create(
        session_key="k", user=gone, created_at=before, expire_date=timezone.now()
    )


def name_the_dead(place: Conversation) -> None:
    User.objects.exclude(deleted_at=None).update(first_name="Gone")


def issue_to_the_suspended(place: Conversation) -> None:
    AccessToken.objects.issue(
        User.objects.get(is_active=False, deleted_at=None), "", None
    )


def make_a_guest_superuser(place: Conversation) -> None:
    unchecked("chats_user", "user_superuser_is_role_admin")
    raw("UPDATE chats_user SET is_superuser = %(yes)s", yes=True)


def read_below_nothing(place: Conversation) -> None:
    unchecked("chats_participant", "chats_participant_last_read_seq_check")
    unchecked("chats_participant", "participant_joined_before_reading")
    raw("UPDATE chats_participant SET last_read_seq = -1")


def read_less_than_at_joining(place: Conversation) -> None:
    unchecked("chats_participant", "participant_joined_before_reading")
    raw("UPDATE chats_participant SET joined_seq = last_read_seq + 1")


def join_below_nothing(place: Conversation) -> None:
    unchecked("chats_participant", "chats_participant_joined_seq_check")
    raw("UPDATE chats_participant SET joined_seq = -1")


def lose_the_owner(place: Conversation) -> None:
    unchecked("chats_conversation", "conversation_has_owner")
    raw("UPDATE chats_conversation SET owner_id = NULL")


def prune_in_name_only(place: Conversation) -> None:
    EventLog.objects.update_or_create(
        pk=1, defaults={"pruned_through_id": Event.objects.last_id()}
    )


def set_the_log_back(place: Conversation) -> None:
    if connection.vendor == "sqlite":
        raw("UPDATE sqlite_sequence SET seq = 1 WHERE name = 'chats_event'")
    else:
        Event.objects.update(event_id=F("event_id") + 1_000_000)


# Each way to break the rows, and the check that is to find it. Besides, others may.
BREAKS: list[tuple[Callable, str]] = [
    (lose_a_message, "seq"),
    (number_a_message_anew, "seq"),
    (send_in_the_past, "sent_at"),
    (point_at_an_earlier_message, "last_message"),
    (point_at_a_message_elsewhere, "last_message"),
    (read_too_far, "last_read_seq"),
    (read_below_nothing, "last_read_seq"),
    (read_less_than_at_joining, "last_read_seq"),
    (join_below_nothing, "last_read_seq"),
    (come_back_to_what_is_deleted, "deleted_conversation"),
    (erase_from_the_end, "deleted_conversation"),
    (erase_from_the_middle, "deleted_conversation"),
    (forget_what_is_unread, "has_unread"),
    (be_active_in_another_hour, "active_hour"),
    (miscount, "participant_count"),
    (give_to_an_outsider, "owner"),
    (keep_an_owner_of_nothing, "owner"),
    (lose_the_owner, "owner"),
    (store_a_message_of_nowhere, "conversation_absent"),
    (store_a_participant_of_nowhere, "conversation_absent"),
    (forget_an_event, "event_missing"),
    (forget_the_first_event, "event_missing"),
    (forget_the_last_event, "event_missing"),
    (empty_the_log, "event_missing"),
    (double_an_event, "event_order"),
    (tell_of_an_edit_as_of_a_creation, "event_order"),
    (swap_events, "event_order"),
    (live_on, "event_life"),
    (create_again, "event_life"),
    (tell_of_nothing, "event_of_nothing"),
    (keep_a_deletion_secret, "event_of_nothing"),
    (tell_of_no_message, "event_of_no_message"),
    (tell_of_a_message_elsewhere, "event_of_no_message"),
    (join_by_another_event, "first_event_id"),
    (join_in_the_future, "first_event_id"),
    (end_before_the_beginning, "past_span"),
    (end_by_another_event, "past_span"),
    (overlap, "span_overlap"),
    (rejoin_too_early, "span_overlap"),
    (send_as_nobody, "person_absent"),
    (bring_the_dead_back, "deleted_takes_part"),
    (sign_the_dead_in, "deleted_signs_in"),
    (keep_a_session_of_the_dead, "deleted_signs_in"),
    (name_the_dead, "deleted_named"),
    (issue_to_the_suspended, "inactive_token"),
    (make_a_guest_superuser, "superuser_role"),
    (prune_in_name_only, "log_pruned"),
    (set_the_log_back, "log_ids"),
]


@pytest.mark.usefixtures("_checked_again")
@pytest.mark.parametrize(("break_it", "name"), BREAKS)
def test_doctor_names_what_is_broken(break_it, name, lived_in):
    with transaction.atomic():  # undone before the database looks at foreign keys
        break_it(lived_in)
        found, printed = examine()
        transaction.set_rollback(True)

    assert name in found
    assert f"{name}: " in printed


def test_every_check_is_known_to_find_something():
    assert {name for _, name in BREAKS} == {check.name for check in CHECKS}


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE chats_participant SET last_read_seq = -1",
        "UPDATE chats_message SET seq = 0",
        "UPDATE chats_message SET message_body = ''",
        "UPDATE chats_conversation SET owner_id = NULL",
        "UPDATE chats_conversation SET last_message_id = NULL",
        "UPDATE chats_conversation SET deleted_at = created_at",
        "UPDATE chats_user SET is_superuser = (1 = 1)",
        "UPDATE chats_user SET deleted_at = created_at",
        "INSERT INTO chats_eventlog (id, pruned_through_id) VALUES (2, 0)",
    ],
)
def test_database_itself_refuses(sql, lived_in):
    Message.objects.filter(deleted_at__isnull=False).delete()
    with pytest.raises(IntegrityError), transaction.atomic():
        raw(sql)


def test_doctor_shows_a_few_of_each_kind_and_counts_the_rest(alice, bob):
    places = [start(alice, bob) for _ in range(5)]
    for place in places:
        miscount(place)

    found, printed = examine(show=2, batch=2)

    assert found == {"participant_count"}
    lines = printed.splitlines()
    assert len(lines) == 3
    assert lines[2] == "participant_count: 3 more"
    assert lines[0] == (
        f"participant_count: conversation {places[0].pk}: "
        "participant_count 1, but 2 participants"
    )


def test_doctor_goes_through_all_rows_a_range_at_a_time(alice, bob):
    for _ in range(5):
        start(alice, bob)

    unexpected = []

    def report(*finding) -> None:
        unexpected.append(finding)

    ranges = {scope: list(examine_ranges(scope, 2, report)) for scope in Scope}

    assert ranges == {
        Scope.CONVERSATIONS: [2, 2, 1],
        Scope.PEOPLE: [2, 0],
        Scope.LOG: [1],
    }
    assert unexpected == []


def test_doctor_allows_for_clocks_that_differ_where_the_log_was_pruned(lived_in):
    """By another node's clock it was sent before what was pruned was stored."""
    place = start(lived_in.owner)
    send_message(lived_in.owner, place.pk, message_body="Pruned")
    prune_batch(Event.objects.last_id(), size=1000)
    event = Event.objects.create(
        type="conversation.updated",
        conversation_id=place.pk,
        created_at=timezone.now() - timedelta(minutes=4),
    )
    assert examine()[0] == set()

    Event.objects.filter(pk=event.pk).update(created_at=event.created_at - HOUR)

    assert examine()[0] == {"event_missing"}


@pytest.mark.django_db(transaction=True)
def test_doctor_raises_no_alarm_while_people_write(alice, bob):
    places = [start(alice, bob) for _ in range(5)]
    stopped = Flag()

    def write() -> None:
        while not stopped.is_set():
            for place in places:
                send_message(alice, place.pk, message_body="Hello")
                remove_participant(alice, place.pk, user_id=bob.pk)
                add_participant(alice, place.pk, user_id=bob.pk)
        connection.close()

    writer = Thread(target=write)
    writer.start()
    try:
        alarms = [examine(batch=2)]
        while Message.objects.count() < 20 or len(alarms) < 20:
            alarms.append(examine(batch=2))
    finally:
        stopped.set()
        writer.join()

    assert {name for found, _ in alarms for name in found} == set()


def test_doctor_reads_only(lived_in, django_assert_max_num_queries):
    with django_assert_max_num_queries(60) as captured:
        examine()
    assert {query["sql"].split()[0] for query in captured} == {"SELECT"}
    assert timezone.now() > lived_in.updated_at
