"""Sending, getting, editing and deleting messages."""

import uuid

import pytest

from chats.models import Conversation, Event, Message, Participant
from chats.services import conversations, messages, users
from tests.support.bodies import (
    NULL,
    REQUIRED,
    message_body,
    user_body,
)
from tests.support.events import event, events_after, everything
from tests.support.factories import UserFactory, send, start

URL = "/api/messages/"


def url_of(message: Message | uuid.UUID) -> str:
    return f"{URL}{getattr(message, 'pk', message)}/"


def post(client, conversation: Conversation, body: str = "Hello", **fields):
    data = {"conversation": str(conversation.pk), "message_body": body, **fields}
    return client.post(URL, data)


@pytest.fixture
def message(bob, conversation) -> Message:
    """The only message of the conversation, by bob."""
    return send(bob, conversation, "Hello, Alice")


# --- Sending -------------------------------------------------------------------


def test_send_stores_the_message_and_answers_it(as_bob, conversation, bob):
    response = post(as_bob, conversation, "Hello")

    stored = Message.objects.get()
    assert response.status_code == 201
    assert response.json() == message_body(stored)
    assert (stored.conversation, stored.sender, stored.seq) == (conversation, bob, 1)
    assert (stored.message_body, stored.client_id) == ("Hello", None)
    assert response.json()["edited_at"] is None
    assert response.json()["deleted_at"] is None


def test_send_updates_the_conversation(as_bob, conversation):
    before = conversation.updated_at

    post(as_bob, conversation)

    conversation.refresh_from_db()
    stored = Message.objects.get()
    assert (conversation.last_seq, conversation.last_message) == (1, stored)
    assert conversation.updated_at == stored.sent_at
    assert conversation.updated_at > before


def test_send_moves_the_cursor_of_the_sender_only(as_bob, conversation, alice):
    send(alice, conversation)
    send(alice, conversation)

    post(as_bob, conversation)

    cursors = Participant.objects.values_list("user__username", "last_read_seq")
    assert dict(cursors) == {"alice": 2, "bob": 3}


def test_send_numbers_each_conversation_from_1_without_gaps(
    as_alice, as_bob, alice, bob, conversation
):
    other = start(bob, alice)

    answers = [
        post(client, where).json()
        for client, where in [
            (as_alice, conversation),
            (as_bob, other),
            (as_bob, conversation),
            (as_alice, conversation),
            (as_alice, other),
        ]
    ]

    assert [answer["seq"] for answer in answers] == [1, 1, 2, 3, 2]


BODIES = {
    "letter": "x",
    "unicode": "naïve, Ελλάδα, 日本語, हिन्दी",
    "decomposed": "e\u0301 is not é",
    "emoji": "👩‍👩‍👧‍👦🏳️‍🌈👍🏽",
    "right to left marks": "\u202eabc\u202c \u200f\u05e9\u05dc\u05d5\u05dd\u200e",
    "zero width": "in\u200bvisible",
    "byte order mark": "\ufeffbegin",
    "line ends": "one\r\ntwo\rthree\nfour\u2028five",
    "spaces around": "  \t padded \n ",
    "tabs": "one\ttwo",
    "html": "<script>alert('1')</script>&amp;<b>",
    "json": '{"message_body": null}\\u0041\\"',
    "sql": "'; DROP TABLE chats_message; --",
    "format": "%s %(x)s {0} {x} $1",
    "number": "0",
    "last plane": "\U0010ffff",
    "longest": "€" * 10_000,
    "longest of 4 bytes": "😀" * 10_000,
}


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES.keys())
def test_body_is_stored_and_returned_exactly_as_sent(body, as_alice, conversation):
    sent = post(as_alice, conversation, body)

    stored = Message.objects.get()
    got = as_alice.get(url_of(stored))
    assert sent.status_code == 201
    assert stored.message_body.encode() == body.encode()
    assert sent.json()["message_body"] == body
    assert got.json()["message_body"] == body


def test_send_accepts_the_older_names(as_bob, conversation):
    response = as_bob.post(
        URL, {"conversation_id": str(conversation.pk), "content": "Old"}
    )

    assert response.status_code == 201
    assert response.json() == message_body(Message.objects.get())
    assert response.json()["message_body"] == "Old"


def test_send_prefers_the_present_names(as_bob, alice, bob, conversation):
    other = start(alice, bob)

    response = as_bob.post(
        URL,
        {
            "conversation": str(conversation.pk),
            "conversation_id": str(other.pk),
            "message_body": "New",
            "content": "Old",
        },
    )

    assert response.status_code == 201
    stored = Message.objects.get()
    assert (stored.conversation, stored.message_body) == (conversation, "New")


def test_send_ignores_what_the_server_sets(as_bob, alice, bob, conversation):
    response = post(
        as_bob,
        conversation,
        message_id=str(uuid.uuid4()),
        seq=77,
        sender=str(alice.pk),
        sent_at="2001-01-01T00:00:00Z",
        deleted_at="2001-01-01T00:00:00Z",
        is_read=False,
    )

    stored = Message.objects.get()
    assert response.json() == message_body(stored)
    assert (stored.seq, stored.sender, stored.deleted_at) == (1, bob, None)
    assert stored.sent_at.year > 2001


BLANK = ["This field may not be blank."]
NO_STRING = ["Not a valid string."]
NO_UUID = ["Must be a valid UUID."]

BAD_SENDS = {
    "no body": ({"message_body": ...}, {"message_body": REQUIRED}),
    "null body": ({"message_body": None}, {"message_body": NULL}),
    "empty body": ({"message_body": ""}, {"message_body": BLANK}),
    "blank body": ({"message_body": " \t\r\n\u3000"}, {"message_body": BLANK}),
    "number as body": ({"message_body": 5}, {"message_body": NO_STRING}),
    "boolean as body": ({"message_body": True}, {"message_body": NO_STRING}),
    "list as body": ({"message_body": ["a"]}, {"message_body": NO_STRING}),
    "object as body": ({"message_body": {"a": 1}}, {"message_body": NO_STRING}),
    "too long": (
        {"message_body": "a" * 10_001},
        {"message_body": ["Ensure this field has no more than 10000 characters."]},
    ),
    "NUL": (
        {"message_body": "a\0b"},
        {"message_body": ["Null characters are not allowed."]},
    ),
    "no conversation": ({"conversation": ...}, {"conversation": REQUIRED}),
    "null conversation": ({"conversation": None}, {"conversation": NULL}),
    "malformed conversation": ({"conversation": "x"}, {"conversation": NO_UUID}),
    "list as conversation": ({"conversation": []}, {"conversation": NO_UUID}),
    "malformed client_id": ({"client_id": "1"}, {"client_id": NO_UUID}),
    "empty client_id": ({"client_id": ""}, {"client_id": NO_UUID}),
    "everything missing": (
        {"conversation": ..., "message_body": ...},
        {"conversation": REQUIRED, "message_body": REQUIRED},
    ),
}


@pytest.mark.parametrize(("change", "errors"), BAD_SENDS.values(), ids=BAD_SENDS.keys())
def test_send_of_bad_input_names_the_field(change, errors, as_bob, conversation):
    good = {"conversation": str(conversation.pk), "message_body": "Hello"}
    data = {name: value for name, value in (good | change).items() if value is not ...}
    before = everything()

    response = as_bob.post(URL, data)

    assert (response.status_code, response.json()) == (400, errors)
    assert everything() == before


def test_send_of_a_lone_surrogate_names_the_field(as_bob, conversation):
    response = as_bob.post(
        URL,
        f'{{"conversation": "{conversation.pk}", "message_body": "a\\ud800"}}',
        content_type="application/json",
    )

    assert response.status_code == 400
    assert response.json() == {
        "message_body": ["Surrogate characters are not allowed: U+D800."]
    }


def test_send_by_one_who_has_left_is_refused(as_bob, bob, conversation):
    conversations.remove_participant(bob, conversation.pk, user_id=bob.pk)

    response = post(as_bob, conversation)

    assert response.status_code == 400
    assert response.json() == {
        "conversation": [f"Conversation {conversation.pk} does not exist."]
    }
    assert Message.objects.count() == 0


# --- Sending again: client_id --------------------------------------------------


@pytest.fixture
def client_id() -> str:
    return str(uuid.uuid4())


@pytest.fixture
def first(as_bob, conversation, client_id) -> Message:
    """What bob sent with the client_id."""
    post(as_bob, conversation, "Once", client_id=client_id)
    return Message.objects.select_related("sender").get()


def test_send_answers_its_client_id(first, as_bob, client_id):
    assert as_bob.get(url_of(first)).json()["client_id"] == client_id


def test_send_again_answers_the_first_and_stores_nothing(
    first, as_bob, conversation, client_id
):
    before = everything()

    response = post(as_bob, conversation, "Once", client_id=client_id)

    assert (response.status_code, response.json()) == (200, message_body(first))
    assert everything() == before


def test_send_again_with_another_spelling_of_the_id_is_the_same(
    first, as_bob, conversation, client_id
):
    response = post(
        as_bob, conversation, "Once", client_id=uuid.UUID(client_id).hex.upper()
    )

    assert (response.status_code, response.json()) == (200, message_body(first))


def test_send_again_with_another_body_conflicts(first, as_bob, conversation, client_id):
    before = everything()

    response = post(as_bob, conversation, "Twice", client_id=client_id)

    assert response.status_code == 409
    assert response.json() == {
        "detail": "This client_id was used for another message.",
        "code": "conflict",
    }
    assert everything() == before


@pytest.mark.parametrize("body", ["Once", "Edited", "Another"])
def test_send_again_after_an_edit_answers_the_message_as_it_is(
    body, first, as_bob, bob, conversation, client_id
):
    edited = messages.edit_message(bob, first.pk, message_body="Edited")

    response = post(as_bob, conversation, body, client_id=client_id)

    assert (response.status_code, response.json()) == (200, message_body(edited))
    assert Message.objects.count() == 1


@pytest.mark.parametrize("body", ["Once", "Another"])
def test_send_again_after_deletion_answers_the_tombstone(
    body, first, as_bob, alice, conversation, client_id
):
    messages.delete_message(alice, first.pk)

    response = post(as_bob, conversation, body, client_id=client_id)

    first.refresh_from_db()
    assert (response.status_code, response.json()) == (200, message_body(first))
    assert response.json()["message_body"] == ""
    assert Message.objects.count() == 1


def test_client_id_of_another_sender_is_free(first, as_alice, conversation, client_id):
    response = post(as_alice, conversation, "Mine", client_id=client_id)

    assert (response.status_code, response.json()["seq"]) == (201, 2)


def test_client_id_in_another_conversation_is_free(
    first, as_bob, alice, bob, client_id
):
    other = start(bob, alice)

    response = post(as_bob, other, "Elsewhere", client_id=client_id)

    assert (response.status_code, response.json()["seq"]) == (201, 1)


def test_client_id_null_is_none(as_bob, conversation):
    answers = [post(as_bob, conversation, client_id=None) for _ in range(2)]

    assert [answer.status_code for answer in answers] == [201, 201]
    assert [answer.json()["client_id"] for answer in answers] == [None, None]


def test_send_again_by_one_who_has_left_is_refused(
    first, as_bob, bob, conversation, client_id
):
    conversations.remove_participant(bob, conversation.pk, user_id=bob.pk)

    response = post(as_bob, conversation, "Once", client_id=client_id)

    assert response.status_code == 400
    assert response.json() == {
        "conversation": [f"Conversation {conversation.pk} does not exist."]
    }


def test_send_again_after_a_return_answers_the_first(
    first, as_bob, alice, bob, conversation, client_id
):
    conversations.remove_participant(bob, conversation.pk, user_id=bob.pk)
    conversations.add_participant(alice, conversation.pk, user_id=bob.pk)

    response = post(as_bob, conversation, "Once", client_id=client_id)

    assert (response.status_code, response.json()) == (200, message_body(first))


# --- Getting -------------------------------------------------------------------


def test_get_answers_the_message(as_alice, message):
    response = as_alice.get(url_of(message))

    assert response.status_code == 200
    assert response.json() == message_body(message, is_read=False)


def test_get_of_a_newcomer_shows_history_as_read(
    as_mallory, alice, mallory, conversation, message
):
    conversations.add_participant(alice, conversation.pk, user_id=mallory.pk)

    response = as_mallory.get(url_of(message))

    assert (response.status_code, response.json()) == (200, message_body(message))


def test_get_of_a_deleted_persons_message_names_deleted_user(as_alice, bob, message):
    users.delete_user(bob, actor=bob)

    response = as_alice.get(url_of(message))

    bob.refresh_from_db()
    assert response.json()["message_body"] == "Hello, Alice"
    assert response.json()["sender"] == {
        "user_id": str(bob.pk),
        "username": f"deleted-{bob.pk.hex}",
        "first_name": "Deleted",
        "last_name": "user",
        "role": "guest",
        "is_online": False,
        "last_seen_at": None,
    }


def test_list_answers_mine_across_conversations_newest_first(
    as_alice, alice, bob, mallory, conversation
):
    other = start(bob, alice)
    send(mallory, start(mallory, bob), "Not for alice")
    sent = [
        send(bob, conversation),
        send(bob, other),
        send(alice, conversation),
        send(bob, conversation),
    ]

    response = as_alice.get(URL)

    # Her own send moved her cursor to 2 in the first conversation.
    assert response.status_code == 200
    assert response.json() == {
        "next": None,
        "previous": None,
        "results": [
            message_body(sent[3], is_read=False),
            message_body(sent[2]),
            message_body(sent[1], is_read=False),
            message_body(sent[0]),
        ],
    }


def test_list_of_one_who_takes_part_in_nothing_is_empty(as_mallory, message):
    response = as_mallory.get(URL)

    assert response.status_code == 200
    assert response.json() == {"next": None, "previous": None, "results": []}


def test_by_conversation_lists_one_conversation_newest_first(
    as_alice, alice, bob, conversation, message
):
    send(bob, start(bob, alice), "Elsewhere")
    second = send(alice, conversation)

    response = as_alice.get(f"{URL}by_conversation/?conversation_id={conversation.pk}")

    assert response.status_code == 200
    assert response.json() == {
        "next": None,
        "previous": None,
        "results": [message_body(second), message_body(message)],
    }


@pytest.mark.parametrize("spelling", ["{}", "%20{}", "{{{}}}", "urn:uuid:{}"])
def test_by_conversation_accepts_the_spellings_that_the_list_does(
    spelling, as_alice, conversation, message
):
    query = f"?conversation_id={spelling.format(conversation.pk)}"

    response = as_alice.get(f"{URL}by_conversation/{query}")

    assert response.status_code == 200
    assert response.json() == as_alice.get(URL + query).json()


@pytest.mark.parametrize(
    ("query", "error"),
    [
        ("", "This field is required."),
        ("?conversation_id=", "This field is required."),
        ("?conversation_id=x", "Enter a valid UUID."),
        ("?sender=01890000-0000-7000-8000-000000000000", REQUIRED[0]),
    ],
)
def test_by_conversation_without_a_conversation_names_the_parameter(
    query, error, as_alice
):
    response = as_alice.get(f"{URL}by_conversation/{query}")

    assert (response.status_code, response.json()) == (
        400,
        {"conversation_id": [error]},
    )


# --- Editing -------------------------------------------------------------------


@pytest.mark.parametrize("method", ["put", "patch"])
@pytest.mark.parametrize("name", ["message_body", "content"])
def test_edit_replaces_the_body_and_sets_edited_at(
    name, method, as_bob, bob, conversation, message
):
    since = Event.objects.last_id()

    response = getattr(as_bob, method)(url_of(message), {name: " Edited\r\n"})

    edited = Message.objects.get()
    assert (response.status_code, response.json()) == (200, message_body(edited))
    assert (edited.message_body, edited.sent_at) == (" Edited\r\n", message.sent_at)
    assert edited.edited_at > message.sent_at
    assert events_after(since) == [
        event("message.updated", conversation, message=message, actor=bob)
    ]


def test_edit_leaves_the_conversation_and_cursors_as_they_are(as_bob, message):
    before = everything()

    as_bob.patch(url_of(message), {"message_body": "Edited"})

    after = everything()
    assert after["Conversation"] == before["Conversation"]
    assert after["Participant"] == before["Participant"]


@pytest.mark.parametrize("data", [{}, {"message_body": "Hello, Alice"}, {"seq": 9}])
def test_edit_that_changes_nothing_leaves_no_trace(data, as_bob, message):
    before = everything()

    response = as_bob.patch(url_of(message), data)

    assert (response.status_code, response.json()) == (200, message_body(message))
    assert everything() == before


@pytest.mark.parametrize("method", ["put", "patch"])
@pytest.mark.parametrize(
    ("body", "error"),
    [("", BLANK), (" ", BLANK), (None, NULL), (7, NO_STRING)],
)
def test_edit_to_a_bad_body_names_the_field(body, error, method, as_bob, message):
    response = getattr(as_bob, method)(url_of(message), {"message_body": body})

    assert (response.status_code, response.json()) == (400, {"message_body": error})


def test_put_without_a_body_names_the_field(as_bob, message):
    response = as_bob.put(url_of(message), {})

    assert (response.status_code, response.json()) == (400, {"message_body": REQUIRED})


@pytest.mark.parametrize("length", [10_000, 10_001])
def test_edit_is_bounded_like_a_send(length, as_bob, message):
    response = as_bob.patch(url_of(message), {"message_body": "a" * length})

    assert response.status_code == (200 if length == 10_000 else 400)


@pytest.mark.parametrize("method", ["put", "patch"])
def test_edit_by_another_participant_is_forbidden(method, as_alice, message):
    before = everything()

    response = getattr(as_alice, method)(url_of(message), {"message_body": "Mine"})

    assert response.status_code == 403
    assert response.json() == {
        "detail": "Only the sender can edit a message.",
        "code": "permission_denied",
    }
    assert everything() == before


def test_edit_of_a_deleted_message_conflicts(as_bob, bob, message):
    messages.delete_message(bob, message.pk)
    before = everything()

    response = as_bob.patch(url_of(message), {"message_body": "Back"})

    assert response.status_code == 409
    assert response.json() == {
        "detail": "This message has been deleted.",
        "code": "conflict",
    }
    assert everything() == before


def test_edit_by_a_sender_who_has_left_is_404(as_bob, bob, conversation, message):
    conversations.remove_participant(bob, conversation.pk, user_id=bob.pk)

    response = as_bob.patch(url_of(message), {"message_body": "From outside"})

    assert response.status_code == 404
    assert Message.objects.get().message_body == "Hello, Alice"


# --- Deleting ------------------------------------------------------------------


@pytest.mark.parametrize("who", ["sender", "owner"])
def test_delete_leaves_a_tombstone(
    who, as_alice, as_bob, alice, bob, conversation, message
):
    client, actor = {"sender": (as_bob, bob), "owner": (as_alice, alice)}[who]
    since = Event.objects.last_id()

    response = client.delete(url_of(message))

    buried = Message.objects.get()
    assert (response.status_code, response.content) == (204, b"")
    assert (buried.message_body, buried.seq) == ("", 1)
    assert buried.deleted_at > buried.sent_at
    assert as_bob.get(url_of(message)).json() == message_body(buried)
    assert events_after(since) == [
        event("message.deleted", conversation, message=message, actor=actor)
    ]


def test_delete_leaves_the_conversation_and_cursors_as_they_are(as_bob, message):
    before = everything()

    as_bob.delete(url_of(message))

    after = everything()
    assert after["Conversation"] == before["Conversation"]
    assert after["Participant"] == before["Participant"]


def test_delete_keeps_the_seq_taken(as_bob, conversation, message):
    as_bob.delete(url_of(message))

    assert post(as_bob, conversation).json()["seq"] == 2


def test_delete_again_is_harmless(as_alice, as_bob, message):
    as_bob.delete(url_of(message))
    before = everything()

    responses = [as_bob.delete(url_of(message)), as_alice.delete(url_of(message))]

    assert [response.status_code for response in responses] == [204, 204]
    assert everything() == before


def test_delete_by_another_participant_is_forbidden(as_bob, alice, conversation):
    by_owner = send(alice, conversation)
    before = everything()

    response = as_bob.delete(url_of(by_owner))

    assert response.status_code == 403
    assert response.json() == {
        "detail": "Only the sender or the conversation's owner can delete a message.",
        "code": "permission_denied",
    }
    assert everything() == before


def test_delete_by_a_former_owner_is_404(as_alice, alice, conversation, message):
    conversations.remove_participant(alice, conversation.pk, user_id=alice.pk)

    assert as_alice.delete(url_of(message)).status_code == 404
    assert Message.objects.get().is_deleted is False


# --- Ids and people ------------------------------------------------------------


@pytest.mark.parametrize("message_id", ["1", "x", "null", "0" * 32])
def test_call_with_a_malformed_id_is_404(message_id, as_bob, message):
    response = as_bob.get(f"{URL}{message_id}/")

    assert response.status_code == 404
    assert response.json() == {"detail": "Not found.", "code": "not_found"}


def test_id_in_capitals_is_the_same(as_alice, message):
    response = as_alice.get(url_of(str(message.pk).upper()))

    assert response.json() == message_body(message, is_read=False)


def test_a_person_just_away_is_shown_offline(as_alice, alice, conversation):
    carol = UserFactory(last_seen_at=None)
    conversations.add_participant(alice, conversation.pk, user_id=carol.pk)
    sent = send(carol, conversation)

    response = as_alice.get(url_of(sent))

    assert response.json()["sender"] == user_body(carol, is_online=False)
