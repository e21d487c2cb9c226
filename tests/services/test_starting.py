"""Starting a conversation with a ``client_id``: however often, it is started once."""

import uuid

import pytest

from chats.models import Conversation, Event, StartedConversation
from chats.services import conversations, users
from tests.support.bodies import detail_body
from tests.support.events import everything
from tests.support.factories import send
from tests.support.routes import CONVERSATIONS as URL


def start(client, *people, client_id: uuid.UUID | None, title: str = "Plans"):
    ids = [str(person.pk) for person in people]
    body = {"participant_ids": ids, "title": title, "client_id": client_id}
    return client.post(URL, body)


@pytest.fixture
def client_id() -> uuid.UUID:
    return uuid.UUID("7c1d5e2a-4b8f-4c3d-9e6a-0f1b2c3d4e5f")


@pytest.fixture
def made(as_alice, bob, client_id) -> Conversation:
    """Of alice, with bob, started with the ``client_id``."""
    assert start(as_alice, bob, client_id=client_id).status_code == 201
    return Conversation.objects.get()


def test_retry_answers_the_first_conversation(as_alice, alice, bob, made, client_id):
    before = everything()

    response = start(as_alice, bob, client_id=client_id)

    assert (response.status_code, response.json()) == (200, detail_body(made, alice))
    assert everything() == before


def test_retry_may_name_the_same_people_otherwise(
    as_alice, alice, bob, made, client_id
):
    data = {
        "participant_ids": [bob.pk.hex, str(alice.pk), str(bob.pk)],
        "title": " Plans ",
        "client_id": client_id.hex,
    }

    response = as_alice.post(URL, data)

    assert response.status_code == 200
    assert response.json()["conversation_id"] == str(made.pk)


def test_retry_answers_the_conversation_as_it_is_now(
    as_alice, alice, bob, mallory, made, client_id
):
    conversations.rename_conversation(alice, made.pk, title="Other plans")
    conversations.add_participant(alice, made.pk, user_id=mallory.pk)
    conversations.remove_participant(bob, made.pk, user_id=bob.pk)
    users.deactivate_user(bob, actor=bob)
    send(alice, made)
    made.refresh_from_db()

    response = start(as_alice, bob, client_id=client_id)

    assert (response.status_code, response.json()) == (200, detail_body(made, alice))


@pytest.mark.parametrize("change", ["title", "people"])
def test_other_conversation_with_a_used_client_id_conflicts(
    change, as_alice, bob, mallory, made, client_id
):
    before = everything()
    people = [bob, mallory] if change == "people" else [bob]
    title = "Lunch" if change == "title" else "Plans"

    response = start(as_alice, *people, client_id=client_id, title=title)

    assert response.status_code == 409
    assert response.json() == {
        "detail": "This client_id was used for another conversation.",
        "code": "conflict",
    }
    assert everything() == before


@pytest.mark.parametrize("end", ["deleted", "left", "handed on"])
def test_retry_does_not_bring_back_what_is_over(
    end, as_alice, alice, bob, made, client_id
):
    if end == "deleted":
        conversations.delete_conversation(alice, made.pk)
    else:
        conversations.remove_participant(alice, made.pk, user_id=alice.pk)
    before = everything()

    response = start(as_alice, bob, client_id=client_id)

    assert response.status_code == 409
    assert response.json() == {
        "detail": "The conversation started with this client_id was deleted, or you "
        "left it.",
        "code": "conflict",
    }
    assert everything() == before


def test_client_id_is_the_callers_own(as_alice, as_bob, alice, bob, made, client_id):
    response = start(as_bob, alice, client_id=client_id)

    assert response.status_code == 201
    assert Conversation.objects.count() == 2


@pytest.mark.parametrize("absent", [{}, {"client_id": None}])
def test_without_a_client_id_every_call_starts_one(absent, as_alice, bob):
    for _ in range(2):
        as_alice.post(URL, {"participant_ids": [str(bob.pk)]} | absent)

    assert Conversation.objects.count() == 2
    assert not StartedConversation.objects.exists()


def test_refused_start_does_not_use_the_client_id_up(as_alice, bob, mallory, client_id):
    users.deactivate_user(bob, actor=bob)

    refused = start(as_alice, bob, client_id=client_id)
    response = start(as_alice, mallory, client_id=client_id)

    assert (refused.status_code, response.status_code) == (400, 201)


@pytest.mark.parametrize("wrong", ["x", "", ["a"]])
def test_malformed_client_id_is_400(wrong, as_alice, bob):
    response = as_alice.post(
        URL, {"participant_ids": [str(bob.pk)], "client_id": wrong}
    )

    assert response.status_code == 400
    assert response.json() == {"client_id": ["Must be a valid UUID."]}
    assert not Event.objects.exists()


def test_client_id_is_not_shown_to_others(as_bob, made, client_id):
    for url in (URL, f"{URL}{made.pk}/", "/api/events/?after=1-0"):
        response = as_bob.get(url)
        assert str(made.pk) in response.content.decode()
        assert str(client_id) not in response.content.decode()


def test_deleted_account_leaves_no_client_id(alice, made):
    users.delete_user(alice, actor=alice)

    assert not StartedConversation.objects.exists()
