"""The models' own rules, and those the database enforces whoever writes to it."""

import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from django.core.exceptions import ValidationError
from django.db import IntegrityError, connection, transaction
from django.db.models import ProtectedError

from chats.models import (
    AccessToken,
    Conversation,
    Event,
    EventLog,
    Message,
    Participant,
    PastParticipant,
    User,
)
from chats.services import messages
from tests.support.factories import UserFactory, send, start

NOON = datetime(2030, 1, 1, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)


# --- Constraints, refused by the database itself -------------------------------


class Rows:
    """A conversation of alice and bob with a message of each."""

    def __init__(self, alice: User, bob: User):
        self.alice, self.bob = alice, bob
        self.conversation = start(alice, bob)
        self.first, self.second = (
            send(person, self.conversation) for person in (alice, bob)
        )
        EventLog.objects.create()


@pytest.fixture
def stored(alice, bob) -> Rows:
    return Rows(alice, bob)


def changing(row: str, **fields: object) -> Callable[[Rows], None]:
    """Return a write of these columns that no Python code looks at."""

    def write(stored: Rows) -> None:
        instance = getattr(stored, row)
        type(instance).objects.filter(pk=instance.pk).update(**fields)

    return write


def adding(make: Callable) -> Callable[[Rows], None]:
    """Return a write of one more row that no Python code looks at."""

    def write(stored: Rows) -> None:
        instance = make(stored)
        type(instance).objects.bulk_create([instance])

    return write


def message(rows: Rows, **fields: object) -> Message:
    defaults = {
        "conversation": rows.conversation,
        "seq": 3,
        "sender": rows.alice,
        "message_body": "Hello",
        "sent_at": NOON,
    }
    return Message(**defaults | fields)


def same_client_id(rows: Rows) -> Message:
    Message.objects.filter(pk=rows.first.pk).update(client_id=uuid.UUID(int=1))
    return message(rows, client_id=uuid.UUID(int=1))


# What is written, and the name of the constraint, or how SQLite calls it.
REFUSED = {
    "unknown role": (changing("alice", role="owner"), "user_role_known"),
    "empty role": (changing("alice", role=""), "user_role_known"),
    "role in capitals": (changing("alice", role="Admin"), "user_role_known"),
    "superuser who is no admin": (
        changing("alice", is_superuser=True),
        "user_superuser_is_role_admin",
    ),
    "superuser made host": (
        changing("alice", is_superuser=True, role="host"),
        "user_superuser_is_role_admin",
    ),
    "e-mail taken": (
        changing("alice", email="bob@example.org"),
        "user_email_unique",
    ),
    "e-mail taken, in another case": (
        changing("alice", email="BOB@Example.org"),
        "user_email_unique",
    ),
    "username taken": (
        changing("alice", username="bob"),
        r"chats_user_username|chats_user\.username|user_username_unique",
    ),
    "username taken, in another case": (
        changing("alice", username="BoB"),
        "user_username_unique",
    ),
    "no e-mail": (changing("alice", email=""), "user_names_and_email_required"),
    "no first name": (
        changing("alice", first_name=""),
        "user_names_and_email_required",
    ),
    "no last name": (changing("alice", last_name=""), "user_names_and_email_required"),
    "deleted but active": (
        changing("alice", deleted_at=NOON),
        "user_deleted_is_inactive",
    ),
    "participants but no owner": (
        changing("conversation", owner=None),
        "conversation_has_owner",
    ),
    "messages but no last one": (
        changing("conversation", last_message=None),
        "conversation_last_message_set",
    ),
    "a last message but none sent": (
        changing("conversation", last_seq=0),
        "conversation_last_message_set",
    ),
    "fewer than no participants": (
        changing("conversation", participant_count=-1),
        "participant_count",
    ),
    "fewer than no messages": (changing("conversation", last_seq=-1), "last_seq"),
    "no title": (changing("conversation", title=None), "title"),
    "seq taken": (
        changing("second", seq=1),
        r"message_seq_unique|chats_message\.conversation_id, chats_message\.seq",
    ),
    "seq 0": (changing("first", seq=0), "message_seq_from_1"),
    "seq below 0": (changing("first", seq=-1), "message_seq_from_1|seq"),
    "client_id taken": (
        adding(same_client_id),
        r"message_client_id_unique|chats_message\.client_id",
    ),
    "empty body": (
        changing("first", message_body=""),
        "message_body_empty_when_deleted",
    ),
    "body of a deleted message": (
        changing("first", deleted_at=NOON),
        "message_body_empty_when_deleted",
    ),
    "long body": (
        changing("first", message_body="a" * 10_001),
        "message_body_length",
    ),
    "long body of 4-byte characters": (
        changing("first", message_body="😀" * 10_001),
        "message_body_length",
    ),
    "no body": (changing("first", message_body=None), "message_body"),
    "no sender": (changing("first", sender=None), "sender_id"),
    "no time": (changing("first", sent_at=None), "sent_at"),
    "participant twice": (
        adding(lambda rows: Participant(conversation=rows.conversation, user=rows.bob)),
        r"participant_unique|chats_participant\.user_id",
    ),
    "a second row about the log": (
        adding(lambda rows: EventLog(id=2)),
        "event_log_single_row",
    ),
}


@pytest.mark.parametrize(("write", "name"), REFUSED.values(), ids=REFUSED.keys())
def test_the_database_refuses(write, name, stored):
    with pytest.raises(IntegrityError, match=name), transaction.atomic():
        write(stored)


ACCEPTED = {
    "superuser who is admin": changing("alice", is_superuser=True, role="admin"),
    "role-admin who is no superuser": changing("alice", role="admin"),
    "role host": changing("alice", role="host"),
    "deleted and inactive": changing("alice", deleted_at=NOON, is_active=False),
    "suspended": changing("alice", is_active=False),
    "neither owner nor participants": changing(
        "conversation", owner=None, participant_count=0
    ),
    "neither messages nor a last one": changing(
        "conversation", last_seq=0, last_message=None
    ),
    "tombstone": changing("first", message_body="", deleted_at=NOON),
    "the longest body": changing("first", message_body="😀" * 10_000),
    "the same client_id by another": adding(
        lambda rows: message(rows, sender=rows.bob, client_id=uuid.UUID(int=1))
    ),
    "many without client_id": adding(message),
    "the same seq elsewhere": adding(
        lambda rows: message(rows, seq=1, conversation=start(rows.alice))
    ),
    "the greatest seq": changing("second", seq=2**63 - 1),
}


@pytest.mark.parametrize("write", ACCEPTED.values(), ids=ACCEPTED.keys())
def test_the_database_accepts(write, stored):
    Message.objects.filter(pk=stored.first.pk).update(client_id=uuid.UUID(int=1))

    write(stored)

    connection.check_constraints()


@pytest.mark.parametrize("row", ["alice", "bob"])
def test_people_with_messages_cannot_be_deleted_as_rows(row, stored):
    with pytest.raises(ProtectedError):
        getattr(stored, row).delete()


# --- People --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("field", "value", "code"),
    [
        ("username", "a@b", "at_sign_in_username"),
        ("username", "two words", "invalid"),
        ("username", "", "blank"),
        ("email", "nobody", "invalid"),
        ("email", "", "blank"),
        ("first_name", "", "blank"),
        ("last_name", "", "blank"),
        ("phone_number", "call me", "invalid_phone"),
        ("phone_number", "+", "invalid_phone"),
        ("role", "owner", "invalid_choice"),
    ],
)
def test_user_refuses(field, value, code):
    user = UserFactory.build(**{"email": "ann@example.org", field: value})

    with pytest.raises(ValidationError) as caught:
        user.clean_fields()

    errors = {
        name: [e.code for e in es] for name, es in caught.value.error_dict.items()
    }
    assert errors == {field: [code]}


@pytest.mark.parametrize("number", [None, "+41 44 668 18 00", "044/668-1800", "112"])
def test_user_takes_phone_numbers_as_people_write_them(number):
    UserFactory.build(phone_number=number).clean_fields()


@pytest.mark.parametrize("identifier", ["alice", "ALICE", "Alice@Example.ORG"])
def test_user_is_found_by_either_name_without_regard_to_case(identifier, alice, bob):
    assert User.objects.named(identifier).get() == alice
    assert User.objects.get_by_natural_key(identifier) == alice


@pytest.mark.parametrize("identifier", ["", "@", "alic_", "alice%", "alice@"])
def test_user_is_not_found_by_less(identifier, alice):
    assert User.objects.named(identifier).first() is None


@pytest.mark.django_db
def test_create_superuser_gives_the_role_admin():
    user = User.objects.create_superuser(
        "root", "root@example.org", "x", first_name="R", last_name="T"
    )

    assert (user.role, user.is_superuser, user.is_staff) == ("admin", True, True)


KINDS = {
    "guest": {},
    "host": {"role": "host"},
    "admin": {"role": "admin"},
    "staff": {"is_staff": True},
    "staff admin": {"role": "admin", "is_staff": True},
    "superuser": {"role": "admin", "is_superuser": True, "is_staff": True},
}
MANAGED = {
    "guest": set(),
    "host": set(),
    "admin": {"guest", "host", "admin"},
    "staff": set(),
    "staff admin": {"guest", "host", "admin"},
    "superuser": set(KINDS),
}


@pytest.mark.parametrize("kind", KINDS)
def test_can_manage_others(kind):
    person = UserFactory.build(**KINDS[kind])

    managed = {
        name
        for name, fields in KINDS.items()
        if person.can_manage(UserFactory.build(**fields))
    }

    assert managed == MANAGED[kind]


@pytest.mark.parametrize("kind", KINDS)
def test_can_manage_oneself(kind):
    person = UserFactory.build(**KINDS[kind])

    assert person.can_manage(person) is True


def test_mark_seen_writes_at_most_twice_a_minute(alice):
    written = []
    User.objects.filter(pk=alice.pk).update(last_seen_at=None)
    alice.refresh_from_db()
    with time_machine.travel(NOON, tick=False) as clock:
        for _ in range(121):
            alice.mark_seen()
            alice.refresh_from_db()
            written.append(alice.last_seen_at)
            clock.shift(SECOND)

    assert sorted(set(written)) == [NOON + 30 * step * SECOND for step in range(5)]


def test_mark_seen_again_asks_the_database_nothing(alice, django_assert_num_queries):
    with time_machine.travel(NOON, tick=False) as clock:
        alice.last_seen_at = NOON
        clock.shift(29 * SECOND)
        with django_assert_num_queries(0):
            alice.mark_seen()


@pytest.mark.parametrize(
    ("ago", "online"), [(0, True), (60, True), (61, False), (None, False)]
)
def test_online_is_seen_within_a_minute(ago, online, alice):
    with time_machine.travel(NOON, tick=False):
        seen_at = None if ago is None else NOON - ago * SECOND
        User.objects.filter(pk=alice.pk).update(last_seen_at=seen_at)
        alice.refresh_from_db()

        assert alice.is_online is online
        assert User.objects.online().exists() is online
        assert User.objects.offline().exists() is not online


# --- Conversations and messages ------------------------------------------------


def test_touch_moves_to_the_present():
    conversation = Conversation(updated_at=NOON)

    with time_machine.travel(NOON + SECOND, tick=False):
        moved = conversation.touch()

    assert moved == conversation.updated_at == NOON + SECOND


@pytest.mark.parametrize("step", [-3600, -1, 0])
def test_touch_moves_on_when_the_clock_does_not(step):
    conversation = Conversation(updated_at=NOON)

    with time_machine.travel(NOON + step * SECOND, tick=False):
        moved = [conversation.touch() for _ in range(3)]

    assert moved == [NOON + timedelta(microseconds=n) for n in (1, 2, 3)]


def test_message_is_untouched_until_edited_or_deleted(stored):
    messages.edit_message(stored.alice, stored.first.pk, message_body="Edited")
    messages.delete_message(stored.bob, stored.second.pk)
    third = send(stored.bob, stored.conversation)

    states = [
        (row.is_untouched, row.is_deleted) for row in Message.objects.order_by("seq")
    ]
    assert states == [(False, False), (False, True), (True, False)]
    assert third.is_untouched is True


def test_visible_participants_are_those_of_mine(alice, bob, mallory):
    mine, _ = start(alice, bob), start(bob, mallory)

    visible = Participant.objects.visible_to(alice)

    assert [(row.conversation, row.user) for row in visible] == [
        (mine, alice),
        (mine, bob),
    ]


# --- The log -------------------------------------------------------------------


@pytest.mark.django_db
def test_last_id_of_a_new_log_is_0():
    assert Event.objects.last_id() == 0


def test_last_id_is_of_the_newest_event(conversation):
    assert Event.objects.last_id() == Event.objects.latest("event_id").pk


def test_last_id_of_a_log_pruned_to_the_end_is_remembered(conversation):
    last = Event.objects.last_id()
    EventLog.objects.create(pruned_through_id=last)
    Event.objects.all().delete()

    assert Event.objects.last_id() == last


# --- Names ---------------------------------------------------------------------

ID = uuid.UUID("01890000-0000-7000-8000-000000000000")
NAMES = [
    (User(username="alice"), "alice"),
    (Conversation(title="Plans"), "Plans"),
    (Conversation(conversation_id=ID), f"Conversation {ID}"),
    (Participant(user=User(username="bob")), "bob"),
    (Message(conversation_id=ID, seq=7), f"#7 of {ID}"),
    (
        PastParticipant(user_id=ID, conversation_id=ID, last_event_id=9),
        f"{ID} in {ID} until 9",
    ),
    (Event(event_id=5, type="message.created"), "5 message.created"),
    (EventLog(pruned_through_id=3), "pruned through 3"),
    (AccessToken(name="laptop", prefix="abc"), "laptop (abc…)"),
]


@pytest.mark.parametrize(
    ("instance", "name"), NAMES, ids=[type(row).__name__ for row, _ in NAMES]
)
def test_str(instance, name):
    assert str(instance) == name
