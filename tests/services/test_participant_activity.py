"""What participants' rows say of their conversation: its hour, and what is unread."""

from datetime import UTC, datetime, timedelta
from importlib import import_module
from types import SimpleNamespace

import pytest
from django.apps import apps
from django.core.management import call_command
from django.db import connection

from chats.management.commands import repair_participants
from chats.models import Conversation, Participant, User
from chats.models.participants import hour_of
from chats.services import conversations, messages, staff, users
from tests.support.factories import send, start

HOUR = timedelta(hours=1)


def unread_by(conversation: Conversation) -> set[str]:
    rows = conversation.participations.filter(has_unread=True)
    return set(rows.values_list("user__username", flat=True))


def hours(conversation: Conversation) -> list[int]:
    return list(conversation.participations.values_list("active_hour", flat=True))


def set_back(conversation: Conversation, span: timedelta = 5 * HOUR) -> None:
    """Let the last activity have been some time ago."""
    conversation.updated_at -= span
    conversation.save(update_fields=["updated_at"])
    Participant.objects.note_activity([conversation])


def test_hours_are_counted_from_1970():
    assert hour_of(datetime(1970, 1, 2, 0, 59, 59, 999999, tzinfo=UTC)) == 24
    assert hour_of(datetime(1970, 1, 2, 1, tzinfo=UTC)) == 25
    assert hour_of(datetime(1969, 12, 31, 23, 30, tzinfo=UTC)) == -1


# --- What is unread ------------------------------------------------------------


def test_nothing_is_unread_in_a_new_conversation(conversation):
    assert unread_by(conversation) == set()


def test_a_message_is_unread_by_all_but_its_sender(conversation, alice, bob, mallory):
    conversations.add_participant(alice, conversation.pk, user_id=mallory.pk)

    send(alice, conversation)
    assert unread_by(conversation) == {"bob", "mallory"}

    send(bob, conversation)
    assert unread_by(conversation) == {"alice", "mallory"}


def test_a_message_leaves_other_conversations_as_they_are(alice, bob):
    first, second = start(alice, bob), start(alice, bob)

    send(alice, first)

    assert (unread_by(first), unread_by(second)) == ({"bob"}, set())


def test_reading_the_last_message_leaves_nothing_unread(conversation, alice, bob):
    sent = [send(bob, conversation) for _ in range(3)]

    messages.mark_as_read(alice, sent[1].pk)
    assert unread_by(conversation) == {"alice"}

    messages.mark_as_read(alice, sent[2].pk)
    assert unread_by(conversation) == set()

    messages.mark_as_read(alice, sent[0].pk)
    assert unread_by(conversation) == set()


def test_reading_a_conversation_leaves_nothing_unread(conversation, alice, bob):
    send(bob, conversation)

    messages.mark_conversation_as_read(alice, conversation.pk)

    assert unread_by(conversation) == set()


def test_newcomers_have_nothing_unread(conversation, alice, bob, mallory):
    send(bob, conversation)
    conversations.add_participant(alice, conversation.pk, user_id=mallory.pk)
    assert unread_by(conversation) == {"alice"}

    conversations.remove_participant(alice, conversation.pk, user_id=mallory.pk)
    send(bob, conversation)
    staff.change_participants(conversation, joining=[mallory.pk], actor=alice)
    assert unread_by(conversation) == {"alice"}


# --- The hour ------------------------------------------------------------------


def rename(conversation: Conversation, alice: User, bob: User, mallory: User) -> None:
    conversations.rename_conversation(alice, conversation.pk, title="New")


def retitle(conversation: Conversation, alice: User, bob: User, mallory: User) -> None:
    staff.rename_as_staff(conversation, title="New", actor=mallory)


def hand_over(conversation: Conversation, alice: User, bob: User, mallory: User):
    staff.transfer_ownership(conversation, owner_id=bob.pk, actor=mallory)


def add(conversation: Conversation, alice: User, bob: User, mallory: User) -> None:
    conversations.add_participant(alice, conversation.pk, user_id=mallory.pk)


def remove(conversation: Conversation, alice: User, bob: User, mallory: User) -> None:
    conversations.remove_participant(alice, conversation.pk, user_id=bob.pk)


def delete(conversation: Conversation, alice: User, bob: User, mallory: User) -> None:
    users.delete_user(bob, actor=bob)


def say(conversation: Conversation, alice: User, bob: User, mallory: User) -> None:
    send(bob, conversation)


@pytest.mark.parametrize(
    "change", [rename, retitle, hand_over, add, remove, delete, say]
)
def test_activity_is_noted_in_every_row(change, conversation, alice, bob, mallory):
    untouched = start(alice)
    set_back(untouched)
    set_back(conversation)
    before = conversation.updated_at

    change(conversation, alice, bob, mallory)

    conversation.refresh_from_db()
    untouched.refresh_from_db()
    assert conversation.updated_at > before
    assert set(hours(conversation)) == {hour_of(conversation.updated_at)}
    assert set(hours(untouched)) == {hour_of(untouched.updated_at)}
    assert hour_of(untouched.updated_at) < hour_of(conversation.updated_at)


def test_hours_of_many_conversations_are_noted_together(
    alice, bob, django_assert_num_queries
):
    made = [start(alice, bob) for _ in range(3)]
    for number, conversation in enumerate(made):
        conversation.updated_at -= number * HOUR

    with django_assert_num_queries(3):  # one for each hour
        Participant.objects.note_activity(made)

    assert [hours(item) for item in made] == [
        [hour_of(item.updated_at)] * 2 for item in made
    ]


# --- Installations from before -------------------------------------------------


@pytest.mark.parametrize("batch", [1, 2, 500])
def test_rows_from_before_are_filled_in(batch, alice, bob, monkeypatch):
    migration = import_module("chats.migrations.0003_fill_participant_activity")
    monkeypatch.setattr(migration, "BATCH", batch)
    made = [start(alice, bob) for _ in range(3)]
    for number, conversation in enumerate(made):
        send(bob, conversation)
        set_back(conversation, number * HOUR)
    rows = Participant.objects.order_by("pk")
    wanted = list(rows.values_list("active_hour", "has_unread"))
    rows.update(active_hour=0, has_unread=False)

    migration.fill(apps, SimpleNamespace(connection=connection))

    assert list(rows.values_list("active_hour", "has_unread")) == wanted


@pytest.mark.parametrize("batch", [1, 2, 20_000])
def test_rows_from_before_learn_where_they_joined(
    batch, alice, bob, mallory, monkeypatch
):
    migration = import_module("chats.migrations.0017_fill_participant_joined_seq")
    monkeypatch.setattr(migration, "BATCH", batch)
    late, empty, early = start(alice, bob), start(alice), start(alice)
    conversations.add_participant(alice, early.pk, user_id=bob.pk)
    conversations.remove_participant(bob, late.pk, user_id=bob.pk)
    for person in (bob, mallory):
        send(alice, late)
        send(alice, late)
        conversations.add_participant(alice, late.pk, user_id=person.pk)
    send(bob, early)
    conversations.add_participant(alice, empty.pk, user_id=mallory.pk)
    rows = Participant.objects.order_by("pk")
    wanted = list(rows.values_list("joined_seq", flat=True))
    rows.update(joined_seq=0)

    migration.fill(apps, SimpleNamespace(connection=connection))

    assert sorted(wanted) == [0, 0, 0, 0, 0, 2, 4]
    assert list(rows.values_list("joined_seq", flat=True)) == wanted


def test_rows_from_before_join_no_later_than_they_read(alice, bob, conversation):
    migration = import_module("chats.migrations.0017_fill_participant_joined_seq")
    send(alice, conversation)
    conversations.remove_participant(bob, conversation.pk, user_id=bob.pk)
    conversations.add_participant(alice, conversation.pk, user_id=bob.pk)
    rows = conversation.participations.filter(user=bob)
    rows.update(joined_seq=0, last_read_seq=0)

    migration.fill(apps, SimpleNamespace(connection=connection))

    assert rows.get().joined_seq == 0


@pytest.mark.parametrize("batch", [1, 500])
def test_wrong_rows_are_mended(batch, alice, bob, monkeypatch, capsys):
    monkeypatch.setattr(repair_participants, "BATCH", batch)
    first, second = start(alice, bob), start(alice, bob)
    send(bob, first)
    rows = Participant.objects.order_by("pk")
    wanted = list(rows.values_list("active_hour", "has_unread"))
    rows.filter(conversation=first, user=alice).update(has_unread=False)
    rows.filter(conversation=second, user=alice).update(has_unread=True, active_hour=1)

    for mended in (3, 0):
        call_command("repair_participants", verbosity=0)
        assert capsys.readouterr().out == f"{mended} rows corrected.\n"
        assert list(rows.values_list("active_hour", "has_unread")) == wanted
