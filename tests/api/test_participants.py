"""Adding, removing and listing participants."""

import uuid
from itertools import chain

import pytest
from django.db import connection

from chats.models import (
    Conversation,
    Event,
    Message,
    Participant,
    PastParticipant,
    User,
)
from chats.services import conversations, messages, users
from tests.support.bodies import detail_body, participant_body
from tests.support.bulk import crowd
from tests.support.events import event, events_after, everything
from tests.support.factories import UserFactory, send, start
from tests.support.routes import url_of


def add(client, conversation: Conversation, user_id: object):
    return client.post(
        f"{url_of(conversation)}add_participant/", {"user_id": str(user_id)}
    )


def remove(client, conversation: Conversation, user_id: object):
    return client.post(
        f"{url_of(conversation)}remove_participant/", {"user_id": str(user_id)}
    )


def names_in(conversation: Conversation) -> list[str]:
    """Return the usernames of the participants, the longest-standing first."""
    rows = conversation.participations.order_by("id")
    return list(rows.values_list("user__username", flat=True))


@pytest.fixture
def group(alice, bob, mallory) -> Conversation:
    """Of alice, with bob and mallory, who joined after each other."""
    made = start(alice)
    for person in (bob, mallory):
        conversations.add_participant(alice, made.pk, user_id=person.pk)
    made.refresh_from_db()
    return made


# --- Adding --------------------------------------------------------------------


@pytest.mark.parametrize("who", ["alice", "bob"])
def test_add_by_any_participant(who, mallory, conversation, client_of):
    actor = User.objects.get(username=who)
    since, before = Event.objects.last_id(), conversation.updated_at

    response = add(client_of(actor), conversation, mallory.pk)

    assert response.status_code == 200
    assert response.json() == detail_body(conversation, actor)
    assert names_in(conversation) == ["alice", "bob", "mallory"]
    conversation.refresh_from_db()
    assert conversation.participant_count == 3
    assert conversation.updated_at > before
    assert events_after(since) == [
        event("participant.added", conversation, user=mallory, actor=actor)
    ]


def test_add_starts_the_newcomer_at_the_end(as_alice, bob, mallory, conversation):
    for _ in range(3):
        send(bob, conversation)

    add(as_alice, conversation, mallory.pk)

    conversation.refresh_from_db()
    newcomer = Participant.objects.get(user=mallory)
    assert (newcomer.last_read_seq, newcomer.joined_at) == (3, conversation.updated_at)


def readers_of(client, conversation: Conversation, seq: int) -> set[str]:
    """Return who has read a message, as docs/api.md says that a receipt is made."""
    people = client.get(f"{url_of(conversation)}participants/").json()["results"]
    return {
        person["username"]
        for person in people
        if person["joined_seq"] < seq <= person["last_read_seq"]
    }


def test_newcomer_has_read_nothing_from_before(as_alice, bob, mallory, conversation):
    for _ in range(3):
        send(bob, conversation)

    add(as_alice, conversation, mallory.pk)
    send(bob, conversation)

    assert Participant.objects.get(user=mallory).joined_seq == 3
    assert readers_of(as_alice, conversation, 3) == {"bob"}
    messages.mark_conversation_as_read(mallory, conversation.pk)
    assert readers_of(as_alice, conversation, 3) == {"bob"}
    assert readers_of(as_alice, conversation, 4) == {"bob", "mallory"}


def test_those_there_from_the_start_joined_before_the_first_message(conversation):
    rows = conversation.participations.values_list("joined_seq", flat=True)
    assert list(rows) == [0, 0]


@pytest.mark.parametrize("who", ["alice", "bob"])
def test_add_again_is_harmless(who, as_bob, alice, bob, conversation):
    person = {"alice": alice, "bob": bob}[who]
    before = everything()

    response = add(as_bob, conversation, person.pk)

    assert (response.status_code, response.json()) == (
        200,
        detail_body(conversation, bob),
    )
    assert everything() == before


def test_add_again_of_one_since_suspended_is_harmless(as_alice, bob, conversation):
    users.deactivate_user(bob, actor=bob)
    before = everything()

    response = add(as_alice, conversation, bob.pk)

    assert response.status_code == 200
    assert everything() == before


def test_add_back_starts_a_new_stay(as_alice, alice, bob, mallory, conversation):
    conversations.add_participant(alice, conversation.pk, user_id=mallory.pk)
    remove(as_alice, conversation, bob.pk)
    send(alice, conversation)

    add(as_alice, conversation, bob.pk)

    assert names_in(conversation) == ["alice", "mallory", "bob"]
    again = Participant.objects.get(user=bob)
    assert (again.joined_seq, again.last_read_seq) == (1, 1)


@pytest.mark.parametrize("kind", ["unknown", "suspended", "deleted"])
def test_add_of_one_who_cannot_take_part_names_the_field(kind, as_bob, conversation):
    person = UserFactory(is_active=kind != "suspended")
    if kind == "deleted":
        users.delete_user(person, actor=person)
    user_id = uuid.uuid4() if kind == "unknown" else person.pk
    before = everything()

    response = add(as_bob, conversation, user_id)

    assert response.status_code == 400
    assert response.json() == {"user_id": [f"Unknown or inactive user: {user_id}."]}
    assert everything() == before


def test_add_to_a_full_conversation_names_the_field(
    settings, as_bob, mallory, conversation
):
    settings.MAX_PARTICIPANTS = 2
    before = everything()

    response = add(as_bob, conversation, mallory.pk)

    assert response.status_code == 400
    assert response.json() == {
        "user_id": ["A conversation has at most 2 participants."]
    }
    assert everything() == before


def test_add_again_to_a_full_conversation_is_harmless(
    settings, as_bob, alice, conversation
):
    settings.MAX_PARTICIPANTS = 2

    assert add(as_bob, conversation, alice.pk).status_code == 200


def test_add_takes_the_last_place(settings, as_bob, mallory, conversation):
    settings.MAX_PARTICIPANTS = 3

    assert add(as_bob, conversation, mallory.pk).status_code == 200


BAD_IDS = [
    ({}, "This field is required."),
    ({"user_id": None}, "This field may not be null."),
    ({"user_id": "x"}, "Must be a valid UUID."),
    ({"user_id": []}, "Must be a valid UUID."),
]


@pytest.mark.parametrize("action", ["add_participant", "remove_participant"])
@pytest.mark.parametrize(("data", "error"), BAD_IDS)
def test_add_or_remove_with_bad_input_names_the_field(
    data, error, action, as_alice, conversation
):
    before = everything()

    response = as_alice.post(f"{url_of(conversation)}{action}/", data)

    assert (response.status_code, response.json()) == (400, {"user_id": [error]})
    assert everything() == before


# --- Removing ------------------------------------------------------------------


def test_remove_by_the_owner(as_alice, alice, bob, group):
    since, before = Event.objects.last_id(), group.updated_at

    response = remove(as_alice, group, bob.pk)

    assert (response.status_code, response.json()) == (200, detail_body(group, alice))
    assert names_in(group) == ["alice", "mallory"]
    group.refresh_from_db()
    assert (group.owner, group.participant_count) == (alice, 2)
    assert group.updated_at > before
    assert events_after(since) == [
        event("participant.removed", group, user=bob, actor=alice)
    ]


def test_remove_notes_the_span_that_reached_them(as_alice, bob, group):
    first = Participant.objects.get(user=bob).first_event_id

    remove(as_alice, group, bob.pk)

    spans = PastParticipant.objects.values_list(
        "user_id", "conversation_id", "first_event_id", "last_event_id"
    )
    assert list(spans) == [(bob.pk, group.pk, first, Event.objects.last_id())]


def test_remove_ends_access_and_keeps_their_messages(
    as_alice, as_bob, alice, bob, group
):
    kept = send(bob, group)

    remove(as_alice, group, bob.pk)

    assert as_bob.get(url_of(group)).status_code == 404
    assert as_bob.get("/api/conversations/").json()["results"] == []
    assert as_bob.get("/api/messages/").json()["results"] == []
    assert Message.objects.get() == kept


def test_leave_answers_nothing(as_bob, alice, bob, group):
    since = Event.objects.last_id()

    response = remove(as_bob, group, bob.pk)

    assert (response.status_code, response.content) == (204, b"")
    assert names_in(group) == ["alice", "mallory"]
    assert events_after(since) == [
        event("participant.removed", group, user=bob, actor=bob)
    ]


def test_leave_by_the_owner_passes_ownership_to_the_longest_standing(
    as_alice, alice, bob, group
):
    since = Event.objects.last_id()

    response = remove(as_alice, group, alice.pk)

    group.refresh_from_db()
    assert response.status_code == 204
    assert (group.owner, group.participant_count) == (bob, 2)
    assert events_after(since) == [
        event("participant.removed", group, user=alice, actor=alice),
        event("conversation.updated", group, actor=alice),
    ]


def test_ownership_passes_by_time_of_joining_and_not_by_id(
    as_alice, alice, bob, mallory, group
):
    conversations.remove_participant(alice, group.pk, user_id=bob.pk)
    conversations.add_participant(alice, group.pk, user_id=bob.pk)

    remove(as_alice, group, alice.pk)

    group.refresh_from_db()
    assert group.owner == mallory


def test_a_new_owner_may_do_what_owners_may(as_alice, as_bob, alice, mallory, group):
    remove(as_alice, group, alice.pk)

    response = remove(as_bob, group, mallory.pk)

    assert response.status_code == 200
    assert response.json()["can"]["delete"] is True
    assert as_bob.delete(url_of(group)).status_code == 204


def test_a_former_owner_who_returns_is_no_owner(as_alice, as_bob, alice, bob, group):
    remove(as_alice, group, alice.pk)
    add(as_bob, group, alice.pk)

    assert remove(as_alice, group, bob.pk).status_code == 403
    assert as_alice.delete(url_of(group)).status_code == 403


def test_leave_by_the_last_one_leaves_nobody(as_alice, alice, bob, conversation):
    conversations.remove_participant(alice, conversation.pk, user_id=bob.pk)
    since = Event.objects.last_id()

    response = remove(as_alice, conversation, alice.pk)

    conversation.refresh_from_db()
    assert response.status_code == 204
    assert (conversation.owner, conversation.participant_count) == (None, 0)
    assert names_in(conversation) == []
    assert events_after(since) == [
        event("participant.removed", conversation, user=alice, actor=alice),
        event("conversation.updated", conversation, actor=alice),
    ]


@pytest.mark.parametrize("whom", ["owner", "another"])
def test_remove_of_others_by_no_owner_is_forbidden(whom, as_bob, alice, mallory, group):
    person = {"owner": alice, "another": mallory}[whom]
    before = everything()

    response = remove(as_bob, group, person.pk)

    assert response.status_code == 403
    assert response.json() == {
        "detail": "Only the owner can remove other participants.",
        "code": "permission_denied",
    }
    assert everything() == before


@pytest.mark.parametrize("whom", ["outsider", "unknown", "removed"])
def test_remove_of_one_who_takes_no_part_names_the_field(
    whom, as_alice, alice, bob, mallory, conversation
):
    start(mallory, bob)  # she takes part, but elsewhere
    if whom == "removed":
        conversations.remove_participant(bob, conversation.pk, user_id=bob.pk)
    people = {"outsider": mallory.pk, "unknown": uuid.uuid4(), "removed": bob.pk}
    user_id = people[whom]
    before = everything()

    response = remove(as_alice, conversation, user_id)

    assert response.status_code == 400
    assert response.json() == {"user_id": [f"{user_id} is not a participant."]}
    assert everything() == before


def test_remove_of_one_suspended_is_possible(as_alice, bob, conversation):
    users.deactivate_user(bob, actor=bob)

    assert remove(as_alice, conversation, bob.pk).status_code == 200
    assert names_in(conversation) == ["alice"]


# --- Listing -------------------------------------------------------------------


def test_participants_lists_the_longest_standing_first(as_bob, bob, group):
    send(bob, group)

    response = as_bob.get(f"{url_of(group)}participants/")

    joined = group.participations.select_related("user").order_by("id")
    assert [row.user.username for row in joined] == ["alice", "bob", "mallory"]
    assert response.status_code == 200
    assert response.json() == {
        "next": None,
        "previous": None,
        "results": [participant_body(row) for row in joined],
    }


def test_participants_pages_through_all(as_alice, alice, bob):
    made = start(alice, *crowd(120))
    start(bob, *User.objects.filter(username__startswith="guest"))
    url, shown = f"{url_of(made)}participants/", []

    while url:
        body = as_alice.get(url).json()
        shown.append([row["username"] for row in body["results"]])
        url = body["next"]

    assert [len(page) for page in shown] == [50, 50, 21]
    assert list(chain(*shown)) == names_in(made)


def test_participants_with_a_malformed_page_size_names_it(as_alice, conversation):
    response = as_alice.get(f"{url_of(conversation)}participants/?page_size=0")

    assert response.status_code == 400
    assert response.json() == {"page_size": ["Must be a whole number from 1 to 200."]}


def test_participants_tells_nothing_to_one_removed_meanwhile(
    as_bob, alice, bob, conversation
):
    removed = []

    def removing(execute, *args):
        found = execute(*args)
        if not removed:  # right after the first statement: does bob take part?
            removed.append(bob)
            conversations.remove_participant(alice, conversation.pk, user_id=bob.pk)
        return found

    with connection.execute_wrapper(removing):
        response = as_bob.get(f"{url_of(conversation)}participants/")

    assert response.json() == {"next": None, "previous": None, "results": []}
