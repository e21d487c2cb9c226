"""Read cursors: marking messages and conversations as read."""

import uuid

import pytest

from chats.models import Conversation, Event, Message, Participant, User
from chats.services import conversations, messages
from tests.support.bodies import NULL, REQUIRED, message_body
from tests.support.events import event, events_after, everything
from tests.support.factories import send, start

MARK_ALL = "/api/messages/mark_conversation_as_read/"
NO_UUID = ["Must be a valid UUID."]


def mark(client, message: Message, method: str = "post"):
    return getattr(client, method)(f"/api/messages/{message.pk}/mark_as_read/")


def cursor_of(user: User, conversation: Conversation) -> int:
    return Participant.objects.get(user=user, conversation=conversation).last_read_seq


@pytest.fixture
def five(bob, conversation) -> list[Message]:
    """Five messages by bob, none of which alice has read."""
    return [send(bob, conversation, f"Message {number}") for number in range(1, 6)]


# --- One message ---------------------------------------------------------------


@pytest.mark.parametrize("method", ["post", "patch"])
def test_mark_moves_my_cursor_up_to_the_message(
    method, as_alice, alice, bob, conversation, five
):
    since = Event.objects.last_id()

    response = mark(as_alice, five[2], method)

    assert (response.status_code, response.json()) == (200, message_body(five[2]))
    assert (cursor_of(alice, conversation), cursor_of(bob, conversation)) == (3, 5)
    assert events_after(since) == [
        event("read.updated", conversation, user=alice, actor=alice)
    ]


@pytest.mark.parametrize("method", ["post", "patch"])
@pytest.mark.parametrize("seq", [1, 2, 3])
def test_mark_never_moves_the_cursor_back(
    seq, method, as_alice, alice, conversation, five
):
    mark(as_alice, five[2])
    before = everything()

    response = mark(as_alice, five[seq - 1], method)

    assert (response.status_code, response.json()) == (200, message_body(five[seq - 1]))
    assert cursor_of(alice, conversation) == 3
    assert everything() == before


def test_mark_of_my_own_message_changes_nothing(as_bob, five):
    before = everything()

    response = mark(as_bob, five[0])

    assert (response.status_code, response.json()) == (200, message_body(five[0]))
    assert everything() == before


def test_mark_ignores_a_body(as_alice, alice, conversation, five):
    response = as_alice.post(
        f"/api/messages/{five[1].pk}/mark_as_read/", {"last_read_seq": 5, "seq": 5}
    )

    assert response.status_code == 200
    assert cursor_of(alice, conversation) == 2


def test_mark_of_a_tombstone_passes_it(as_alice, alice, bob, conversation, five):
    messages.delete_message(bob, five[4].pk)

    response = mark(as_alice, five[4])

    five[4].refresh_from_db()
    assert (response.status_code, response.json()) == (200, message_body(five[4]))
    assert cursor_of(alice, conversation) == 5


def test_mark_in_one_conversation_leaves_the_others(
    as_alice, alice, bob, conversation, five
):
    other = start(bob, alice)
    send(bob, other)

    mark(as_alice, five[4])

    assert cursor_of(alice, other) == 0


def test_is_read_follows_the_cursor(as_alice, five):
    mark(as_alice, five[2])

    results = as_alice.get("/api/messages/").json()["results"]

    read = {row["seq"]: row["is_read"] for row in results}
    assert read == {1: True, 2: True, 3: True, 4: False, 5: False}


def test_receipts_of_others_are_in_the_participants(as_alice, as_bob, five):
    mark(as_alice, five[1])

    url = f"/api/conversations/{five[0].conversation_id}/"
    shown = as_bob.get(url).json()["participants"]

    receipts = {row["username"]: row["last_read_seq"] for row in shown}
    assert receipts == {"alice": 2, "bob": 5}


def test_sending_reads_everything_before(as_bob, alice, conversation, five):
    send(alice, conversation)

    assert cursor_of(alice, conversation) == 6


def test_sending_again_by_client_id_moves_no_cursor(
    alice, bob, conversation, five, client_of
):
    client_id = uuid.uuid4()
    for body in ("Once", "Twice"):
        messages.send_message(
            alice, conversation.pk, message_body="Once", client_id=client_id
        )
        send(bob, conversation, body)

    assert cursor_of(alice, conversation) == 6


# --- A whole conversation ------------------------------------------------------


@pytest.mark.parametrize(("read", "marked"), [(0, 5), (2, 3), (4, 1)])
def test_mark_conversation_moves_my_cursor_to_the_end(
    read, marked, as_alice, alice, conversation, five
):
    if read:
        mark(as_alice, five[read - 1])
    since = Event.objects.last_id()

    response = as_alice.post(MARK_ALL, {"conversation_id": str(conversation.pk)})

    assert response.status_code == 200
    assert response.json() == {
        "conversation_id": str(conversation.pk),
        "last_read_seq": 5,
        "marked": marked,
        "unread_count": 0,
    }
    assert cursor_of(alice, conversation) == 5
    assert events_after(since) == [
        event("read.updated", conversation, user=alice, actor=alice)
    ]


@pytest.mark.parametrize("count", [0, 5])
def test_mark_conversation_that_is_read_changes_nothing(
    count, as_bob, bob, conversation
):
    for _ in range(count):
        send(bob, conversation)
    before = everything()

    response = as_bob.post(MARK_ALL, {"conversation_id": str(conversation.pk)})

    assert response.status_code == 200
    assert response.json() == {
        "conversation_id": str(conversation.pk),
        "last_read_seq": count,
        "marked": 0,
        "unread_count": 0,
    }
    assert everything() == before


@pytest.mark.parametrize(
    ("data", "error"),
    [
        ({}, REQUIRED),
        ({"conversation_id": None}, NULL),
        ({"conversation_id": "x"}, NO_UUID),
        ({"conversation": str(uuid.UUID(int=1))}, REQUIRED),
    ],
)
def test_mark_conversation_with_bad_input_names_the_field(data, error, as_alice):
    response = as_alice.post(MARK_ALL, data)

    assert (response.status_code, response.json()) == (400, {"conversation_id": error})


def test_mark_conversation_takes_no_other_method(as_alice):
    assert as_alice.patch(MARK_ALL, {}).status_code == 405


# --- Newcomers -----------------------------------------------------------------


def test_newcomer_starts_at_the_end(
    as_mallory, alice, bob, mallory, conversation, five
):
    conversations.add_participant(alice, conversation.pk, user_id=mallory.pk)
    send(bob, conversation)

    shown = as_mallory.get(f"/api/conversations/{conversation.pk}/").json()

    names = ("last_seq", "last_read_seq", "unread_count")
    assert [shown[name] for name in names] == [6, 5, 1]
    assert [row["is_read"] for row in shown["messages"]] == [False] + [True] * 5
