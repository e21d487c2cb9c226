"""Signing in and out: sessions, CSRF, and the limit on guessing."""

import os
import subprocess
import sys
from contextlib import ExitStack
from datetime import timedelta

import pytest
import time_machine
from django.contrib.auth.hashers import MD5PasswordHasher, make_password
from django.contrib.auth.tokens import default_token_generator
from django.test import Client
from django.utils import timezone
from django.utils.http import urlsafe_base64_encode
from rest_framework.test import APIClient

from chats.models import AccessToken, Event, SignInAttempts, User, UserSession
from chats.services import sign_in
from chats.services.users import deactivate_user
from chats.web.addresses import client_address, client_network
from chats.web.exceptions import TooManyAttempts
from messaging_app.settings import BASE_DIR, PASSWORD_HASHERS
from tests.support.bodies import REQUIRED
from tests.support.callers import ME, with_session, with_token
from tests.support.factories import PASSWORD, UserFactory
from tests.support.servers import database_url
from tests.support.threads import at_once

LOGIN = "/api/auth/login/"
LOGOUT = "/api/auth/logout/"
WRONG = {
    "detail": "Wrong username, e-mail or password.",
    "code": "wrong_credentials",
}
TOO_MANY = {
    "detail": "Too many failed attempts. Try again later.",
    "code": "throttled",
}


class CountingHasher(MD5PasswordHasher):
    """Notes every password that is hashed, to be made or to be checked."""

    algorithm = "counting"
    passwords: list[str] = []

    def encode(self, password: str, salt: str) -> str:
        self.passwords.append(password)
        return super().encode(password, salt)


@pytest.fixture
def hashed(settings, alice) -> list[str]:
    """Return the passwords hashed from now on; alice's is kept by this hasher."""
    settings.PASSWORD_HASHERS = ["tests.accounts.test_sign_in.CountingHasher"]
    alice.set_password(PASSWORD)
    alice.save()
    CountingHasher.passwords.clear()
    return CountingHasher.passwords


def log_in(name: str = "alice", password: str = PASSWORD, **headers: str):
    """Sign in with a client of its own; headers are given as WSGI names them."""
    body = {"username": name, "password": password}
    return APIClient().post(LOGIN, body, **headers)


def statuses(count: int, **how: str) -> list[int]:
    return [log_in(**how).status_code for _ in range(count)]


# --- Signing in ---------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    [
        {"username": "alice"},
        {"username": "ALICE"},
        {"username": " alice "},
        {"email": "alice@example.org"},
        {"email": "Alice@EXAMPLE.org"},
        {"username": "alice@example.org"},
        {"email": "alice"},
        {"username": "alice", "email": "bob@example.org"},
        {"username": "\uff21lice"},
        {"email": "alice\uff20example.org"},
    ],
)
def test_login_answers_the_whole_account(anonymous, alice, bob, name):
    response = anonymous.post(LOGIN, name | {"password": PASSWORD})
    assert response.status_code == 200
    assert response.json() == anonymous.get(ME).json()
    assert response.json()["user_id"] == str(alice.pk)
    assert response.json()["email"] == "alice@example.org"
    assert not Event.objects.exists()


def test_login_sets_session_and_csrf_cookies(anonymous, alice):
    cookies = anonymous.post(LOGIN, {"username": "alice", "password": PASSWORD}).cookies
    session, csrf = cookies["sessionid"], cookies["csrftoken"]
    assert set(cookies) == {"sessionid", "csrftoken"}
    assert (session["httponly"], session["samesite"]) == (True, "Lax")
    assert (csrf["httponly"], csrf["samesite"]) == ("", "Lax")


def test_login_marks_the_person_as_seen(alice):
    User.objects.update(last_seen_at=None)
    body = log_in().json()
    seen_at = User.objects.get().last_seen_at
    assert body["is_online"] is True
    assert body["last_seen_at"] == seen_at.isoformat().replace("+00:00", "Z")


def test_login_begins_a_session_of_a_new_key(alice):
    """A key that somebody planted before the sign-in opens nothing after it."""
    client, planter = APIClient(), APIClient()
    planted = client.session.session_key
    planter.cookies["sessionid"] = planted
    client.post(LOGIN, {"username": "alice", "password": PASSWORD})
    assert client.session.session_key != planted
    assert client.get(ME).status_code == 200
    assert planter.get(ME).status_code == 401


def test_login_as_another_person_ends_the_first_session(alice, bob):
    client, other = APIClient(), APIClient()
    client.post(LOGIN, {"username": "alice", "password": PASSWORD})
    other.cookies["sessionid"] = client.session.session_key
    client.post(LOGIN, {"username": "bob", "password": PASSWORD})
    assert client.get(ME).json()["username"] == "bob"
    assert other.get(ME).status_code == 401
    assert UserSession.objects.count() == 1


@pytest.mark.parametrize(
    ("body", "errors"),
    [
        ({}, {"password": REQUIRED}),
        ({"username": "alice"}, {"password": REQUIRED}),
        ({"password": PASSWORD}, {"username": ["Send a username or an email."]}),
        (
            {"username": "", "password": PASSWORD},
            {"username": ["This field may not be blank."]},
        ),
        (
            {"username": ["alice"], "password": PASSWORD},
            {"username": ["Not a valid string."]},
        ),
        (
            {"username": "alice\0", "password": PASSWORD},
            {"username": ["Null characters are not allowed."]},
        ),
        (
            {"username": "alice", "password": "x" * 129},
            {"password": ["Ensure this field has no more than 128 characters."]},
        ),
    ],
)
def test_login_with_bad_input_names_the_field(anonymous, alice, body, errors):
    response = anonymous.post(LOGIN, body)
    assert response.status_code == 400
    assert response.json() == errors
    assert not SignInAttempts.objects.exists()


@pytest.mark.parametrize(
    "body",
    [
        {"username": "alice", "password": "wrong"},
        {"username": "alice", "password": f" {PASSWORD}"},
        {"username": "nobody", "password": PASSWORD},
        {"email": "nobody@example.org", "password": PASSWORD},
        {"username": "bob", "password": PASSWORD},
    ],
)
def test_login_has_one_answer_for_wrong_unknown_and_suspended(
    anonymous, alice, bob, body
):
    deactivate_user(bob, actor=bob)
    response = anonymous.post(LOGIN, body)
    assert response.status_code == 401
    assert response.headers["WWW-Authenticate"] == 'Bearer realm="api"'
    assert response.json() == WRONG
    assert response.cookies == {}


@pytest.mark.parametrize("name", ["alice", "nobody", "nobody@example.org", "bob"])
def test_login_hashes_once_for_known_unknown_and_suspended(hashed, bob, name):
    bob.set_password(PASSWORD)
    bob.save()
    deactivate_user(bob, actor=bob)
    hashed.clear()
    log_in(name, "a wrong guess")
    assert hashed == ["a wrong guess"]


@pytest.mark.parametrize(
    ("origin", "status"),
    [
        ("http://testserver", 200),
        ("https://app.example", 200),
        ("https://evil.example", 403),
        ("null", 403),
        ("http://[", 403),
    ],
)
def test_login_from_a_foreign_page_is_refused(alice, settings, origin, status):
    settings.CSRF_TRUSTED_ORIGINS = ["https://app.example"]
    response = log_in(HTTP_ORIGIN=origin)
    assert response.status_code == status
    if status == 403:
        assert response.json() == {
            "detail": "This origin is not trusted.",
            "code": "bad_origin",
        }
        assert not UserSession.objects.exists()


def test_login_ignores_a_stale_session_and_a_bad_token(alice):
    client = APIClient()
    client.cookies["sessionid"] = "long-gone"
    client.credentials(HTTP_AUTHORIZATION="Token revoked")
    body = {"username": "alice", "password": PASSWORD}
    assert client.post(LOGIN, body).status_code == 200


def test_passwords_are_kept_by_argon2(settings):
    settings.PASSWORD_HASHERS = PASSWORD_HASHERS
    assert make_password(PASSWORD).startswith("argon2$argon2id$")


# --- Sessions -----------------------------------------------------------------


@pytest.fixture
def browser(alice) -> APIClient:
    """A client of alice's that is held to CSRF, signed in."""
    client = APIClient(enforce_csrf_checks=True)
    client.post(LOGIN, {"username": "alice", "password": PASSWORD})
    return client


def csrf(client: APIClient) -> dict[str, str]:
    return {"HTTP_X_CSRFTOKEN": client.cookies["csrftoken"].value}


def test_session_writes_need_the_csrf_token(browser):
    body = {"first_name": "Alicia"}
    refused = browser.patch(ME, body)
    assert refused.status_code == 403
    assert refused.json() == {
        "detail": "CSRF Failed: CSRF token missing.",
        "code": "permission_denied",
    }
    assert browser.patch(ME, body, HTTP_X_CSRFTOKEN="x" * 32).status_code == 403
    assert User.objects.get().first_name == "Alice"
    assert browser.patch(ME, body, **csrf(browser)).status_code == 200


def test_session_reads_need_no_csrf_token(browser):
    assert browser.get(ME).status_code == 200


def test_session_writes_from_a_foreign_page_are_refused(browser):
    headers = csrf(browser) | {"HTTP_ORIGIN": "https://evil.example"}
    response = browser.patch(ME, {"first_name": "Eve"}, **headers)
    assert response.status_code == 403
    assert User.objects.get().first_name == "Alice"


def test_token_writes_need_no_csrf_token(alice):
    _, secret = AccessToken.objects.issue(alice, "script", None)
    client = APIClient(enforce_csrf_checks=True)
    client.credentials(HTTP_AUTHORIZATION=f"Token {secret}")
    assert client.patch(ME, {"first_name": "Alicia"}).status_code == 200


def test_session_calls_take_three_queries(browser, django_assert_num_queries):
    with django_assert_num_queries(3):  # the session, its person, the answer
        browser.get(ME)


def test_session_calls_mark_the_person_as_seen_twice_a_minute(browser, alice):
    first = User.objects.get().last_seen_at
    with time_machine.travel(first + timedelta(seconds=29)):
        browser.get(ME)
    assert User.objects.get().last_seen_at == first
    with time_machine.travel(first + timedelta(seconds=31)):
        browser.get(ME)
    assert User.objects.get().last_seen_at > first + timedelta(seconds=30)


def test_logout_ends_this_session_and_no_other(browser, alice):
    other = with_session(alice)
    key = browser.session.session_key
    response = browser.post(LOGOUT, **csrf(browser))
    browser.cookies["sessionid"] = key
    assert (response.status_code, response.content) == (204, b"")
    assert browser.get(ME).status_code == 401
    assert other.get(ME).status_code == 200


def test_logout_with_a_token_is_403(alice):
    client = with_token(alice)
    response = client.post(LOGOUT)
    assert response.status_code == 403
    assert response.json() == {
        "detail": "A token cannot sign out. "
        "To revoke it: DELETE /api/auth/tokens/{token_id}/",
        "code": "permission_denied",
    }
    assert client.get(ME).status_code == 200


# --- The limit on guessing ----------------------------------------------------


def test_guessing_is_refused_after_five_failures(alice):
    with time_machine.travel(timezone.now(), tick=False) as clock:
        assert statuses(5, password="wrong") == [401] * 5
        clock.shift(60)
        response = log_in()
    assert response.status_code == 429
    assert response.headers["Retry-After"] == "841"  # the rest of 15 minutes
    assert response.json() == TOO_MANY


def test_guessing_is_allowed_again_after_the_window(alice):
    with time_machine.travel(timezone.now(), tick=False) as clock:
        statuses(5, password="wrong")
        clock.shift(15 * 60 - 1)
        assert log_in().status_code == 429
        clock.shift(1)
        assert statuses(5, password="wrong") == [401] * 5
        assert log_in().status_code == 429


def test_guessing_refused_looks_at_no_password(hashed):
    statuses(5, password="wrong")
    hashed.clear()
    assert log_in().status_code == 429
    assert hashed == []


def test_success_forgives_earlier_failures(alice):
    for _ in range(3):
        assert statuses(4, password="wrong") == [401] * 4
        assert log_in().status_code == 200


def test_success_does_not_count(alice):
    assert statuses(8) == [200] * 8


def test_guessing_counts_all_spellings_of_an_identifier_together(alice):
    # PostgreSQL finds her by the last one too, in most locales.
    names = ["alice", "ALICE", " Alice", "\uff41lice", "al\u0130ce"]
    assert [log_in(name, "wrong").status_code for name in names] == [401] * 5
    for name in names:
        assert log_in(name).status_code == 429


@pytest.mark.parametrize(
    ("first", "second"),
    [("alice", "{}@example.org"), ("{}@example.org", "alice")],
)
@pytest.mark.parametrize("owner", ["alice", "bob", "nobody"])
def test_guessing_tells_nothing_of_whose_email_it_is(alice, bob, first, second, owner):
    """Whoever's it is, each of the two has an allowance of its own."""
    first, second = first.format(owner), second.format(owner)
    answers = [log_in(name, "wrong") for name in [*[first] * 6, *[second] * 6]]
    assert [answer.status_code for answer in answers] == ([401] * 5 + [429]) * 2
    bodies = [answer.json() for answer in answers]
    assert bodies == ([WRONG] * 5 + [TOO_MANY]) * 2


def test_guessing_from_everywhere_tells_nothing_of_whose_email_it_is(alice, bob):
    log_in("alice", **HOME)
    for name in ("alice", "alice@example.org", "bob@example.org"):
        guess_from_everywhere(name)
    answers = [
        log_in(name, "wrong", **HOME).status_code
        for name in ("alice@example.org", "bob@example.org")
    ]
    assert answers == [429, 429]  # though alice signed in here, by her username


def test_success_by_one_identifier_leaves_the_count_of_the_other(alice):
    """Or a neighbour at the same address would see which two are one person's."""
    email = "alice@example.org"
    assert [log_in(email, "wrong").status_code for _ in range(6)] == [401] * 5 + [429]
    assert log_in("alice").status_code == 200
    assert log_in(email).status_code == 429


def test_guessing_of_one_account_leaves_others_free(alice, bob):
    statuses(6, password="wrong")
    assert log_in("bob").status_code == 200


def test_guessing_of_an_unknown_account_is_refused_alike(db):
    """Nor does the limit tell whether there is such a person."""
    names = ["Nobody", "nobody", "NOBODY", "nobody", "nobody", "nobody"]
    answers = [log_in(name, "wrong") for name in names]
    assert [answer.status_code for answer in answers] == [401] * 5 + [429]
    assert answers[-1].json() == TOO_MANY


FORM = {"username": "alice", "password": "wrong"}
NEW = "another-Passw0rd"
DOORS = {
    "login": lambda: log_in(password="wrong"),
    "token": lambda: APIClient().post("/api/auth/tokens/", FORM | {"name": "x"}),
    "admin": lambda: Client().post("/admin/login/", FORM),
    "browsable API": lambda: Client().post("/api-auth/login/", FORM),
    "password": lambda: inside().post(
        "/api/auth/password/change/", {"old_password": "wrong", "new_password": NEW}
    ),
    "e-mail": lambda: inside().patch(
        ME, {"email": "new@example.org", "current_password": "wrong"}
    ),
    "password in the admin": lambda: inside().post(
        "/admin/password_change/",
        {"old_password": "wrong", "new_password1": NEW, "new_password2": NEW},
        format="multipart",
    ),
}


def inside() -> APIClient:
    """Return a client with a session of alice's, as one left unlocked would have."""
    return with_session(User.objects.get())


@pytest.mark.parametrize("door", DOORS)
def test_guessing_through_any_door_counts(alice, door):
    User.objects.update(is_staff=True)
    for _ in range(5):
        DOORS[door]()
    assert log_in().status_code == 429
    account = User.objects.get()
    assert account.check_password(PASSWORD)
    assert account.email == alice.email


@pytest.mark.parametrize("door", DOORS)
def test_guessing_through_any_door_is_refused(hashed, alice, door):
    """That the password is not looked at is what the hasher notices."""
    User.objects.update(is_staff=True)
    statuses(5, password="wrong")
    hashed.clear()
    response = DOORS[door]()
    assert hashed == []
    assert (
        response.status_code == 429 or TOO_MANY["detail"] in response.content.decode()
    )


def test_guessing_refused_on_the_browsable_login_is_429(alice, client):
    statuses(5, password="wrong")
    form = {"username": "alice", "password": PASSWORD}
    response = client.post("/api-auth/login/", form)
    assert response.status_code == 429
    assert 0 < int(response.headers["Retry-After"]) <= 901
    assert response.content.decode() == TOO_MANY["detail"]
    assert client.get(ME).status_code == 401


def test_guessing_refused_in_the_admin_is_told_in_the_form(alice, client):
    User.objects.update(is_staff=True)
    statuses(5, password="wrong")
    form = {"username": "alice", "password": PASSWORD}
    response = client.post("/admin/login/", form)
    assert response.status_code == 200
    assert response.context["form"].non_field_errors() == [TOO_MANY["detail"]]
    assert client.get(ME).status_code == 401


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("patient_database")
def test_guesses_at_once_are_evaluated_five_times_at_most(hashed, alice):
    guesses = [f"guess {number}" for number in range(20)]
    answers = at_once(
        *(lambda guess=guess: log_in(password=guess).status_code for guess in guesses)
    )
    assert sorted(answers) == [401] * 5 + [429] * 15
    assert len(hashed) == 5


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("patient_database")
def test_guesses_at_once_are_evaluated_five_times_for_each_identifier(hashed, alice):
    names = ["alice", "alice@example.org"] * 8
    answers = at_once(
        *(lambda name=name: log_in(name, "wrong").status_code for name in names)
    )
    assert sorted(answers) == [401] * 10 + [429] * 6
    assert len(hashed) == 10


GUESSER = """
import sys
from concurrent.futures import ThreadPoolExecutor
import django
django.setup()
from django.db import connection
from django.test import Client

def guess(name):
    body = {"username": name, "password": "wrong"}
    try:
        client = Client(headers={"host": "localhost"})
        response = client.post("/api/auth/login/", body, "application/json")
        return response.status_code
    finally:
        connection.close()

print("ready", flush=True)
sys.stdin.readline()
with ThreadPoolExecutor(4) as pool:
    print(*pool.map(guess, ["alice", "alice@example.org"] * 7))
"""


@pytest.mark.django_db(transaction=True)
def test_guesses_at_once_by_four_processes_are_evaluated_five_times_each(alice):
    named = {
        "DJANGO_SETTINGS_MODULE": "tests.support.settings",
        "DATABASE_URL": database_url(),
    }
    with ExitStack() as stack:
        guessers = [
            stack.enter_context(
                subprocess.Popen(
                    [sys.executable, "-c", GUESSER],
                    cwd=BASE_DIR,
                    env=os.environ | named,
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    text=True,
                )
            )
            for _ in range(4)
        ]
        for guesser in guessers:
            assert guesser.stdout.readline() == "ready\n"
        for guesser in guessers:
            guesser.stdin.write("go\n")
            guesser.stdin.flush()
        answers = [status for item in guessers for status in item.stdout.read().split()]
    assert sorted(answers) == ["401"] * 10 + ["429"] * 46


def test_guessing_from_many_addresses_is_refused_after_fifty(db):
    for number in range(50):
        sign_in.reserve_attempt("name", f"192.0.2.{number}")
    with pytest.raises(TooManyAttempts):
        sign_in.reserve_attempt("name", "198.51.100.1")
    sign_in.reserve_attempt("another", "198.51.100.1")


def guess_from_everywhere(identifier: str) -> None:
    """Use up the identifier's allowance from addresses that are new to it."""
    for number in range(50):
        sign_in.reserve_attempt(identifier, f"192.0.2.{number}")


HOME = {"REMOTE_ADDR": "203.0.113.7"}


def test_account_used_up_is_open_where_its_person_signed_in_lately(alice):
    """Or somebody with ten hosts could keep a person out for ever."""
    log_in(**HOME)
    guess_from_everywhere(alice.username)
    assert log_in(REMOTE_ADDR="203.0.113.8").status_code == 429
    assert statuses(2, **HOME) == [200, 200]


def test_account_used_up_allows_five_guesses_where_its_person_signed_in(alice):
    log_in(**HOME)
    guess_from_everywhere(alice.username)
    assert statuses(6, password="wrong", **HOME) == [401] * 5 + [429]
    assert log_in(**HOME).status_code == 429


def test_account_used_up_is_closed_where_its_person_signed_in_long_ago(alice):
    with time_machine.travel(timezone.now() - timedelta(days=30, minutes=1)):
        log_in(**HOME)
    guess_from_everywhere(alice.username)
    assert log_in(**HOME).status_code == 429


def test_account_used_up_is_closed_where_another_person_signed_in(alice, bob):
    log_in("bob", **HOME)
    guess_from_everywhere(alice.username)
    assert log_in(**HOME).status_code == 429


@pytest.mark.parametrize("name", ["alice", "alice@example.org"])
def test_account_used_up_opens_by_a_letter(alice, name):
    guess_from_everywhere(name)
    letter = {
        "uid": urlsafe_base64_encode(str(alice.pk).encode()),
        "token": default_token_generator.make_token(alice),
        "new_password": "an-0ther-good-one",
    }
    path = "/api/auth/password/reset/confirm/"
    assert APIClient().post(path, letter, **HOME).status_code == 204
    assert log_in(name, "an-0ther-good-one", **HOME).status_code == 200


def test_guessing_of_many_accounts_is_refused_after_two_hundred(db):
    for number in range(200):
        sign_in.reserve_attempt(f"account {number}", "192.0.2.1")
    with pytest.raises(TooManyAttempts):
        sign_in.reserve_attempt("another", "192.0.2.1")
    sign_in.reserve_attempt("another", "192.0.2.2")


def test_success_forgives_the_wider_counts_one_attempt_only(db):
    """Or signing in to an own account would let one guess at all others for ever."""
    for number in range(199):
        sign_in.reserve_attempt(f"account {number}", "192.0.2.1")
    for _ in range(3):
        sign_in.reserve_attempt("own", "192.0.2.1")
        sign_in.forgive_attempts("own", "192.0.2.1")
    sign_in.reserve_attempt("last", "192.0.2.1")
    with pytest.raises(TooManyAttempts):
        sign_in.reserve_attempt("own", "192.0.2.1")


def test_attempts_are_kept_without_names_and_addresses(alice):
    log_in(password="wrong")
    counters = list(SignInAttempts.objects.values_list("key", "attempts"))
    assert [(len(key), count) for key, count in counters] == [(64, 1)] * 3
    assert all(set(key) <= set("0123456789abcdef") for key, _ in counters)


# --- Addresses ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("proxies", "forwarded", "address"),
    [
        (0, "", "192.0.2.1"),
        (0, "203.0.113.9", "192.0.2.1"),
        (1, "", "192.0.2.1"),
        (1, " , ", "192.0.2.1"),
        (1, "203.0.113.9", "203.0.113.9"),
        (1, "a lie, 203.0.113.9", "203.0.113.9"),
        (1, "198.51.100.1, 198.51.100.2, 203.0.113.9", "203.0.113.9"),
        (2, "a lie, 203.0.113.9, 10.0.0.1", "203.0.113.9"),
        (2, "203.0.113.9", "203.0.113.9"),
        (1, "unknown", "192.0.2.1"),
        (1, "999.1.1.1", "192.0.2.1"),
        (1, "198.51.100.1, <script>", "192.0.2.1"),
        (1, "\xff" * 9000, "192.0.2.1"),
        (1, "203.0.113.9:4711", "203.0.113.9"),
        (1, "[2001:db8::9]:4711", "2001:db8::9"),
        (1, "[2001:db8::9]", "2001:db8::9"),
        (1, "2001:DB8:0:0::9", "2001:db8::9"),
        (1, "::ffff:203.0.113.9", "203.0.113.9"),
        (1, "fe80::1%" + "x" * 99, "fe80::1"),
        (1, "[203.0.113.9", "192.0.2.1"),
    ],
)
def test_address_is_believed_as_far_as_the_proxies(
    rf, settings, proxies, forwarded, address
):
    settings.TRUSTED_PROXIES = proxies
    headers = {"HTTP_X_FORWARDED_FOR": forwarded, "REMOTE_ADDR": "192.0.2.1"}
    assert client_address(rf.get("/", **headers).META) == address


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("", ""),
    ],
)
def test_limits_count_all_that_one_customer_may_send_from(rf, address, network):
    assert client_network(rf.get("/", REMOTE_ADDR=address)) == network


def test_guessing_from_all_of_an_ipv6_network_counts_together(alice):
    addresses = [f"2001:db8::{number:x}" for number in range(1, 7)]
    answers = [log_in(password="wrong", REMOTE_ADDR=item) for item in addresses]
    assert [answer.status_code for answer in answers] == [401] * 5 + [429]


@pytest.mark.parametrize(
    ("proxies", "forwarded", "last"),
    [(0, "{}", 429), (1, "{}", 200), (1, "{}, 203.0.113.9", 429)],
)
def test_guessing_is_counted_by_address_as_far_as_believed(
    alice, settings, proxies, forwarded, last
):
    settings.TRUSTED_PROXIES = proxies
    for number in range(5):
        claim = forwarded.format(f"198.51.100.{number}")
        log_in(password="wrong", HTTP_X_FORWARDED_FOR=claim)
    claim = forwarded.format("198.51.100.99")
    assert log_in(HTTP_X_FORWARDED_FOR=claim).status_code == last


def test_guessing_elsewhere_does_not_lock_the_person_out(alice, settings):
    settings.TRUSTED_PROXIES = 1
    statuses(6, password="wrong", HTTP_X_FORWARDED_FOR="198.51.100.1")
    assert log_in(HTTP_X_FORWARDED_FOR="198.51.100.2").status_code == 200


# --- Frontends on another origin ----------------------------------------------

FRONTEND = "https://app.example"


def test_frontend_of_an_allowed_origin_may_read_answers(anonymous, db, settings):
    settings.CORS_ALLOWED_ORIGINS = [FRONTEND]
    response = anonymous.get(ME, HTTP_ORIGIN=FRONTEND)
    assert response.status_code == 401
    assert response.headers["Access-Control-Allow-Origin"] == FRONTEND
    assert response.headers["Access-Control-Allow-Credentials"] == "true"


def test_frontend_of_an_allowed_origin_may_send_its_headers(anonymous, db, settings):
    settings.CORS_ALLOWED_ORIGINS = [FRONTEND]
    response = anonymous.options(
        ME,
        HTTP_ORIGIN=FRONTEND,
        HTTP_ACCESS_CONTROL_REQUEST_METHOD="PATCH",
        HTTP_ACCESS_CONTROL_REQUEST_HEADERS="authorization, x-csrftoken",
    )
    allowed = response.headers["Access-Control-Allow-Headers"]
    assert response.status_code == 200
    assert {"authorization", "content-type", "x-csrftoken"} <= set(allowed.split(", "))
    assert "PATCH" in response.headers["Access-Control-Allow-Methods"]


@pytest.mark.parametrize(
    ("origin", "url"), [("https://evil.example", ME), (FRONTEND, "/admin/login/")]
)
def test_frontend_of_another_origin_or_to_another_page_may_not(
    client, db, settings, origin, url
):
    settings.CORS_ALLOWED_ORIGINS = [FRONTEND]
    response = client.get(url, HTTP_ORIGIN=origin)
    assert "Access-Control-Allow-Origin" not in response.headers


# --- Superusers ---------------------------------------------------------------


def test_superuser_signs_in_to_the_admin_by_email_as_well(client, db):
    UserFactory(username="root", is_staff=True, is_superuser=True, role="admin")
    form = {"username": "ROOT@example.org", "password": PASSWORD}
    response = client.post("/admin/login/?next=/admin/", form)
    assert (response.status_code, response.headers["Location"]) == (302, "/admin/")
