"""Starting, listing, getting, renaming and deleting conversations."""

import uuid

import pytest
import time_machine
from django.db import connection

from chats.models import (
    Conversation,
    Event,
    Message,
    Participant,
    PastParticipant,
    User,
)
from chats.services import conversations, messages
from tests.support.bodies import (
    GUEST_CAN,
    OWNER_CAN,
    conversation_body,
    detail_body,
    message_body,
    participant_body,
    rfc3339,
)
from tests.support.bulk import crowd
from tests.support.events import event, events_after, everything
from tests.support.factories import UserFactory, send, start
from tests.support.routes import CONVERSATIONS as URL
from tests.support.routes import url_of

# --- Starting ------------------------------------------------------------------


def test_start_answers_the_conversation_owned_by_the_caller(as_alice, alice, bob):
    response = as_alice.post(URL, {"participant_ids": [str(bob.pk)], "title": "Plans"})

    made = Conversation.objects.get()
    assert response.status_code == 201
    assert response.json() == detail_body(made, alice)
    assert response.json()["messages"] == []
    assert (made.title, made.owner, made.participant_count) == ("Plans", alice, 2)
    assert list(made.participants.order_by("participations__id")) == [alice, bob]


def test_start_begins_with_nothing_unread_and_one_time(as_alice, bob):
    as_alice.post(URL, {"participant_ids": [str(bob.pk)]})

    made = Conversation.objects.get()
    people = made.participations.values_list("joined_at", "last_read_seq")
    assert made.created_at <= made.updated_at
    assert list(people) == [(made.created_at, 0)] * 2


@pytest.mark.parametrize("title", [..., ""])
def test_start_needs_no_title(title, as_alice, bob):
    data = {"participant_ids": [str(bob.pk)], "title": title}

    response = as_alice.post(URL, {k: v for k, v in data.items() if v is not ...})

    assert (response.status_code, response.json()["title"]) == (201, "")


def test_start_alone_is_possible(as_alice, alice):
    response = as_alice.post(URL, {"participant_ids": []})

    assert response.status_code == 201
    assert list(Conversation.objects.get().participants.all()) == [alice]


def test_start_counts_everybody_once(as_alice, alice, bob):
    ids = [str(bob.pk), bob.pk.hex, str(alice.pk), str(bob.pk).upper()]

    response = as_alice.post(URL, {"participant_ids": ids})

    assert response.status_code == 201
    assert response.json()["participant_count"] == 2
    assert Participant.objects.count() == 2


def test_start_twice_with_the_same_people_makes_two(as_alice, bob):
    for _ in range(2):
        as_alice.post(URL, {"participant_ids": [str(bob.pk)]})

    assert Conversation.objects.count() == 2


def test_start_is_not_filtered_by_parameters_of_the_list(as_alice, alice, bob):
    response = as_alice.post(
        f"{URL}?search=nothing&unread=true", {"participant_ids": [str(bob.pk)]}
    )

    made = Conversation.objects.get()
    assert (response.status_code, response.json()) == (201, detail_body(made, alice))


NO_LIST = 'Expected a list of items but got type "{}".'

BAD_STARTS = {
    "no participants": ({}, {"participant_ids": ["This field is required."]}),
    "null": (
        {"participant_ids": None},
        {"participant_ids": ["This field may not be null."]},
    ),
    "text": (
        {"participant_ids": "abc"},
        {"participant_ids": [NO_LIST.format("str")]},
    ),
    "object": (
        {"participant_ids": {}},
        {"participant_ids": [NO_LIST.format("dict")]},
    ),
    "malformed": (
        {"participant_ids": ["x", str(uuid.UUID(int=1)), None]},
        {
            "participant_ids": [
                "Item 0: Must be a valid UUID.",
                "Item 2: This field may not be null.",
            ]
        },
    ),
    "long title": (
        {"participant_ids": [], "title": "a" * 201},
        {"title": ["Ensure this field has no more than 200 characters."]},
    ),
    "NUL in the title": (
        {"participant_ids": [], "title": "a\0"},
        {"title": ["Null characters are not allowed."]},
    ),
    "null title": (
        {"participant_ids": [], "title": None},
        {"title": ["This field may not be null."]},
    ),
    "list as title": (
        {"participant_ids": [], "title": []},
        {"title": ["Not a valid string."]},
    ),
    "list as body": (
        [],
        {"non_field_errors": ["Invalid data. Expected a dictionary, but got list."]},
    ),
}


@pytest.mark.parametrize(("data", "errors"), BAD_STARTS.values(), ids=BAD_STARTS.keys())
def test_start_with_bad_input_names_the_field(data, errors, as_alice):
    response = as_alice.post(URL, data)

    assert (response.status_code, response.json()) == (400, errors)
    assert Conversation.objects.count() == 0


def test_start_with_people_unknown_or_inactive_names_them(as_alice, bob):
    suspended = UserFactory(is_active=False)
    missing = sorted([str(suspended.pk), str(uuid.uuid4())])

    response = as_alice.post(URL, {"participant_ids": [str(bob.pk), *missing]})

    assert response.status_code == 400
    assert response.json() == {
        "participant_ids": [f"Unknown or inactive users: {', '.join(missing)}."]
    }
    assert Conversation.objects.count() == 0


def test_start_with_exactly_the_most_participants(settings, as_alice, bob, mallory):
    settings.MAX_PARTICIPANTS = 3

    response = as_alice.post(URL, {"participant_ids": [str(bob.pk), str(mallory.pk)]})

    assert (response.status_code, response.json()["participant_count"]) == (201, 3)


def test_start_with_too_long_a_list_looks_at_no_item(
    settings, as_alice, django_assert_num_queries
):
    settings.MAX_PARTICIPANTS = 2

    with django_assert_num_queries(0):
        response = as_alice.post(URL, {"participant_ids": ["no id"] * 3})

    assert response.status_code == 400
    assert response.json() == {
        "participant_ids": ["A conversation has at most 2 participants."]
    }


def test_start_with_too_many_names_the_field(settings, as_alice, bob, mallory):
    settings.MAX_PARTICIPANTS = 2

    response = as_alice.post(URL, {"participant_ids": [str(bob.pk), str(mallory.pk)]})

    assert response.status_code == 400
    assert response.json() == {
        "participant_ids": ["A conversation has at most 2 participants."]
    }
    assert Conversation.objects.count() == 0


# --- Listing -------------------------------------------------------------------


def test_list_answers_mine_latest_activity_first(as_bob, alice, bob, mallory):
    first, second, third = start(alice, bob), start(bob), start(bob, alice, title="3")
    start(alice, mallory, title="Not for bob")
    send(alice, first, "Newest")

    response = as_bob.get(URL)

    assert response.status_code == 200
    assert response.json() == {
        "next": None,
        "previous": None,
        "results": [conversation_body(item, bob) for item in (first, third, second)],
    }


def test_list_of_one_who_takes_part_in_nothing_is_empty(as_mallory, conversation):
    response = as_mallory.get(URL)

    assert response.status_code == 200
    assert response.json() == {"next": None, "previous": None, "results": []}


def test_list_previews_the_10_longest_standing_participants(as_alice, alice):
    people = crowd(12)
    made = start(alice, *people)
    small = start(alice, people[11])

    results = as_alice.get(URL).json()["results"]

    joined = made.participations.select_related("user").order_by("id")
    assert [item["conversation_id"] for item in results] == [
        str(small.pk),
        str(made.pk),
    ]
    assert results[0] == conversation_body(small, alice)
    assert results[1]["participant_count"] == 13
    assert results[1]["participants"] == [participant_body(row) for row in joined[:10]]


def test_list_names_no_newcomer_to_one_removed_meanwhile(
    as_bob, alice, bob, mallory, conversation
):
    other, pending = start(bob, alice), [True]

    def replacing(execute, *args):
        found = execute(*args)
        if "last_message" in args[0] and pending:  # right after the page is read
            pending.clear()
            conversations.remove_participant(alice, conversation.pk, user_id=bob.pk)
            conversations.add_participant(alice, conversation.pk, user_id=mallory.pk)
        return found

    with connection.execute_wrapper(replacing):
        results = as_bob.get(URL).json()["results"]

    assert not pending
    assert [item["conversation_id"] for item in results] == [str(other.pk)]


def test_unread_count_is_what_is_past_the_cursor(
    as_alice, as_bob, alice, bob, conversation
):
    for sender in (bob, bob, alice, bob, bob):
        last = send(sender, conversation)
    messages.delete_message(bob, last.pk)

    # Her own message is the third: the tombstone counts until it is passed.
    mine, his = (client.get(URL).json()["results"][0] for client in (as_alice, as_bob))

    names = ("last_seq", "last_read_seq", "unread_count")
    assert [mine[name] for name in names] == [5, 3, 2]
    assert [his[name] for name in names] == [5, 5, 0]


def test_last_message_is_shown_as_the_reader_has_it(
    as_alice, as_bob, alice, bob, conversation
):
    last = send(bob, conversation)

    shown = [
        client.get(URL).json()["results"][0]["last_message"]
        for client in (as_alice, as_bob)
    ]

    assert shown == [message_body(last, is_read=False), message_body(last)]


def test_last_message_may_be_a_tombstone(as_alice, bob, conversation):
    send(bob, conversation)
    last = send(bob, conversation)
    messages.delete_message(bob, last.pk)

    shown = as_alice.get(URL).json()["results"][0]["last_message"]

    last.refresh_from_db()
    assert shown == message_body(last, is_read=False)
    assert shown["message_body"] == ""


# --- Getting -------------------------------------------------------------------


def test_get_answers_the_detail(as_alice, alice, bob, conversation):
    for sender in (alice, bob, bob):
        send(sender, conversation)

    response = as_alice.get(url_of(conversation))

    body = response.json()
    assert (response.status_code, body) == (200, detail_body(conversation, alice))
    assert [(row["seq"], row["is_read"]) for row in body["messages"]] == [
        (3, False),
        (2, False),
        (1, True),
    ]


@pytest.mark.parametrize(("who", "can"), [("alice", OWNER_CAN), ("bob", GUEST_CAN)])
def test_can_says_what_the_reader_may_do(who, can, conversation, client_of):
    client = client_of(User.objects.get(username=who))

    assert client.get(url_of(conversation)).json()["can"] == can
    assert client.get(URL).json()["results"][0]["can"] == can


def test_get_has_the_newest_50_messages(as_alice, bob, conversation):
    for number in range(1, 53):
        send(bob, conversation, f"Message {number}")

    shown = as_alice.get(url_of(conversation)).json()["messages"]

    assert [row["seq"] for row in shown] == list(range(52, 2, -1))


def test_get_has_the_first_200_participants(as_alice, alice):
    made = start(alice, *crowd(204))

    body = as_alice.get(url_of(made)).json()

    joined = made.participations.select_related("user").order_by("id")
    assert body["participant_count"] == 205
    assert body["participants"] == [participant_body(row) for row in joined[:200]]


def test_get_is_not_filtered_by_parameters_of_the_list(as_alice, alice, conversation):
    response = as_alice.get(f"{url_of(conversation)}?search=nothing&unread=true")

    assert (response.status_code, response.json()) == (
        200,
        detail_body(conversation, alice),
    )


# --- Renaming ------------------------------------------------------------------


@pytest.mark.parametrize("method", ["put", "patch"])
@pytest.mark.parametrize("who", ["alice", "bob"])
def test_rename_by_any_participant(who, method, conversation, client_of):
    reader = User.objects.get(username=who)
    since, before = Event.objects.last_id(), conversation.updated_at

    response = getattr(client_of(reader), method)(
        url_of(conversation), {"title": "Other plans"}
    )

    assert response.status_code == 200
    assert response.json() == detail_body(conversation, reader)
    conversation.refresh_from_db()
    assert conversation.title == "Other plans"
    assert conversation.updated_at > before
    assert events_after(since) == [
        event("conversation.updated", conversation, actor=reader)
    ]


def test_rename_moves_the_conversation_to_the_top(as_alice, alice, conversation):
    newer = start(alice)

    as_alice.patch(url_of(conversation), {"title": "Top"})

    shown = [row["conversation_id"] for row in as_alice.get(URL).json()["results"]]
    assert shown == [str(conversation.pk), str(newer.pk)]


@pytest.mark.parametrize(
    ("method", "data"),
    [
        ("patch", {}),
        ("patch", {"title": "Plans"}),
        ("put", {"title": "Plans"}),
        ("patch", {"owner": str(uuid.UUID(int=0)), "last_seq": 9, "participants": []}),
    ],
)
def test_rename_that_changes_nothing_leaves_no_trace(
    method, data, as_bob, bob, conversation
):
    before = everything()

    response = getattr(as_bob, method)(url_of(conversation), data)

    assert (response.status_code, response.json()) == (
        200,
        detail_body(conversation, bob),
    )
    assert everything() == before


@pytest.mark.parametrize("title", ["", "x" * 200, "Ünïcode 🎉 <b>"])
def test_rename_to_any_title_that_fits(title, as_bob, conversation):
    response = as_bob.patch(url_of(conversation), {"title": title})

    assert (response.status_code, response.json()["title"]) == (200, title)


@pytest.mark.parametrize(
    ("method", "data", "error"),
    [
        ("put", {}, "This field is required."),
        ("patch", {"title": None}, "This field may not be null."),
        ("patch", {"title": ["a"]}, "Not a valid string."),
        ("patch", {"title": "a\0b"}, "Null characters are not allowed."),
        (
            "put",
            {"title": "x" * 201},
            "Ensure this field has no more than 200 characters.",
        ),
    ],
)
def test_rename_to_a_bad_title_names_the_field(
    method, data, error, as_bob, conversation
):
    before = everything()

    response = getattr(as_bob, method)(url_of(conversation), data)

    assert (response.status_code, response.json()) == (400, {"title": [error]})
    assert everything() == before


# --- What moves updated_at -----------------------------------------------------

MOVING = {
    "send": lambda c, m: send(m.sender, c),
    "rename": lambda c, m: conversations.rename_conversation(
        m.sender, c.pk, title="New"
    ),
    "add": lambda c, m: conversations.add_participant(
        m.sender, c.pk, user_id=UserFactory().pk
    ),
    "remove": lambda c, m: conversations.remove_participant(
        m.sender, c.pk, user_id=m.sender.pk
    ),
}
NOT_MOVING = {
    "edit": lambda c, m: messages.edit_message(m.sender, m.pk, message_body="New"),
    "delete": lambda c, m: messages.delete_message(m.sender, m.pk),
    "read": lambda c, m: messages.mark_as_read(c.owner, m.pk),
    "read all": lambda c, m: messages.mark_conversation_as_read(c.owner, c.pk),
}


@pytest.mark.parametrize("name", [*MOVING, *NOT_MOVING])
def test_updated_at_moves_with_activity_only(name, bob, conversation):
    message = send(bob, conversation)
    conversation.refresh_from_db()
    before = conversation.updated_at

    (MOVING | NOT_MOVING)[name](conversation, message)

    conversation.refresh_from_db()
    assert conversation.updated_at >= before
    assert (conversation.updated_at > before) is (name in MOVING)


def test_times_rise_with_seq_while_the_clock_goes_back(alice, bob, conversation):
    with time_machine.travel("2031-01-01T00:00:00Z", tick=False):
        send(bob, conversation)
    with time_machine.travel("2030-01-01T00:00:00Z", tick=False):
        send(alice, conversation)
        send(bob, conversation)

    times = Message.objects.order_by("seq").values_list("sent_at", flat=True)
    conversation.refresh_from_db()
    assert [rfc3339(time) for time in times] == [
        "2031-01-01T00:00:00Z",
        "2031-01-01T00:00:00.000001Z",
        "2031-01-01T00:00:00.000002Z",
    ]
    assert conversation.updated_at == times[2]


# --- Deleting ------------------------------------------------------------------


def test_delete_takes_messages_and_participants_along(
    as_alice, alice, bob, conversation
):
    for sender in (alice, bob):
        send(sender, conversation)
    kept = start(bob, alice)
    send(bob, kept)

    response = as_alice.delete(url_of(conversation))

    assert (response.status_code, response.content) == (204, b"")
    assert Conversation.objects.get() == kept
    assert [row.conversation for row in Message.objects.all()] == [kept]
    assert [row.conversation for row in Participant.objects.all()] == [kept, kept]
    assert as_alice.get(url_of(conversation)).status_code == 404


def test_delete_leaves_one_event_and_the_spans_it_reaches(
    as_alice, alice, bob, conversation
):
    since = Event.objects.last_id()
    send(bob, conversation)
    sent = Event.objects.last_id()

    as_alice.delete(url_of(conversation))

    last = Event.objects.last_id()
    assert events_after(sent) == [
        event("conversation.deleted", conversation, actor=alice)
    ]
    spans = PastParticipant.objects.order_by("pk").values_list(
        "user_id", "conversation_id", "first_event_id", "last_event_id"
    )
    assert list(spans) == [
        (alice.pk, conversation.pk, since, last),
        (bob.pk, conversation.pk, since, last),
    ]


def test_delete_by_another_participant_is_forbidden(as_bob, bob, conversation):
    send(bob, conversation)
    before = everything()

    response = as_bob.delete(url_of(conversation))

    assert response.status_code == 403
    assert response.json() == {
        "detail": "Only the owner can delete a conversation; others can leave it.",
        "code": "permission_denied",
    }
    assert everything() == before
