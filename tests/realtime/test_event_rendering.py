"""From events to payloads and frames: the rows as they are now, for the right eyes."""

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from chats.models import Conversation, Event, Message, Participant, User
from chats.realtime.departures import Departures
from chats.realtime.rendering import event_frame, frame, render
from chats.serializers.messages import MessageSerializer
from chats.serializers.participants import ParticipantSerializer
from chats.serializers.rows import row_of
from chats.services import conversations, messages
from tests.support.factories import UserFactory, send, start

BODIES = {
    "line ends": "one\ntwo\r\nthree\rfour",
    "separators": "a\u2028b\u2029c\x85d\x0be",
    "looks like a frame": "x\n\nevent: ready\ndata: {}\n\n",
    "beyond the basic plane": "👩‍👩‍👧 \U0001d518",
    "markup": "<script>alert('&')</script>",
}


def newest(kind: str) -> Event:
    return Event.objects.filter(type=kind).order_by("-event_id").first()


def rendered(event: Event) -> dict | None:
    [payload] = render([event])
    return payload


def head(event: Event) -> dict:
    """Return what every payload begins with."""
    return {
        "id": f"1-{event.pk}",
        "type": event.type,
        "conversation_id": event.conversation_id,
        "created_at": event.created_at,
        "actor_id": event.actor_id,
    }


def message_row(message: Message) -> dict:
    message.refresh_from_db()
    [shown] = MessageSerializer.render([row_of(message, MessageSerializer.columns())])
    return shown


def participant_row(conversation: Conversation, user: User) -> dict:
    rows = Participant.objects.filter(conversation=conversation, user=user)
    rows = rows.values(*ParticipantSerializer.columns())
    [shown] = ParticipantSerializer.render(rows)
    return shown


# --- Payloads, as the rows are now ---------------------------------------------


def test_render_of_a_sent_message_shows_it_as_it_is_now(alice, conversation):
    message = send(alice, conversation, "First")
    messages.edit_message(alice, message.pk, message_body="Second")

    event = newest("message.created")

    assert rendered(event) == head(event) | {"message": message_row(message)}
    assert rendered(event)["message"]["message_body"] == "Second"


def test_render_of_a_deleted_message_has_an_empty_body(alice, conversation):
    message = send(alice, conversation, "Secret")
    messages.delete_message(alice, message.pk)

    payloads = render([newest("message.created"), newest("message.deleted")])

    expected = {"message": message_row(message)}
    assert payloads == [
        head(newest("message.created")) | expected,
        head(newest("message.deleted")) | expected,
    ]
    assert expected["message"]["message_body"] == ""


def test_render_of_a_large_conversation_shows_the_first_ten(alice, conversation):
    for person in UserFactory.create_batch(10):
        conversations.add_participant(alice, conversation.pk, user_id=person.pk)

    payload = rendered(newest("conversation.created"))

    everybody = [
        participant_row(conversation, row.user)
        for row in conversation.participations.select_related("user")
    ]
    assert payload["conversation"]["participants"] == everybody[:10]
    assert payload["conversation"]["participant_count"] == len(everybody) == 12


def test_render_of_reading_on(alice, bob, conversation):
    send(alice, conversation)
    messages.mark_conversation_as_read(bob, conversation.pk)
    send(bob, conversation)

    event = newest("read.updated")

    assert rendered(event) == head(event) | {
        "user_id": bob.pk,
        "joined_seq": 0,
        "last_read_seq": 2,
    }


# --- Nothing left to show ------------------------------------------------------


def test_render_is_none_where_the_conversation_is_gone(alice, bob, conversation):
    message = send(alice, conversation)
    messages.edit_message(alice, message.pk, message_body="Edited")
    messages.mark_as_read(bob, message.pk)
    conversations.rename_conversation(alice, conversation.pk, title="New")
    messages.delete_message(alice, message.pk)
    conversations.delete_conversation(alice, conversation.pk)

    events = list(Event.objects.order_by("event_id"))

    shown = [payload["type"] for payload in render(events) if payload]
    assert shown == ["conversation.deleted"]


@pytest.mark.parametrize("kind", ["participant.added", "read.updated"])
def test_render_is_none_where_a_participant_is_gone(kind, alice, mallory, conversation):
    conversations.add_participant(alice, conversation.pk, user_id=mallory.pk)
    message = send(alice, conversation)
    messages.mark_as_read(mallory, message.pk)
    conversations.remove_participant(alice, conversation.pk, user_id=mallory.pk)

    assert rendered(newest(kind)) is None


def test_render_of_nothing_needs_no_database():
    assert render([]) == []


def busy(alice: User, count: int) -> None:
    """Append ``count`` times every type of event."""
    for _ in range(count):
        bob, carol = UserFactory.create_batch(2)
        conversation = start(alice, bob)
        message = send(alice, conversation)
        messages.edit_message(alice, message.pk, message_body="Edited")
        messages.mark_as_read(bob, message.pk)
        conversations.add_participant(alice, conversation.pk, user_id=carol.pk)
        conversations.remove_participant(alice, conversation.pk, user_id=bob.pk)
        conversations.rename_conversation(alice, conversation.pk, title="New")
        messages.delete_message(alice, message.pk)
        gone = start(alice, bob)
        conversations.delete_conversation(alice, gone.pk)


@pytest.mark.parametrize("count", [1, 3, 10])
def test_render_takes_five_queries_for_any_number_of_events(count, alice):
    busy(alice, count)
    events = list(Event.objects.order_by("event_id"))

    with CaptureQueriesContext(connection) as queries:
        payloads = render(events)

    assert len(queries) == 5
    assert {event.type for event in events} == set(Event.Type.values)
    assert len([payload for payload in payloads if payload]) == 8 * count


# --- What somebody who left must not see ---------------------------------------


def hidden_from(person: User) -> list[str]:
    """Return the types of the events that are hidden from the person now."""
    events = list(Event.objects.order_by("event_id"))
    departures = Departures(events, user_id=person.pk)
    for_all = Departures(events)
    hidden = [event for event in events if departures.is_hidden_from(event, person.pk)]
    assert hidden == [
        event for event in events if for_all.is_hidden_from(event, person.pk)
    ]
    return [event.type for event in hidden]


def test_nothing_is_hidden_from_who_takes_part(alice, bob, conversation):
    message = send(alice, conversation)
    messages.edit_message(alice, message.pk, message_body="Edited")
    conversations.rename_conversation(alice, conversation.pk, title="New")

    assert hidden_from(bob) == []


def test_hidden_from_who_left_is_what_shows_the_conversation_as_it_is_now(
    alice, bob, mallory, conversation
):
    message = send(alice, conversation)
    messages.mark_as_read(bob, message.pk)
    conversations.rename_conversation(alice, conversation.pk, title="New")
    conversations.add_participant(alice, conversation.pk, user_id=mallory.pk)
    conversations.remove_participant(alice, conversation.pk, user_id=mallory.pk)
    conversations.remove_participant(alice, conversation.pk, user_id=bob.pk)

    # Left are the message, who left before, and the end itself.
    assert hidden_from(bob) == [
        "conversation.created",
        "read.updated",
        "conversation.updated",
        "participant.added",
    ]


def test_hidden_from_who_left_is_a_message_changed_since(alice, bob, conversation):
    changed, untouched = send(alice, conversation), send(alice, conversation)
    messages.edit_message(alice, untouched.pk, message_body="Edited before")
    conversations.remove_participant(alice, conversation.pk, user_id=bob.pk)
    messages.edit_message(alice, changed.pk, message_body="Secret")

    # Later events do not reach bob in the first place.
    assert hidden_from(bob) == ["conversation.created", "message.created"]
    assert hidden_from(alice) == []


def test_hidden_from_who_came_back_is_what_lies_before_the_first_leaving(
    alice, bob, conversation
):
    conversations.remove_participant(alice, conversation.pk, user_id=bob.pk)
    conversations.add_participant(alice, conversation.pk, user_id=bob.pk)
    conversations.rename_conversation(alice, conversation.pk, title="New")

    assert hidden_from(bob) == ["conversation.created"]


def test_endings_take_one_query_while_nobody_left(
    alice, conversation, django_assert_num_queries
):
    send(alice, conversation)
    events = list(Event.objects.all())

    with django_assert_num_queries(1):
        Departures(events)


# --- Frames --------------------------------------------------------------------


def test_frame_without_an_id_leaves_the_cursor_alone():
    data = frame("typing", {"user_id": "x"})

    assert data == b'event: typing\ndata: {"user_id":"x"}\n\n'


def test_frame_of_an_event_has_its_cursor_as_id(alice, conversation):
    conversations.delete_conversation(alice, conversation.pk)
    event = newest("conversation.deleted")

    moment = event.created_at.isoformat().replace("+00:00", "Z")
    assert event_frame(rendered(event)).decode() == (
        f"id: 1-{event.pk}\n"
        "event: conversation.deleted\n"
        f'data: {{"id":"1-{event.pk}","type":"conversation.deleted",'
        f'"conversation_id":"{conversation.pk}","created_at":"{moment}",'
        f'"actor_id":"{alice.pk}"}}\n\n'
    )


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
def test_frame_is_three_lines_whatever_the_body(body, alice, conversation):
    send(alice, conversation, body)

    data = event_frame(rendered(newest("message.created")))

    assert data.endswith(b"\n\n")
    assert b"\r" not in data
    assert len(data[:-2].split(b"\n")) == 3
