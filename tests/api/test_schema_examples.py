"""The schema's examples are what the API takes and gives."""

import json
import re
from typing import Any

import pytest
from django.conf import settings

from chats.models import Conversation, User
from chats.serializers import examples
from tests.support.factories import UserFactory


def shape(body: Any) -> Any:
    """Return the keys at every depth; of a list what its first item has."""
    if isinstance(body, dict):
        return {key: shape(value) for key, value in body.items()}
    return [shape(body[0])] if isinstance(body, list) and body else None


def test_a_conversation_by_the_examples_gives_the_examples(anonymous, db):
    UserFactory(username="omar", user_id=examples.OMAR_ID)
    person = anonymous.post("/api/users/", examples.SIGN_UP)
    login = anonymous.post("/api/auth/login/", examples.LOGIN)
    token = anonymous.post("/api/auth/tokens/", examples.ISSUE_TOKEN)
    anonymous.logout()
    anonymous.credentials(HTTP_AUTHORIZATION=f"Token {token.json()['token']}")
    cursor = anonymous.get("/api/events/").json()["cursor"]
    begun = anonymous.post("/api/conversations/", examples.START)
    there = begun.json()["conversation_id"]
    sent = anonymous.post("/api/messages/", examples.SEND | {"conversation": there})
    mark = {"conversation_id": there}
    marked = anonymous.post("/api/messages/mark_conversation_as_read/", mark)
    detail = anonymous.get(f"/api/conversations/{there}/")
    listed = anonymous.get("/api/conversations/").json()["results"][0]
    people = anonymous.get(f"/api/conversations/{there}/participants/").json()
    events = anonymous.get("/api/events/", {"after": cursor}).json()
    events["events"] = events["events"][1:]  # the message's; before it the start

    for answer, status, example in (
        (person, 201, examples.USER),
        (login, 200, examples.USER),
        (token, 201, examples.NEW_TOKEN),
        (sent, 201, examples.MESSAGE),
        (marked, 200, examples.MARKED),
        (detail, 200, examples.CONVERSATION_DETAIL),
    ):
        assert (answer.status_code, shape(answer.json())) == (status, shape(example))
    assert shape(listed) == shape(examples.CONVERSATION)
    assert shape(people["results"][0]) == shape(examples.PARTICIPANT)
    assert shape(events) == shape(examples.EVENT_PAGE)
    assert sent.json()["message_body"] == examples.MESSAGE["message_body"]


def error_example(client, status: str) -> dict:
    schema = client.get("/api/schema/", HTTP_ACCEPT="application/json").json()
    answer = schema["paths"]["/api/messages/{message_id}/"]["put"]["responses"][status]
    assert answer["description"]
    return answer["content"]["application/json"]["example"]


def test_error_examples_are_given(
    client, anonymous, as_alice, as_bob, alice: User, conversation: Conversation
):
    body = {"conversation": conversation.pk, "message_body": "Hello"}
    one = f"/api/messages/{as_alice.post('/api/messages/', body).json()['message_id']}/"
    nobody = "/api/messages/01900000-0000-7000-8000-000000000000/"
    text = {"message_body": "Hi"}

    def put(who, path, body, **options) -> dict:
        return who.put(path, body, **options).json()

    plain = {"content_type": "text/plain"}
    assert put(as_alice, one, {"message_body": " "}) == error_example(client, "400")
    assert put(anonymous, one, text) == error_example(client, "401")
    assert put(as_alice, nobody, text) == error_example(client, "404")
    assert put(as_alice, one, "Hi", **plain) == error_example(client, "415")
    assert shape(put(as_bob, one, text)) == shape(error_example(client, "403"))
    as_alice.delete(one)
    assert put(as_alice, one, text)["code"] == error_example(client, "409")["code"]


def test_error_examples_have_documented_codes(client, db):
    page = (settings.BASE_DIR / "docs/api.md").read_text()
    for status in ("401", "403", "404", "409", "413", "415", "429", "503"):
        code = error_example(client, status)["code"]
        assert re.search(rf"^\|[^|]*{status}[^|]*\|[^|]*`{code}`", page, re.M), status


@pytest.mark.parametrize("name", ["auth_login", "messages_create", "users_create"])
def test_main_calls_have_an_example_of_their_body(client, db, name):
    schema = client.get("/api/schema/", HTTP_ACCEPT="application/json").json()
    [call] = [
        call
        for item in schema["paths"].values()
        for call in item.values()
        if call["operationId"] == name
    ]
    [media] = call["requestBody"]["content"].values()
    assert list(media["examples"]) == ["Example"]


def test_schema_speaks_to_its_readers(client, db):
    text = client.get("/api/schema/", HTTP_ACCEPT="application/json").content.decode()
    ids = re.findall(r'"operationId":\s*"(\w+)"', text)
    assert {"messages_list", "auth_login", "conversations_add_participant"} <= set(ids)
    acts = [name for name in ids if name.endswith("_create")]
    assert sorted(acts) == [
        "auth_tokens_create",
        "conversations_create",
        "messages_create",
        "users_create",
    ]
    names = set(json.loads(text)["components"]["schemas"])
    assert {"Conversation", "Message", "PublicUser", "SendMessageRequest"} <= names
    assert [name for name in names if name.endswith(("Enum", "Serializer"))] == []
    assert "``" not in text.replace("```", "")  # but for fences
