"""What no honest client sends: answered by a 4xx that says why, and not stored."""

import base64
import json
import re
from string import Template
from wsgiref.util import setup_testing_defaults

import pytest
from django.apps import apps
from django.core import serializers
from rest_framework.test import APIClient

from chats.models import AccessToken
from chats.services.messages import send_message
from messaging_app.wsgi import application
from tests.support.factories import PASSWORD, start
from tests.support.routes import api_calls

JSON = "application/json"
NOBODY = "01900000-0000-7000-8000-000000000000"
SURROGATE = "\ud800"
NUL = "a\0b"
DEEP = "[" * 100_000 + "]" * 100_000
HUGE = 10**400
MANY = list(range(5000))
DETAIL = "detail"
BOTH = "conversation message_body"

USERS = "/api/users/"
ME = "/api/users/me/"
CONVERSATIONS = "/api/conversations/"
CONVERSATION = "/api/conversations/$conversation/"
FOREIGN = "/api/conversations/$foreign/"
ADD = f"{CONVERSATION}add_participant/"
REMOVE = f"{CONVERSATION}remove_participant/"
PARTICIPANTS = f"{CONVERSATION}participants/"
TYPING = f"{CONVERSATION}typing/"
MESSAGES = "/api/messages/"
MESSAGE = "/api/messages/$message/"
MARK = f"{MESSAGE}mark_as_read/"
MARK_ALL = "/api/messages/mark_conversation_as_read/"
OF_ONE = "/api/messages/by_conversation/"
EVENTS = "/api/events/"
LOGIN = "/api/auth/login/"
LOGOUT = "/api/auth/logout/"
CHANGE = "/api/auth/password/change/"
RESET = "/api/auth/password/reset/"
CONFIRM = "/api/auth/password/reset/confirm/"
TOKENS = "/api/auth/tokens/"
SESSIONS = "/api/auth/sessions/"
TOKEN = "/api/auth/tokens/$token/"

PERSON = {
    "username": "carol",
    "email": "carol@example.org",
    "password": PASSWORD,
    "first_name": "Carol",
    "last_name": "Jones",
}
LETTER = {"uid": "x", "token": "x", "new_password": "an0ther-Passw0rd"}
NAME = {"name": "x"}
SEND = {"conversation": "$conversation", "message_body": "Hello"}


@pytest.fixture
def world(alice, bob, mallory, conversation) -> dict[str, str]:
    """What there is, by the names that the cases below use."""
    foreign = start(mallory, bob)
    start(alice)
    message, _ = send_message(alice, conversation.pk, message_body="Mine")
    of_bob, _ = send_message(bob, conversation.pk, message_body="Bob's")
    hidden, _ = send_message(mallory, foreign.pk, message_body="Hidden")
    token, _ = AccessToken.objects.issue(alice, "mine", None)
    AccessToken.objects.issue(alice, "mine too", None)
    of_mallory, _ = AccessToken.objects.issue(mallory, "hers", None)
    return {
        "conversation": str(conversation.pk),
        "foreign": str(foreign.pk),
        "message": str(message.pk),
        "of_bob": str(of_bob.pk),
        "hidden": str(hidden.pk),
        "token": str(token.pk),
        "of_mallory": str(of_mallory.pk),
        "alice": str(alice.pk),
        "bob": str(bob.pk),
        "mallory": str(mallory.pk),
        "nobody": NOBODY,
    }


@pytest.fixture
def hostile(as_alice) -> APIClient:
    """Alice's client, which answers 500 where the server would."""
    as_alice.raise_request_exception = False
    return as_alice


def everything() -> str:
    """Return every row there is, of every table of the app."""
    models = apps.get_app_config("chats").get_models()
    querysets = [model.objects.order_by("pk") for model in models]
    return str([serializers.serialize("python", rows) for rows in querysets])


def fill(template: str, world: dict[str, str]) -> str:
    return Template(template).safe_substitute(world)


# --- Bodies -------------------------------------------------------------------

# Method, path, body, status, and the fields at fault.
BODIES = [
    # Signing up
    ("POST", USERS, PERSON | {"username": ["carol"]}, 400, "username"),
    ("POST", USERS, PERSON | {"username": True}, 400, "username"),
    ("POST", USERS, PERSON | {"username": NUL}, 400, "username"),
    ("POST", USERS, PERSON | {"username": SURROGATE}, 400, "username"),
    ("POST", USERS, PERSON | {"username": "a" * 100_000}, 400, "username"),
    ("POST", USERS, PERSON | {"username": "a\nb"}, 400, "username"),
    ("POST", USERS, PERSON | {"username": "\u202e\u200b"}, 400, "username"),
    ("POST", USERS, PERSON | {"email": {"a": 1}}, 400, "email"),
    ("POST", USERS, PERSON | {"email": f"{NUL}@example.org"}, 400, "email"),
    ("POST", USERS, PERSON | {"email": f"a@{SURROGATE}.org"}, 400, "email"),
    ("POST", USERS, PERSON | {"email": "a@b.cd\r\nBcc: e@vil"}, 400, "email"),
    ("POST", USERS, PERSON | {"email": "a" * 300 + "@b.cd"}, 400, "email"),
    ("POST", USERS, PERSON | {"first_name": NUL}, 400, "first_name"),
    ("POST", USERS, PERSON | {"first_name": []}, 400, "first_name"),
    ("POST", USERS, PERSON | {"last_name": "a" * 151}, 400, "last_name"),
    ("POST", USERS, PERSON | {"last_name": SURROGATE}, 400, "last_name"),
    ("POST", USERS, PERSON | {"phone_number": "1" * 33}, 400, "phone_number"),
    ("POST", USERS, PERSON | {"phone_number": NUL}, 400, "phone_number"),
    ("POST", USERS, PERSON | {"phone_number": "٣٣٣٣٣"}, 400, "phone_number"),
    ("POST", USERS, PERSON | {"role": ["guest"]}, 400, "role"),
    ("POST", USERS, PERSON | {"role": {}}, 400, "role"),
    ("POST", USERS, PERSON | {"role": "admin"}, 400, "role"),
    ("POST", USERS, PERSON | {"role": NUL}, 400, "role"),
    ("POST", USERS, PERSON | {"password": NUL * 5}, 400, "password"),
    ("POST", USERS, PERSON | {"password": SURROGATE * 9}, 400, "password"),
    ("POST", USERS, PERSON | {"password": [PASSWORD]}, 400, "password"),
    ("POST", USERS, PERSON | {"password": HUGE}, 400, "password"),
    ("POST", USERS, PERSON | {"username": "bob"}, 400, "username"),
    # Accounts
    ("PATCH", ME, {"first_name": NUL}, 400, "first_name"),
    ("PATCH", ME, {"last_name": {"$ne": 1}}, 400, "last_name"),
    ("PATCH", ME, {"email": "BOB@EXAMPLE.ORG"}, 400, "email"),
    ("PATCH", ME, {"email": SURROGATE}, 400, "email"),
    ("PATCH", ME, {"role": 1}, 400, "role"),
    ("PATCH", ME, {"role": "admin"}, 403, DETAIL),
    ("PATCH", ME, {"password": "x"}, 400, "password"),
    ("PATCH", ME, {"username": NUL}, 400, "username"),
    ("PUT", ME, [], 400, "non_field_errors"),
    ("PUT", ME, None, 400, "non_field_errors"),
    ("PATCH", f"{USERS}$bob/", {"first_name": "Eve"}, 403, DETAIL),
    ("PUT", f"{USERS}$bob/", {}, 403, DETAIL),
    ("DELETE", f"{USERS}$bob/", {}, 403, DETAIL),
    ("PATCH", f"{USERS}$nobody/", {"first_name": "Eve"}, 404, DETAIL),
    ("DELETE", USERS, {}, 405, DETAIL),
    # Signing in
    ("POST", LOGIN, {"username": {}, "password": "x"}, 400, "username"),
    ("POST", LOGIN, {"username": NUL, "password": "x"}, 400, "username"),
    ("POST", LOGIN, {"username": SURROGATE, "password": "x"}, 400, "username"),
    ("POST", LOGIN, {"email": "a" * 255, "password": "x"}, 400, "email"),
    ("POST", LOGIN, {"username": "alice", "password": NUL}, 400, "password"),
    ("POST", LOGIN, {"username": "alice", "password": SURROGATE}, 400, "password"),
    ("POST", LOGIN, {"username": "alice", "password": "x" * 10_000}, 400, "password"),
    ("POST", LOGIN, {"username": "alice", "password": False}, 400, "password"),
    ("POST", LOGIN, {"username": None, "password": "x"}, 400, "username"),
    ("POST", LOGIN, {}, 400, "password"),
    ("POST", LOGIN, "alice", 400, "non_field_errors"),
    ("GET", LOGOUT, {}, 405, DETAIL),
    # Passwords
    ("POST", CHANGE, {"old_password": 1, "new_password": []}, 400, "new_password"),
    ("POST", CHANGE, LETTER | {"old_password": NUL}, 400, "old_password"),
    ("POST", CHANGE, {"old_password": "x", "new_password": NUL}, 400, "new_password"),
    ("POST", CHANGE, [1, 2], 400, "non_field_errors"),
    ("POST", RESET, {"email": [1]}, 400, "email"),
    ("POST", RESET, {"email": f"a@b.cd{NUL}"}, 400, "email"),
    ("POST", RESET, {"email": f"{SURROGATE}@b.cd"}, 400, "email"),
    ("POST", RESET, 5, 400, "non_field_errors"),
    ("POST", CONFIRM, LETTER, 400, "token"),
    ("POST", CONFIRM, LETTER | {"uid": NUL}, 400, "uid"),
    ("POST", CONFIRM, LETTER | {"uid": SURROGATE}, 400, "uid"),
    ("POST", CONFIRM, LETTER | {"uid": "/w=="}, 400, "token"),
    ("POST", CONFIRM, LETTER | {"uid": "x" * 101}, 400, "uid"),
    ("POST", CONFIRM, LETTER | {"token": SURROGATE}, 400, "token"),
    ("POST", CONFIRM, LETTER | {"token": "-"}, 400, "token"),
    ("POST", CONFIRM, LETTER | {"token": {"a": "b"}}, 400, "token"),
    ("POST", CONFIRM, True, 400, "non_field_errors"),
    # Tokens
    ("POST", TOKENS, {"name": NUL}, 400, "name"),
    ("POST", TOKENS, {"name": SURROGATE}, 400, "name"),
    ("POST", TOKENS, {"name": " \n"}, 400, "name"),
    ("POST", TOKENS, {"name": "a" * 101}, 400, "name"),
    ("POST", TOKENS, NAME | {"expires_at": HUGE}, 400, "expires_at"),
    ("POST", TOKENS, NAME | {"expires_at": []}, 400, "expires_at"),
    ("POST", TOKENS, NAME | {"expires_at": "0001-01-01T00:00+14"}, 400, "expires_at"),
    ("POST", TOKENS, NAME | {"expires_at": "9999-12-31T23:59-14"}, 400, "expires_at"),
    ("POST", TOKENS, NAME | {"expires_at": "2030-02-30T00:00Z"}, 400, "expires_at"),
    ("POST", TOKENS, {"name": "x", "password": NUL}, 400, "password"),
    ("POST", TOKENS, {"name": "x", "username": "bob"}, 400, "password"),
    ("POST", TOKENS, [{"name": "x"}], 400, "non_field_errors"),
    ("DELETE", f"{TOKENS}$of_mallory/", {}, 404, DETAIL),
    ("DELETE", f"{TOKENS}$nobody/", {}, 404, DETAIL),
    ("PATCH", TOKEN, {"name": "y"}, 405, DETAIL),
    # Conversations
    ("POST", CONVERSATIONS, {}, 400, "participant_ids"),
    ("POST", CONVERSATIONS, {"participant_ids": None}, 400, "participant_ids"),
    ("POST", CONVERSATIONS, {"participant_ids": "$bob"}, 400, "participant_ids"),
    ("POST", CONVERSATIONS, {"participant_ids": {"0": "$bob"}}, 400, "participant_ids"),
    ("POST", CONVERSATIONS, {"participant_ids": ["$nobody"]}, 400, "participant_ids"),
    ("POST", CONVERSATIONS, {"participant_ids": ["bob"]}, 400, "participant_ids"),
    ("POST", CONVERSATIONS, {"participant_ids": [None]}, 400, "participant_ids"),
    ("POST", CONVERSATIONS, {"participant_ids": [["$bob"]]}, 400, "participant_ids"),
    ("POST", CONVERSATIONS, {"participant_ids": [-1]}, 400, "participant_ids"),
    ("POST", CONVERSATIONS, {"participant_ids": [True]}, 400, "participant_ids"),
    ("POST", CONVERSATIONS, {"participant_ids": [1.5]}, 400, "participant_ids"),
    ("POST", CONVERSATIONS, {"participant_ids": [HUGE]}, 400, "participant_ids"),
    ("POST", CONVERSATIONS, {"participant_ids": [NUL]}, 400, "participant_ids"),
    ("POST", CONVERSATIONS, {"participant_ids": [SURROGATE]}, 400, "participant_ids"),
    ("POST", CONVERSATIONS, {"participant_ids": MANY}, 400, "participant_ids"),
    ("POST", CONVERSATIONS, {"participant_ids": [], "title": NUL}, 400, "title"),
    ("POST", CONVERSATIONS, {"participant_ids": [], "title": SURROGATE}, 400, "title"),
    ("POST", CONVERSATIONS, {"participant_ids": [], "title": "a" * 201}, 400, "title"),
    ("POST", CONVERSATIONS, {"participant_ids": [], "title": {}}, 400, "title"),
    ("POST", CONVERSATIONS, {"participant_ids": [], "title": None}, 400, "title"),
    ("POST", CONVERSATIONS, ["$bob"], 400, "non_field_errors"),
    ("PATCH", CONVERSATION, {"title": "a" * 201}, 400, "title"),
    ("PATCH", CONVERSATION, {"title": NUL}, 400, "title"),
    ("PUT", CONVERSATION, {}, 400, "title"),
    ("PUT", CONVERSATION, "title", 400, "non_field_errors"),
    ("PATCH", FOREIGN, {"title": "Mine now"}, 404, DETAIL),
    ("DELETE", FOREIGN, {}, 404, DETAIL),
    ("DELETE", f"{CONVERSATIONS}$nobody/", {}, 404, DETAIL),
    ("POST", ADD, {}, 400, "user_id"),
    ("POST", ADD, {"user_id": "$nobody"}, 400, "user_id"),
    ("POST", ADD, {"user_id": "bob"}, 400, "user_id"),
    ("POST", ADD, {"user_id": ["$mallory"]}, 400, "user_id"),
    ("POST", ADD, {"user_id": HUGE}, 400, "user_id"),
    ("POST", ADD, {"user_id": SURROGATE}, 400, "user_id"),
    ("POST", ADD, [], 400, "non_field_errors"),
    ("POST", f"{FOREIGN}add_participant/", {"user_id": "$alice"}, 404, DETAIL),
    ("POST", REMOVE, {"user_id": None}, 400, "user_id"),
    ("POST", REMOVE, {"user_id": "$mallory"}, 400, "user_id"),
    ("POST", REMOVE, {"user_id": "$nobody"}, 400, "user_id"),
    ("POST", f"{FOREIGN}remove_participant/", {"user_id": "$bob"}, 404, DETAIL),
    ("GET", f"{FOREIGN}participants/", {}, 404, DETAIL),
    ("POST", PARTICIPANTS, {"user_id": "$mallory"}, 405, DETAIL),
    ("POST", f"{FOREIGN}typing/", {}, 404, DETAIL),
    ("PUT", TYPING, {}, 405, DETAIL),
    # Messages
    ("POST", MESSAGES, None, 400, "non_field_errors"),
    ("POST", MESSAGES, SEND | {"message_body": ""}, 400, "message_body"),
    ("POST", MESSAGES, SEND | {"message_body": " \n\t\u2003"}, 400, "message_body"),
    ("POST", MESSAGES, SEND | {"message_body": None}, 400, "message_body"),
    ("POST", MESSAGES, SEND | {"message_body": 5}, 400, "message_body"),
    ("POST", MESSAGES, SEND | {"message_body": ["Hello"]}, 400, "message_body"),
    ("POST", MESSAGES, SEND | {"message_body": {"html": "x"}}, 400, "message_body"),
    ("POST", MESSAGES, SEND | {"message_body": "a" * 10_001}, 400, "message_body"),
    ("POST", MESSAGES, SEND | {"message_body": NUL}, 400, "message_body"),
    ("POST", MESSAGES, SEND | {"message_body": SURROGATE}, 400, "message_body"),
    ("POST", MESSAGES, {"conversation": "$conversation"}, 400, "message_body"),
    ("POST", MESSAGES, {"message_body": "Hello"}, 400, "conversation"),
    ("POST", MESSAGES, SEND | {"conversation": "$foreign"}, 400, "conversation"),
    ("POST", MESSAGES, SEND | {"conversation": "$nobody"}, 400, "conversation"),
    ("POST", MESSAGES, SEND | {"conversation": "$message"}, 400, "conversation"),
    ("POST", MESSAGES, SEND | {"conversation": {}}, 400, "conversation"),
    ("POST", MESSAGES, SEND | {"conversation": NUL}, 400, "conversation"),
    ("POST", MESSAGES, SEND | {"client_id": "not-a-uuid"}, 400, "client_id"),
    ("POST", MESSAGES, SEND | {"client_id": ["$nobody"]}, 400, "client_id"),
    ("POST", MESSAGES, SEND | {"client_id": HUGE}, 400, "client_id"),
    ("POST", MESSAGES, {"content": NUL, "conversation": "x"}, 400, BOTH),
    ("POST", MESSAGES, [SEND], 400, "non_field_errors"),
    ("PATCH", MESSAGE, {"message_body": ""}, 400, "message_body"),
    ("PATCH", MESSAGE, {"message_body": NUL}, 400, "message_body"),
    ("PUT", MESSAGE, {}, 400, "message_body"),
    ("PUT", MESSAGE, 1.5, 400, "non_field_errors"),
    ("PATCH", f"{MESSAGES}$of_bob/", {"message_body": "Forged"}, 403, DETAIL),
    ("PATCH", f"{MESSAGES}$hidden/", {"message_body": "Forged"}, 404, DETAIL),
    ("DELETE", f"{MESSAGES}$hidden/", {}, 404, DETAIL),
    ("DELETE", f"{MESSAGES}$nobody/", {}, 404, DETAIL),
    ("POST", f"{MESSAGES}$hidden/mark_as_read/", {}, 404, DETAIL),
    ("PATCH", f"{MESSAGES}$nobody/mark_as_read/", {}, 404, DETAIL),
    ("PUT", MARK, {}, 405, DETAIL),
    ("POST", MARK_ALL, {}, 400, "conversation_id"),
    ("POST", MARK_ALL, {"conversation_id": "$foreign"}, 400, "conversation_id"),
    ("POST", MARK_ALL, {"conversation_id": "$nobody"}, 400, "conversation_id"),
    ("POST", MARK_ALL, {"conversation_id": 0.5}, 400, "conversation_id"),
    ("POST", MARK_ALL, {"conversation_id": SURROGATE}, 400, "conversation_id"),
    ("POST", MARK_ALL, "all", 400, "non_field_errors"),
    ("POST", EVENTS, {"type": "message.created"}, 405, DETAIL),
]  # fmt: skip


@pytest.mark.parametrize("path", dict.fromkeys(path for _, path, *_ in BODIES))
def test_hostile_bodies_are_refused(hostile, world, path):
    before = everything()
    for method, of, body, status, field in BODIES:
        if of == path:
            raw = fill(json.dumps(body), world)
            url = fill(path, world)
            response = hostile.generic(method, url, raw, content_type=JSON)
            answer = (response.status_code, set(response.json()))
            assert answer == (status, keys(field)), (method, raw[:200])
    assert everything() == before


def keys(field: str) -> set[str]:
    return {"detail", "code"} if field == DETAIL else set(field.split())


def test_hostile_bodies_reach_every_route_that_takes_one():
    reached = {(method, normal(path)) for method, path, *_ in BODIES}
    takes_none = {
        ("POST", LOGOUT),
        ("DELETE", ME),
        ("POST", normal(TYPING)),
        ("DELETE", normal(TOKEN)),
        ("DELETE", f"{SESSIONS}{{id}}/"),
        ("POST", f"{SESSIONS}revoke_others/"),
    }
    routes = {(method, normal(path)) for method, path in api_calls()}
    writes = {(method, path) for method, path in routes if method != "GET"}
    assert writes - takes_none - reached == set()


def normal(path: str) -> str:
    return re.sub(rf"\$\w+|{NOBODY}", "{id}", path)


# --- What is no JSON, or too much of it ---------------------------------------


@pytest.mark.parametrize(
    "raw",
    [
        b"{",
        b"{'title': 'x'}",
        b'{"title": "x"',
        b'{"title": "x"} x',
        b'{"title": NaN}',
        b'{"title": -Infinity}',
        b'{"title": "\xff"}',
        b'{"title": "\xed\xa0\x80"}',
        b"\xef\xbb\xbf{}",
        '{"title": "x"}'.encode("utf-16"),
        b'{"title": "\x00"}',
        b"\x00",
        b'{"title": ' + b"1" * 5000 + b"}",
        DEEP.encode(),
        b'{"title": ' + DEEP.encode() + b"}",
        b'{"a":' * 100_000,
    ],
    ids=range(16),
)
def test_malformed_json_is_refused(hostile, world, raw):
    before = everything()
    for path in (USERS, CONVERSATIONS, MESSAGES, LOGIN, TOKENS, MARK_ALL, ADD):
        response = hostile.generic("POST", fill(path, world), raw, content_type=JSON)
        assert response.status_code == 400
        assert response.json()["detail"].startswith("JSON parse error")
        assert response.json()["code"] == "parse_error"
    assert everything() == before


@pytest.mark.parametrize(
    ("body", "is_too_deep"),
    [
        ('{"title": ' + "[" * 31 + "]" * 31 + "}", False),
        ('{"title": ' + "[" * 32 + "]" * 32 + "}", True),
        ('{"title": "' + "[" * 500 + r"\"{" + '"}', False),
        ('{"a": [' + "[]," * 500 + "[]]}", False),
    ],
    ids=["deepest", "deeper", "in a text", "wide"],
)
def test_json_is_refused_by_depth_and_not_by_brackets(
    hostile, world, body, is_too_deep
):
    response = hostile.generic("POST", CONVERSATIONS, body, content_type=JSON)
    too_deep = {
        "detail": "JSON parse error - nested too deeply.",
        "code": "parse_error",
    }
    assert response.status_code == 400
    assert (response.json() == too_deep) is is_too_deep
    assert ("participant_ids" in response.json()) is not is_too_deep


def test_json_depth_is_a_setting(hostile, world, settings):
    settings.MAX_JSON_DEPTH = 4
    body = '{"title": [[[[]]]]}'
    response = hostile.generic("POST", CONVERSATIONS, body, content_type=JSON)
    assert response.json()["code"] == "parse_error"


@pytest.mark.parametrize("path", [CONVERSATIONS, MESSAGES, RESET, USERS])
def test_body_of_more_than_a_mebibyte_is_refused(hostile, world, path):
    before = everything()
    raw = json.dumps({"message_body": "a" * 1024 * 1024})
    response = hostile.generic("POST", path, raw, content_type=JSON)
    assert response.status_code == 413
    assert response.json() == {"detail": "The body is too large.", "code": "too_large"}
    assert everything() == before


@pytest.mark.parametrize(
    "content_type",
    [
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "multipart/form-data",
        "text/plain",
        "text/html",
        "application/xml",
        "application/json, text/plain",
        "application/vnd.api+json",
        "json",
        "/",
    ],
)
def test_body_of_another_type_is_refused(hostile, world, content_type):
    before = everything()
    raw = fill(json.dumps(SEND), world)
    response = hostile.generic("POST", MESSAGES, raw, content_type=content_type)
    assert response.status_code == 415
    assert response.json() == {
        "detail": f'Unsupported media type "{content_type}" in request.',
        "code": "unsupported_media_type",
    }
    assert everything() == before


# --- Queries ------------------------------------------------------------------

LISTS = [USERS, CONVERSATIONS, MESSAGES, TOKENS, PARTICIPANTS]
TIMES = [
    "yesterday",
    "2026-13-01T00:00:00Z",
    "2026-02-30",
    "0001-01-01T00:00:00%2B14:00",
    "9999-12-31T23:59:59-14:00",
    "10000-01-01T00:00:00Z",
    "-1",
    "%00",
    "1e400",
]
QUERIES = [
    *((MESSAGES, f"{name}={time}", name) for time in TIMES
      for name in ("sent_after", "sent_before")),
    *((MESSAGES, f"conversation_id=$conversation&{name}={value}", name)
      for name in ("after_seq", "before_seq")
      for value in ("-1", "1.5", "abc", "9" * 19, "9" * 5000, "%00", "1e3", "NaN")),
    (MESSAGES, "after_seq=1", "after_seq"),
    (MESSAGES, "before_seq=1", "before_seq"),
    (MESSAGES, "conversation_id=1", "conversation_id"),
    (MESSAGES, "conversation_id=%00", "conversation_id"),
    (MESSAGES, "conversation_id=$conversation'", "conversation_id"),
    (MESSAGES, "sender=alice", "sender"),
    (MESSAGES, "sender=%ED%A0%80", "sender"),
    (MESSAGES, "unread=yes", "unread"),
    (MESSAGES, "unread=%00", "unread"),
    (MESSAGES, "ordering=sent_at", "ordering"),
    (MESSAGES, "ordering=seq,-seq", "ordering"),
    (MESSAGES, "search=%00", "search"),
    (MESSAGES, "search=" + "a" * 201, "search"),
    (OF_ONE, "", "conversation_id"),
    (OF_ONE, "conversation_id=", "conversation_id"),
    (OF_ONE, "conversation_id=x", "conversation_id"),
    (OF_ONE, "conversation_id=$conversation&conversation_id=$conversation",
     "conversation_id"),
    (OF_ONE, "conversation_id=$conversation&after_seq=-1", "after_seq"),
    (OF_ONE, "conversation_id=$conversation&page_size=0", "page_size"),
    (CONVERSATIONS, "participant=bob", "participant"),
    (CONVERSATIONS, "participant=%00", "participant"),
    (CONVERSATIONS, "unread=1", "unread"),
    (CONVERSATIONS, "search=%00", "search"),
    (CONVERSATIONS, "search=" + "a" * 60_000, "search"),
    (USERS, "role=owner", "role"),
    (USERS, "role=%00", "role"),
    (USERS, "is_online=maybe", "is_online"),
    (USERS, "is_online=True", "is_online"),
    (USERS, "search=%00", "search"),
    (USERS, "role=guest&role=host", "role"),
    (USERS, "cursor=", "cursor"),
    (USERS, "%00=1", "\0"),
    (USERS, "%ED%A0%80=1", "\ufffd" * 3),
    (USERS, "=&&", ""),
    (USERS, "search=" + "%25" * 60_000, "search"),
    (EVENTS, "after=x", "after"),
    (EVENTS, "after=", "after"),
    (EVENTS, "after=-1", "after"),
    (EVENTS, "after=%00", "after"),
    (EVENTS, "after=1-%D9%A3", "after"),
    (EVENTS, "after=1-" + "9" * 19, "after"),
    (EVENTS, "after=1-1&limit=0", "limit"),
    (EVENTS, "limit=1001", "limit"),
    (EVENTS, "limit=1&limit=2", "limit"),
    (EVENTS, "limit=-1", "limit"),
    (EVENTS, "limit=" + "9" * 5000, "limit"),
]  # fmt: skip


@pytest.mark.parametrize("path", dict.fromkeys(path for path, *_ in QUERIES))
def test_hostile_queries_are_refused(hostile, world, path):
    for of, query, field in QUERIES:
        if of == path:
            response = hostile.get(fill(f"{path}?{query}", world))
            answer = (response.status_code, set(response.json()))
            assert answer == (400, {field}), query[:60]


@pytest.mark.parametrize("path", [*LISTS, OF_ONE, EVENTS])
def test_query_of_too_many_parameters_is_refused(hostile, world, path):
    query = "&".join(["a=1"] * 1001)
    response = hostile.get(fill(f"{path}?{query}", world))
    assert response.status_code == 400
    assert response.json() == {
        "detail": "The request is malformed.",
        "code": "parse_error",
    }


ODD = [
    (USERS, "search=%zz%"),
    (USERS, "search=%ff%fe"),
    (USERS, "search=%ED%A0%80"),
    (USERS, "search=%25_%5C%27%22--"),
    (CONVERSATIONS, "search=%F0%9F%92%A9"),
    (MESSAGES, "conversation_id=$foreign"),
    (MESSAGES, "conversation_id=$nobody"),
    (MESSAGES, "sender=$nobody"),
    (MESSAGES, "sent_after=9999-12-31T23:59:59Z"),
    (MESSAGES, "sent_before=0001-01-01T00:00:00Z"),
    (MESSAGES, "conversation_id=$conversation&after_seq=9223372036854775807"),
    (MESSAGES, "conversation_id=$conversation&before_seq=0"),
    (OF_ONE, "conversation_id=%20$conversation%20"),
    (OF_ONE, "conversation_id=urn:uuid:$conversation"),
]


def test_odd_queries_are_answered(hostile, world):
    for path, query in ODD:
        response = hostile.get(fill(f"{path}?{query}", world))
        assert response.status_code == 200, (path, query)


# --- Cursors ------------------------------------------------------------------


def encode(payload: object) -> str:
    """Return a cursor of this content: bytes and text as they are, else as JSON."""
    text = payload if isinstance(payload, bytes | str) else json.dumps(payload)
    raw = text.encode() if isinstance(text, str) else text
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


PAGED = [
    USERS,
    CONVERSATIONS,
    MESSAGES,
    TOKENS,
    PARTICIPANTS,
    f"{MESSAGES}?conversation_id=$conversation",
    f"{OF_ONE}?conversation_id=$conversation&ordering=seq",
]


FORGED = [
    "x",
    "é",
    "%00",
    "====",
    "a" * 5001,
    encode("text"),
    encode(b"\xff\xfe\xfd"),
    encode("[0]".encode("utf-16")),
    encode("null"),
    encode("1"),
    encode('"0"'),
    encode({"0": 1}),
    encode([]),
    encode([0]),
    encode([0, "-sent_at,-message_id"]),
    encode([0, None]),
    encode("[NaN]"),
    encode("[" + "1" * 5000 + "]"),
    encode(DEEP),
]
# In the place of any part of a cursor; True is 1, which goes backward.
EVIL = [True, None, 2, 1.5, [], {}, ["a"], SURROGATE, NUL, "é" * 5000]
TIMES_IN_CURSORS = [
    "",
    "never",
    "2026-02-30T00:00:00Z",
    "2026-01-01",
    "2026-01-01T00:00:00",
    "0001-01-01T00:00:00+14:00",
    "9999-12-31T23:59:59-14:00",
]
NUMBERS_IN_CURSORS = ["", "one", "1.5", "1e3", "9" * 19, "9" * 5000]


@pytest.mark.parametrize("path", PAGED)
def test_forged_cursor_is_refused(hostile, world, path):
    for cursor in FORGED:
        assert_invalid(hostile, fill(path, world), cursor)


@pytest.mark.parametrize("path", PAGED)
def test_cursor_changed_in_any_part_is_refused(hostile, world, path):
    url = fill(path, world)
    parts = parts_of_first_page(hostile, url)
    for place in range(len(parts)):
        before, after = parts[:place], parts[place + 1 :]
        assert_invalid(hostile, url, encode(before))
        for value in EVIL[place == 0 :]:
            assert_invalid(hostile, url, encode([*before, value, *after]))
    assert_invalid(hostile, url, encode([*parts, "one more"]))


@pytest.mark.parametrize("path", [CONVERSATIONS, MESSAGES, TOKENS])
def test_cursor_of_an_impossible_time_is_refused(hostile, world, path):
    direction, order, _, *rest = parts_of_first_page(hostile, path)
    for time in TIMES_IN_CURSORS:
        assert_invalid(hostile, path, encode([direction, order, time, *rest]))


@pytest.mark.parametrize(
    "path", [PARTICIPANTS, f"{MESSAGES}?conversation_id=$conversation"]
)
def test_cursor_of_an_impossible_number_is_refused(hostile, world, path):
    url = fill(path, world)
    direction, order, _ = parts_of_first_page(hostile, url)
    for number in NUMBERS_IN_CURSORS:
        assert_invalid(hostile, url, encode([direction, order, number]))


def test_cursor_of_another_list_is_refused(hostile, world):
    foreign = encode(parts_of_first_page(hostile, MESSAGES))
    for path in (USERS, CONVERSATIONS, TOKENS, PARTICIPANTS):
        assert_invalid(hostile, fill(path, world), foreign)


def parts_of_first_page(client: APIClient, url: str) -> list:
    """Return the content of the cursor behind the first result."""
    link = client.get(f"{url}{'&' if '?' in url else '?'}page_size=1").json()["next"]
    cursor = re.search(r"cursor=([\w-]+)", link)[1]
    return json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))


def assert_invalid(client: APIClient, url: str, cursor: str) -> None:
    response = client.get(f"{url}{'&' if '?' in url else '?'}cursor={cursor}")
    answer = (response.status_code, response.json())
    assert answer == (400, {"cursor": ["Invalid cursor."]}), cursor


# --- Paths and headers --------------------------------------------------------


@pytest.mark.parametrize(
    "part",
    [
        "1",
        "%00",
        "x" * 10_000,
        "%ff",
        "%F0%9F%92%A9",
        "..",
        "$message%00",
        "$message'--",
        "{$message}",
        "urn:uuid:$message",
        "01a209fafbe9768389a3e1a3d5e0b1c2",
        "01a209fa-fbe9-7683-89a3-e1a3d5e0b1c",
        "01a209fa-fbe9-7683-89a3-e1a3d5e0b1cg",
        "%D9%A31a209fa-fbe9-7683-89a3-e1a3d5e0b1c2",
    ],
    ids=range(14),
)
def test_path_that_is_no_id_is_404(hostile, world, part):
    for base in (USERS, CONVERSATIONS, MESSAGES, TOKENS):
        for method in (hostile.get, hostile.delete):
            response = method(fill(f"{base}{part}/", world))
            assert response.status_code == 404
            assert response.json() == {"detail": "Not found.", "code": "not_found"}


def test_ids_in_upper_case_are_the_same_ids(hostile, world):
    paths = [f"{USERS}$bob/", CONVERSATION, MESSAGE, PARTICIPANTS]
    for path in paths:
        upper = {name: value.upper() for name, value in world.items()}
        expected = hostile.get(fill(path, world))
        assert expected.status_code == 200
        assert hostile.get(fill(path, upper)).json() == expected.json()
    assert hostile.delete(fill(TOKEN, upper)).status_code == 204


@pytest.mark.parametrize("method", ["TRACE", "CONNECT", "BREW", "get"])
def test_unknown_method_is_405(hostile, world, method):
    response = hostile.generic(method, MESSAGES)
    expected = 200 if method == "get" else 405  # names of methods lose their case
    assert response.status_code == expected


@pytest.mark.parametrize(
    ("accept", "status"),
    [
        ("application/xml", 406),
        (";;;", 406),
        ("a" * 10_000, 406),
        ("", 406),
        ("application/json; indent=-1", 200),
        ("application/json; indent=99999999999", 200),
        ("application/json; indent=x", 200),
        ("*/*;q=nan", 200),
    ],
)
def test_odd_accept_header_is_answered_in_json(hostile, world, accept, status):
    response = hostile.get(USERS, HTTP_ACCEPT=accept)
    assert response.status_code == status
    assert response.json()


@pytest.mark.parametrize(
    "headers",
    [
        {"CONTENT_LENGTH": "x"},
        {"CONTENT_LENGTH": "-1"},
        {"CONTENT_LENGTH": ""},
        {"CONTENT_LENGTH": "9" * 100},
    ],
)
def test_odd_content_length_is_refused(hostile, world, headers):
    before = everything()
    response = hostile.generic("POST", LOGIN, "{}", content_type=JSON, **headers)
    assert response.status_code in {400, 413}
    assert everything() == before


@pytest.mark.parametrize(
    "headers",
    [
        {"HTTP_AUTHORIZATION": "Token " + "\xff" * 100},
        {"HTTP_AUTHORIZATION": "Token"},
        {"HTTP_AUTHORIZATION": "Token\t"},
        {"HTTP_AUTHORIZATION": "\0"},
        {"HTTP_AUTHORIZATION": ""},
        {"HTTP_AUTHORIZATION": "Basic !!!"},
        {"HTTP_COOKIE": "sessionid=" + "x" * 5000},
        {"HTTP_COOKIE": "sessionid=%00; csrftoken=\xff"},
        {"HTTP_COOKIE": "sessionid='; DROP TABLE chats_user; --"},
        {"HTTP_COOKIE": ";;;=;sessionid"},
    ],
)
def test_odd_credentials_are_401(anonymous, alice, headers):
    anonymous.raise_request_exception = False
    response = anonymous.get(ME, **headers)
    assert response.status_code == 401
    assert response.headers["WWW-Authenticate"] == 'Bearer realm="api"'


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    "charset",
    ["zlib", "rot13", "idna", "punycode", "undefined", "unicode_escape", "utf-16", "x"],
)
def test_charset_of_a_request_is_utf_8_whatever_it_claims(alice, charset):
    """Django would decode the query with any codec of Python's that it names."""
    _, secret = AccessToken.objects.issue(alice, "script", None)
    environ = {
        "PATH_INFO": USERS,
        "QUERY_STRING": "search=%5Cud800",
        "CONTENT_TYPE": f"{JSON}; charset={charset}",
        "HTTP_AUTHORIZATION": f"Token {secret}",
    }
    setup_testing_defaults(environ)
    statuses = []
    application(environ, lambda status, headers: statuses.append(status)).close()
    assert statuses == ["200 OK"]


@pytest.mark.parametrize("accept", [JSON, "text/html"])
@pytest.mark.parametrize("method", ["OPTIONS", "HEAD", "GET"])
def test_every_route_answers_safe_methods(hostile, anonymous, world, method, accept):
    """In the browsable API, too, which renders forms for what one may do."""
    ids = {
        "users": world["alice"],
        "conversations": world["conversation"],
        "messages": world["message"],
        "tokens": world["token"],
        "sessions": world["token"],
    }
    anonymous.raise_request_exception = False
    failed = []
    for path in sorted({path for _, path in api_calls()}):
        kind = re.search(rf"(\w+)/{NOBODY}", path)
        url = path.replace(NOBODY, ids[kind[1]]) if kind else path
        for client in (hostile, anonymous):
            response = client.generic(method, url, HTTP_ACCEPT=accept)
            if response.status_code >= 500:
                failed.append((url, response.status_code))
    assert failed == []
