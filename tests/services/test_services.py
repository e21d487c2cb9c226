"""What every service promises: all or nothing, events in the same commit."""

import contextlib
from collections.abc import Callable

import pytest
from django.db import DatabaseError, connection, transaction

from chats.models import Conversation, Event, Message, Participant, PastParticipant
from chats.services import conversations, messages, staff, users
from chats.web.exceptions import ChatError
from tests.support.cast import SERVICES, Cast
from tests.support.events import event, events_after, everything
from tests.support.factories import UserFactory, send, start

REFUSE_EVENTS = {
    "sqlite": [
        """
        CREATE TRIGGER refuse_events BEFORE INSERT ON chats_event
        BEGIN SELECT RAISE(ABORT, 'the log is full'); END
        """
    ],
    "postgresql": [
        """
        CREATE FUNCTION refuse_events() RETURNS trigger LANGUAGE plpgsql
        AS 'BEGIN RAISE ''the log is full''; END'
        """,
        """
        CREATE TRIGGER refuse_events BEFORE INSERT ON chats_event
        FOR EACH ROW EXECUTE FUNCTION refuse_events()
        """,
    ],
}


@pytest.fixture
def cast(db) -> Cast:
    return Cast()


@pytest.fixture(params=SERVICES)
def service(request) -> Callable[[Cast], object]:
    call, _ = SERVICES[request.param]
    return call


def test_service_rolled_back_leaves_neither_change_nor_event(service, cast):
    before = everything()

    with contextlib.suppress(ZeroDivisionError), transaction.atomic():
        service(cast)
        raise ZeroDivisionError

    assert everything() == before


def test_service_whose_event_cannot_be_written_changes_nothing(service, cast):
    with connection.cursor() as cursor:
        for statement in REFUSE_EVENTS[connection.vendor]:
            cursor.execute(statement)
    before = everything()

    with pytest.raises(DatabaseError, match="the log is full"):
        service(cast)

    assert everything() == before


# --- Calls that change nothing -------------------------------------------------


@pytest.mark.parametrize(
    "call",
    [
        pytest.param(
            lambda c: conversations.rename_conversation(
                c.bob, c.id, title=c.conversation.title
            ),
            id="rename_conversation",
        ),
        pytest.param(
            lambda c: conversations.add_participant(c.bob, c.id, user_id=c.alice.pk),
            id="add_participant",
        ),
        pytest.param(
            lambda c: staff.add_as_staff(
                c.conversation, user_id=c.bob.pk, actor=c.carol
            ),
            id="add_as_staff",
        ),
        pytest.param(
            lambda c: staff.remove_as_staff(
                c.conversation, user_id=c.carol.pk, actor=c.carol
            ),
            id="remove_as_staff",
        ),
        pytest.param(
            lambda c: messages.edit_message(
                c.bob, c.by_bob.pk, message_body=c.by_bob.message_body
            ),
            id="edit_message",
        ),
        pytest.param(
            lambda c: messages.mark_as_read(c.bob, c.by_alice.pk), id="mark_as_read"
        ),
        pytest.param(
            lambda c: messages.mark_conversation_as_read(c.bob, c.id),
            id="mark_conversation_as_read",
        ),
        pytest.param(
            lambda c: staff.rename_as_staff(
                c.conversation, title=c.conversation.title, actor=c.carol
            ),
            id="rename_as_staff",
        ),
        pytest.param(
            lambda c: staff.transfer_ownership(
                c.conversation, owner_id=c.alice.pk, actor=c.carol
            ),
            id="transfer_ownership",
        ),
        pytest.param(
            lambda c: staff.change_participants(
                c.conversation,
                joining=[c.bob.pk],
                leaving=[c.carol.pk],
                actor=c.carol,
            ),
            id="change_participants",
        ),
        pytest.param(
            lambda c: users.delete_user(c.root, actor=c.root), id="delete_user"
        ),
    ],
)
def test_service_that_finds_nothing_to_change_leaves_no_trace(call, cast):
    before = everything()

    call(cast)

    before.pop("User")  # delete_user anonymises the person
    after = everything()
    after.pop("User")
    assert after == before


def test_delete_message_again_leaves_no_trace(cast):
    messages.delete_message(cast.bob, cast.by_bob.pk)
    before = everything()

    messages.delete_message(cast.alice, cast.by_bob.pk)
    staff.redact_message(Message.objects.get(pk=cast.by_bob.pk), actor=cast.carol)

    assert everything() == before


# --- Staff, who need not take part ---------------------------------------------


def test_hand_over_conversation_to_an_outsider_is_refused(cast):
    with pytest.raises(ChatError) as caught:
        staff.transfer_ownership(
            cast.conversation, owner_id=cast.carol.pk, actor=cast.carol
        )

    assert (caught.value.field, caught.value.code) == ("owner", "not_participant")
    cast.conversation.refresh_from_db()
    assert cast.conversation.owner == cast.alice


def test_change_participants_with_one_refused_changes_nobody(cast):
    suspended = UserFactory(is_active=False)
    before = everything()

    with pytest.raises(ChatError) as caught:
        staff.change_participants(
            cast.conversation,
            joining=[cast.carol.pk, suspended.pk],
            leaving=[cast.bob.pk],
            actor=cast.carol,
        )

    assert caught.value.field == "user_id"
    assert everything() == before


def test_change_participants_can_replace_everybody(cast):
    staff.change_participants(
        cast.conversation,
        joining=[cast.carol.pk],
        leaving=[cast.bob.pk, cast.alice.pk],
        actor=cast.carol,
    )

    cast.conversation.refresh_from_db()
    assert cast.conversation.owner == cast.carol
    assert cast.conversation.participant_count == 1
    assert list(cast.conversation.participants.all()) == [cast.carol]


def test_redact_message_empties_it_for_somebody_outside(cast):
    since = Event.objects.last_id()

    staff.redact_message(cast.by_bob, actor=cast.carol)

    stored = Message.objects.get(pk=cast.by_bob.pk)
    assert (stored.message_body, stored.is_deleted) == ("", True)
    assert events_after(since) == [
        event(
            "message.deleted", cast.conversation, message=cast.by_bob, actor=cast.carol
        )
    ]


# --- Deleting a person ---------------------------------------------------------


def test_delete_user_leaves_every_conversation_and_passes_ownership_on(cast):
    alone = start(cast.alice, title="Notes")
    guest = start(cast.carol, cast.alice)
    since = Event.objects.last_id()

    users.delete_user(cast.alice, actor=cast.carol)

    left = Conversation.objects.exclude(pk=cast.theirs.pk)
    owners = {item.pk: item.owner for item in left}
    assert owners == {cast.id: cast.bob, alone.pk: None, guest.pk: cast.carol}
    counts = left.values_list("pk", "participant_count")
    assert dict(counts) == {cast.id: 1, alone.pk: 0, guest.pk: 1}
    assert Participant.objects.filter(user=cast.alice).count() == 0
    # Removals first, conversation by conversation; then the changes of owner.
    removed = [
        event("participant.removed", pk, user=cast.alice, actor=cast.carol)
        for pk in sorted([cast.id, alone.pk, guest.pk])
    ]
    passed_on = [
        event("conversation.updated", pk, actor=cast.carol)
        for pk in sorted([cast.id, alone.pk])
    ]
    assert events_after(since) == [*removed, *passed_on]


def test_delete_user_keeps_the_messages_and_notes_the_spans(cast):
    first = Participant.objects.get(user=cast.alice).first_event_id

    users.delete_user(cast.alice, actor=cast.alice)

    kept = Message.objects.get(pk=cast.by_alice.pk)
    assert (kept.message_body, str(kept.sender.get_full_name())) == (
        "Hello",
        "Deleted user",
    )
    last = Event.objects.get(type="participant.removed").pk
    spans = PastParticipant.objects.values_list(
        "user_id", "conversation_id", "first_event_id", "last_event_id"
    )
    assert list(spans) == [(cast.alice.pk, cast.id, first, last)]


# --- The span of events that reaches a participant -----------------------------


def test_first_event_of_a_participant_is_the_one_they_joined_by(cast):
    conversations.add_participant(cast.bob, cast.id, user_id=cast.carol.pk)

    events = Event.objects.filter(conversation_id=cast.id)
    created = events.get(type="conversation.created").pk
    added = events.get(type="participant.added").pk
    spans = cast.conversation.participations.values_list(
        "user__username", "first_event_id"
    )
    assert dict(spans) == {"alice": created, "bob": created, "carol": added}


def test_each_stay_in_a_conversation_is_a_span_of_its_own(cast):
    conversations.remove_participant(cast.bob, cast.id, user_id=cast.bob.pk)
    send(cast.alice, cast.conversation)
    conversations.add_participant(cast.alice, cast.id, user_id=cast.bob.pk)
    conversations.remove_participant(cast.alice, cast.id, user_id=cast.bob.pk)

    events = Event.objects.filter(conversation_id=cast.id)
    created = events.get(type="conversation.created").pk
    added = events.get(type="participant.added").pk
    left, removed = Event.objects.filter(type="participant.removed").values_list(
        "pk", flat=True
    )
    spans = PastParticipant.objects.filter(user=cast.bob).order_by("pk")
    assert list(spans.values_list("first_event_id", "last_event_id")) == [
        (created, left),
        (added, removed),
    ]
