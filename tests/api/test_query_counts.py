"""How many statements each call takes: the same for 1, 3 and 50 of anything.

Sign-in is not among them: the clients are signed in without a session.
"""

from collections.abc import Callable

import pytest
from django.db import connection

from chats.models import Conversation, Message, User
from tests.support.bulk import crowd
from tests.support.factories import send, start
from tests.support.searches import TIME_LIMIT

SIZES = pytest.mark.parametrize("count", [1, 3, 50])


@pytest.fixture
def signed_in(alice, as_alice) -> Callable:
    """Return alice's client; what the first call of a process loads is loaded."""
    as_alice.get("/api/conversations/")
    return as_alice


def conversations_of(owner: User, count: int) -> None:
    """Start conversations, each of three people and with messages of two."""
    people = crowd(2)
    for _ in range(count):
        made = start(owner, *people)
        for sender in people:
            send(sender, made)


def messages_in(conversation: Conversation, count: int) -> Message:
    """Send messages, each by another person; return the last."""
    people = crowd(count)
    made = Message.objects.bulk_create(
        Message(
            conversation=conversation,
            seq=seq,
            sender=sender,
            message_body="Hello",
            sent_at=conversation.touch(),
        )
        for seq, sender in enumerate(people, start=1)
    )
    conversation.last_seq, conversation.last_message = count, made[-1]
    conversation.save()
    return made[-1]


# --- Reading -------------------------------------------------------------------


@SIZES
def test_conversations_list(count, signed_in, alice, django_assert_num_queries):
    conversations_of(alice, count)

    # The page with last messages and their senders; the previews.
    with django_assert_num_queries(2):
        body = signed_in.get("/api/conversations/").json()

    assert len(body["results"]) == count


@SIZES
def test_conversations_list_searched(
    count, signed_in, alice, django_assert_num_queries
):
    conversations_of(alice, count)

    # Where the page stops to look; the page; the previews.
    with django_assert_num_queries(TIME_LIMIT + 3):
        body = signed_in.get(
            "/api/conversations/?search=guest&unread=true&page_size=200"
        ).json()

    assert len(body["results"]) == count


@SIZES
def test_conversation_detail(count, signed_in, alice, django_assert_num_queries):
    conversation = start(alice, *crowd(count - 1))
    for _ in range(count):
        send(alice, conversation)

    # The conversation; its participants; its newest messages.
    with django_assert_num_queries(3):
        body = signed_in.get(f"/api/conversations/{conversation.pk}/").json()

    assert (len(body["participants"]), len(body["messages"])) == (count, count)


@SIZES
def test_participants_list(count, signed_in, alice, django_assert_num_queries):
    conversation = start(alice, *crowd(count - 1))

    # The conversation, to know that it is the caller's; the page.
    with django_assert_num_queries(2):
        url = f"/api/conversations/{conversation.pk}/participants/"
        body = signed_in.get(url).json()

    assert len(body["results"]) == count


@SIZES
@pytest.mark.parametrize(
    "query", ["", "?unread=true", "?ordering=seq&sent_after=2020-01-01T00:00:00Z"]
)
def test_messages_list(query, count, signed_in, alice, bob, django_assert_num_queries):
    """The same for messages of as many conversations."""
    for _ in range(count):
        send(bob, start(alice, bob))

    # Which conversations have a part of the page; the page with senders and the
    # reader's cursors.
    with django_assert_num_queries(2):
        body = signed_in.get(f"/api/messages/{query}").json()

    assert len(body["results"]) == count


@SIZES
def test_messages_list_searched(count, signed_in, alice, django_assert_num_queries):
    messages_in(start(alice), count)

    # How many are mine; the page.
    with django_assert_num_queries(TIME_LIMIT + 2):
        body = signed_in.get("/api/messages/?search=Hello&ordering=seq").json()

    assert len(body["results"]) == count


@SIZES
def test_messages_by_conversation(
    count, signed_in, alice, conversation, django_assert_num_queries
):
    messages_in(conversation, count)
    url = f"/api/messages/by_conversation/?conversation_id={conversation.pk}"

    # Whether the caller takes part; the page.
    with django_assert_num_queries(2):
        body = signed_in.get(url).json()

    assert len(body["results"]) == count


@SIZES
def test_later_page(count, signed_in, conversation, django_assert_num_queries):
    messages_in(conversation, 2 * count)
    url = f"/api/messages/?page_size={count}"
    following = signed_in.get(url).json()["next"]

    # As for the first.
    with django_assert_num_queries(2):
        body = signed_in.get(following).json()

    assert len(body["results"]) == count


@SIZES
def test_message_detail(count, signed_in, conversation, django_assert_num_queries):
    message = messages_in(conversation, count)

    # The message with its sender and the reader's cursor.
    with django_assert_num_queries(1):
        response = signed_in.get(f"/api/messages/{message.pk}/")

    assert response.status_code == 200


# --- Writing, however many take part and however much was said -----------------

DETAIL = 3  # the conversation, its participants, its newest messages
ATOMIC = 2  # SAVEPOINT and RELEASE: in a test, the transaction is an inner one


@pytest.fixture
def busy(request, alice, bob) -> Conversation:
    """A conversation of alice, with bob and as many others as messages."""
    conversation = start(alice, bob)
    messages_in(conversation, request.param)
    people = User.objects.filter(username__startswith="guest")
    conversation.participations.model.objects.bulk_create(
        conversation.participations.model(conversation=conversation, user=person)
        for person in people
    )
    conversation.participant_count += len(people)
    conversation.save()
    return conversation


BUSY = pytest.mark.parametrize("busy", [1, 3, 50], indirect=True)


# Before two events, PostgreSQL takes the lock of the log by a statement of its own.
LOCK = 1 if connection.vendor == "postgresql" else 0
# What is called, with which body, and how many statements it takes.
WRITES: dict[str, tuple[str, dict[str, str], int]] = {
    # Lock the conversation; the caller's participation; move the conversation on;
    # store the message; move the cursor, and tell who has something unread now;
    # the event.
    "send": (
        "POST messages/",
        {"conversation": "<conversation>", "message_body": "Hello"},
        6,
    ),
    # Where the message is; lock that conversation; the caller's participation;
    # the message; store it; the event. As much as an edit.
    "delete message": ("DELETE messages/<message>/", {}, 6),
    # Lock the conversation, read the message; move the cursor; the event.
    "mark as read": ("POST messages/<message>/mark_as_read/", {}, 4),
    # Lock the conversation; the caller's participation; move the cursor; the event.
    "mark conversation as read": (
        "POST messages/mark_conversation_as_read/",
        {"conversation_id": "<conversation>"},
        4,
    ),
    # Lock the conversation; the caller's participation; store the title; the hour
    # of it; the event; and the answer.
    "rename": ("PATCH conversations/<conversation>/", {"title": "New"}, 5 + DETAIL),
    # Lock the conversation; the caller's participation; the participants; delete
    # participants, messages and conversation; the audit; the event; the spans of
    # events that reached the participants.
    "delete conversation": ("DELETE conversations/<conversation>/", {}, 9),
    # Whether the person is a stranger; lock them, then the conversation; the
    # caller's participation; whether the person takes part; count them; the hour of
    # it; the participation; the event; which event is their first; and the answer.
    "add participant": (
        "POST conversations/<conversation>/add_participant/",
        {"user_id": "<mallory>"},
        10 + DETAIL,
    ),
    # Lock the conversation; the caller's participation; whether the other takes
    # part; the audit; their row; delete it; count them; the hour of it; the event; the
    # span that reached them; and the answer.
    "remove participant": (
        "POST conversations/<conversation>/remove_participant/",
        {"user_id": "<bob>"},
        10 + DETAIL,
    ),
    # As a removal, and the next owner; no answer.
    "leave as owner": (
        "POST conversations/<conversation>/remove_participant/",
        {"user_id": "<alice>"},
        10 + LOCK,
    ),
}


@BUSY
@pytest.mark.parametrize("name", WRITES)
def test_write(name, busy, signed_in, alice, bob, mallory, django_assert_num_queries):
    call, body, count = WRITES[name]
    ids = {"conversation": busy.pk, "message": busy.last_message_id}
    ids |= {person.username: person.pk for person in (alice, bob, mallory)}
    for key, pk in ids.items():
        call = call.replace(f"<{key}>", str(pk))
        body = {k: value.replace(f"<{key}>", str(pk)) for k, value in body.items()}
    method, path = call.split()

    with django_assert_num_queries(ATOMIC + count):
        response = getattr(signed_in, method.lower())(f"/api/{path}", body)

    assert response.status_code < 300


@BUSY
def test_send_again(busy, signed_in, django_assert_num_queries):
    data = {
        "conversation": str(busy.pk),
        "message_body": "Hello",
        "client_id": "0" * 32,
    }
    signed_in.post("/api/messages/", data)

    # Lock the conversation; the caller's participation; the first message.
    with django_assert_num_queries(ATOMIC + 3):
        response = signed_in.post("/api/messages/", data)

    assert response.status_code == 200


@BUSY
def test_edit(busy, client_of, django_assert_num_queries):
    client = client_of(busy.last_message.sender)
    url = f"/api/messages/{busy.last_message_id}/"

    # Where the message is; lock that conversation; the caller's participation;
    # the message; store it; the event.
    with django_assert_num_queries(ATOMIC + 6):
        response = client.patch(url, {"message_body": "Edited"})

    assert response.status_code == 200


@SIZES
def test_start_conversation(count, signed_in, django_assert_num_queries):
    ids = [str(person.pk) for person in crowd(count)]

    # How many of the people are strangers; lock them; the conversation; its
    # participants; the event; which event is the participants' first; and the answer.
    with django_assert_num_queries(ATOMIC + 6 + DETAIL):
        response = signed_in.post("/api/conversations/", {"participant_ids": ids})

    assert response.status_code == 201


@SIZES
def test_start_conversation_with_a_client_id(
    count, signed_in, django_assert_num_queries
):
    ids = [str(person.pk) for person in crowd(count)]
    data = {"participant_ids": ids, "client_id": "0" * 32}

    # As without it; besides, lock the people before it, the first start, store this
    # one, and the savepoint's beginning and end around what is the same.
    with django_assert_num_queries(ATOMIC + 11 + DETAIL):
        response = signed_in.post("/api/conversations/", data)
    assert response.status_code == 201

    # How many are strangers; lock the people; the first start; whether the caller
    # takes part in its conversation; and the answer.
    with django_assert_num_queries(ATOMIC + 4 + DETAIL):
        response = signed_in.post("/api/conversations/", data)
    assert response.status_code == 200
