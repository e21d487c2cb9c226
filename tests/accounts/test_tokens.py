"""Access tokens: making, listing, using, revoking."""

import hashlib
from datetime import timedelta

import pytest
import time_machine
from django.core import serializers
from django.utils import timezone
from rest_framework.test import APIClient

from chats.models import AccessToken, Event, User
from tests.support.bodies import REQUIRED, UNAUTHENTICATED, rfc3339
from tests.support.callers import ME, using, with_session
from tests.support.factories import PASSWORD

TOKENS = "/api/auth/tokens/"
INVALID = {"detail": "Invalid token.", "code": "invalid_token"}
BY_PASSWORD = {"username": "alice", "password": PASSWORD, "name": "script"}


def issue(person: User, name: str = "script") -> tuple[AccessToken, APIClient]:
    """Make a token; return it with a client that uses it."""
    token, secret = AccessToken.objects.issue(person, name, None)
    return token, using(secret)


def shown(token: AccessToken) -> dict:
    return {
        "token_id": str(token.pk),
        "name": token.name,
        "prefix": token.prefix,
        "created_at": rfc3339(token.created_at),
        "expires_at": rfc3339(token.expires_at),
        "last_used_at": rfc3339(token.last_used_at),
    }


def url_of(token: AccessToken) -> str:
    return f"{TOKENS}{token.pk}/"


# --- Making -------------------------------------------------------------------


@pytest.mark.parametrize("name", ["username", "email"])
def test_token_is_made_by_password_and_lasts_a_year(anonymous, alice, name):
    body = {name: getattr(alice, name), "password": PASSWORD, "name": "script"}
    with time_machine.travel(timezone.now(), tick=False):
        now = timezone.now()
        response = anonymous.post(TOKENS, body)
    token = AccessToken.objects.get()
    secret = response.json()["token"]
    assert response.status_code == 201
    assert response.json() == {
        "token_id": str(token.pk),
        "name": "script",
        "prefix": secret[:8],
        "token": secret,
        "created_at": rfc3339(now),
        "expires_at": rfc3339(now + timedelta(days=365)),
        "last_used_at": None,
    }
    assert token.user == alice
    assert using(secret).get(ME).json()["user_id"] == str(alice.pk)
    assert response.cookies == {}
    assert not Event.objects.exists()


def test_token_is_made_by_a_session(alice):
    client = with_session(alice)
    expires_at = timezone.now() + timedelta(hours=1)
    body = {"name": "phone", "expires_at": rfc3339(expires_at)}
    response = client.post(TOKENS, body)
    token = AccessToken.objects.get()
    assert response.status_code == 201
    assert response.json() == shown(token) | {"token": response.json()["token"]}
    assert (token.user, token.name, token.expires_at) == (alice, "phone", expires_at)


def test_token_by_a_session_that_is_not_fresh_needs_the_password(alice):
    """Or a session left open for a minute would be one that never ends."""
    client = with_session(alice)
    with time_machine.travel(timezone.now() + timedelta(minutes=16)):
        missing = client.post(TOKENS, {"name": "x"})
        wrong = client.post(TOKENS, {"name": "x", "current_password": "wrong"})
        right = client.post(TOKENS, {"name": "x", "current_password": PASSWORD})
    assert [answer.status_code for answer in (missing, wrong, right)] == [400, 400, 201]
    assert missing.json() == {"current_password": ["Required to create a token."]}
    assert wrong.json() == {"current_password": ["Wrong password."]}
    assert AccessToken.objects.get().user == alice


def test_token_expires_within_a_year_at_the_latest(anonymous, alice, settings):
    settings.TOKEN_MAX_DAYS = 30
    with time_machine.travel(timezone.now(), tick=False):
        latest = timezone.now() + timedelta(days=30)
        bodies = [
            BY_PASSWORD | {"expires_at": expires_at}
            for expires_at in (rfc3339(latest), None, "2099-01-01T00:00:00Z")
        ]
        answers = [anonymous.post(TOKENS, body) for body in bodies]
    assert [answer.status_code for answer in answers] == [201, 201, 400]
    assert {answer.json()["expires_at"] for answer in answers[:2]} == {rfc3339(latest)}
    assert answers[2].json() == {"expires_at": ["Must be at most 30 days from now."]}


def test_token_by_password_is_the_password_owners_in_any_session(bob, alice):
    with_session(bob).post(TOKENS, BY_PASSWORD)
    assert AccessToken.objects.get().user == alice


def test_token_secret_is_stored_hashed_only(anonymous, alice):
    secret = anonymous.post(TOKENS, BY_PASSWORD).json()["token"]
    stored = serializers.serialize("json", AccessToken.objects.all())
    assert len(secret) == 43  # 256 bits
    assert secret not in stored
    assert hashlib.sha256(secret.encode()).hexdigest() in stored


def test_tokens_differ(alice):
    secrets = {AccessToken.objects.issue(alice, "same", None)[1] for _ in range(3)}
    assert len(secrets) == 3


def test_token_by_password_needs_no_csrf_token(alice):
    client = APIClient(enforce_csrf_checks=True)
    assert client.post(TOKENS, BY_PASSWORD).status_code == 201


def test_token_beyond_the_limit_is_refused(anonymous, alice, bob, settings):
    settings.MAX_TOKENS_PER_USER = 2
    AccessToken.objects.issue(bob, "another's", None)
    AccessToken.objects.issue(alice, "over", timezone.now())
    answers = [anonymous.post(TOKENS, BY_PASSWORD) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [201, 201, 400]
    assert answers[2].json() == {
        "detail": "You can have at most 2 tokens. Revoke one first.",
        "code": "too_many_tokens",
    }
    AccessToken.objects.get(pk=answers[0].json()["token_id"]).delete()
    assert anonymous.post(TOKENS, BY_PASSWORD).status_code == 201


@pytest.mark.parametrize("body", [{"name": "heir"}, BY_PASSWORD])
def test_token_makes_no_successor(alice, body):
    _, client = issue(alice)
    response = client.post(TOKENS, body)
    assert response.status_code == 403
    assert response.json() == {
        "detail": "Use a session, or a username and password, instead of a token.",
        "code": "permission_denied",
    }
    assert AccessToken.objects.count() == 1


@pytest.mark.parametrize(
    "body", [{}, {"name": "x"}, {"name": "x", "username": "alice"}, []]
)
def test_token_without_session_and_password_is_401(anonymous, alice, body):
    response = anonymous.post(TOKENS, body)
    assert response.status_code == 401
    assert response.headers["WWW-Authenticate"] == 'Bearer realm="api"'
    assert response.json() == UNAUTHENTICATED


@pytest.mark.parametrize(
    "change", [{"password": "wrong"}, {"username": "nobody"}, {"username": "bob"}]
)
def test_token_with_wrong_credentials_is_401(anonymous, alice, bob, change):
    User.objects.filter(pk=bob.pk).update(is_active=False)
    response = anonymous.post(TOKENS, BY_PASSWORD | change)
    assert response.status_code == 401
    assert response.json() == {
        "detail": "Wrong username, e-mail or password.",
        "code": "wrong_credentials",
    }
    assert not AccessToken.objects.exists()


@pytest.mark.parametrize(
    ("body", "errors"),
    [
        ({}, {"name": REQUIRED}),
        ({"name": ""}, {"name": ["This field may not be blank."]}),
        ({"name": None}, {"name": ["This field may not be null."]}),
        (
            {"name": "x" * 101},
            {"name": ["Ensure this field has no more than 100 characters."]},
        ),
        (
            {"name": "x", "expires_at": "2001-01-01T00:00:00Z"},
            {"expires_at": ["Must be in the future."]},
        ),
        (
            {"name": "x", "expires_at": "tomorrow"},
            {"expires_at": ["Must be an RFC 3339 time, such as 2026-11-23T18:00:00Z."]},
        ),
        ({"name": "x", "username": "alice"}, {"password": REQUIRED}),
        (
            {"name": "x", "password": PASSWORD},
            {"username": ["Send a username or an email."]},
        ),
    ],
)
def test_token_with_bad_input_names_the_field(as_alice, body, errors):
    response = as_alice.post(TOKENS, body)
    assert response.status_code == 400
    assert response.json() == errors
    assert not AccessToken.objects.exists()


# --- Using --------------------------------------------------------------------


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER", "Token", "TOKEN"])
def test_token_scheme_is_one_of_two_without_regard_to_case(alice, scheme):
    _, secret = AccessToken.objects.issue(alice, "script", None)
    assert using(secret, scheme).get(ME).status_code == 200


@pytest.mark.parametrize("secret", ["", "wrong", "é", "two words"])
def test_token_unknown_is_401(alice, secret):
    issue(alice)
    response = using(secret).get(ME)
    assert response.status_code == 401
    assert response.headers["WWW-Authenticate"] == 'Bearer realm="api"'
    assert response.json() == INVALID


def test_token_unknown_is_not_replaced_by_the_session(alice):
    client = using("wrong")
    client.force_login(alice)
    assert client.get(ME).status_code == 401


def test_token_scheme_of_others_is_anonymous(alice):
    _, secret = AccessToken.objects.issue(alice, "script", None)
    assert using(secret, "Basic").get(ME).json() == UNAUTHENTICATED


def test_token_expires(alice):
    expires_at = timezone.now() + timedelta(hours=1)
    _, secret = AccessToken.objects.issue(alice, "script", expires_at)
    with time_machine.travel(expires_at - timedelta(seconds=1)):
        assert using(secret).get(ME).status_code == 200
    with time_machine.travel(expires_at):
        response = using(secret).get(ME)
    assert response.status_code == 401
    assert response.json() == INVALID


def test_token_of_the_suspended_opens_nothing(alice):
    _, client = issue(alice)
    User.objects.update(is_active=False)
    assert client.get(ME).status_code == 401


def test_token_use_is_noted_at_most_once_a_minute(alice):
    token, client = issue(alice)
    start = timezone.now()
    noted = []
    for seconds in (0, 60, 61, 100, 122):
        with time_machine.travel(start + timedelta(seconds=seconds), tick=False):
            client.get(ME)
        token.refresh_from_db()
        noted.append((token.last_used_at - start).seconds)
    assert noted == [0, 0, 61, 61, 122]


def test_token_calls_take_two_queries_once_noted(alice, django_assert_num_queries):
    _, client = issue(alice)
    # The token with its person; a savepoint, its use, the release; the answer.
    with django_assert_num_queries(5):
        client.get(ME)
    with django_assert_num_queries(2):
        client.get(ME)


# --- Listing ------------------------------------------------------------------


def test_token_list_shows_ones_own_newest_first(as_alice, alice, bob):
    first, _ = issue(alice, "first")
    second, _ = issue(alice, "second")
    issue(bob, "other")
    AccessToken.objects.filter(pk=first.pk).update(
        last_used_at=timezone.now(), created_at=timezone.now() - timedelta(days=1)
    )
    first.refresh_from_db()
    response = as_alice.get(TOKENS)
    assert response.status_code == 200
    assert response.json() == {
        "next": None,
        "previous": None,
        "results": [shown(second), shown(first)],
    }


@pytest.mark.parametrize("count", [1, 3, 50])
def test_token_list_takes_one_query(as_alice, alice, count, django_assert_num_queries):
    for _ in range(count):
        issue(alice)
    with django_assert_num_queries(1):
        response = as_alice.get(TOKENS)
    assert len(response.json()["results"]) == count


def test_token_list_pages_by_cursor(as_alice, alice):
    for name in ("1", "2", "3"):
        issue(alice, name)
    first = as_alice.get(TOKENS, {"page_size": 2}).json()
    second = as_alice.get(first["next"]).json()
    names = [item["name"] for item in first["results"] + second["results"]]
    assert sorted(names) == ["1", "2", "3"]
    assert second["next"] is None


# --- Revoking -----------------------------------------------------------------


def test_token_revoked_opens_nothing_and_others_still_do(as_alice, alice):
    token, client = issue(alice)
    _, other = issue(alice)
    response = as_alice.delete(url_of(token))
    assert (response.status_code, response.content) == (204, b"")
    assert client.get(ME).json() == INVALID
    assert other.get(ME).status_code == 200
    assert not Event.objects.exists()


def test_token_revokes_itself(alice):
    token, client = issue(alice)
    assert client.delete(url_of(token)).status_code == 204
    assert client.get(ME).status_code == 401


@pytest.mark.parametrize("count", [1, 3])
def test_token_revoke_takes_as_many_queries_with_many_tokens(
    as_alice, alice, count, django_assert_num_queries
):
    token, *_ = [issue(alice)[0] for _ in range(count)]
    # Find it; a savepoint, delete it, the audit, its release.
    with django_assert_num_queries(5):
        as_alice.delete(url_of(token))
