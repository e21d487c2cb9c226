"""Passwords: changing one's own, resetting a forgotten one by a letter."""

import re
from collections.abc import Callable
from datetime import timedelta

import httpx
import pytest
import time_machine
from django.conf import settings as project_settings
from django.contrib.auth.tokens import default_token_generator
from django.utils import timezone
from django.utils.encoding import force_bytes
from django.utils.http import urlsafe_base64_encode
from rest_framework.test import APIClient

from chats.models import AccessToken, Event, User
from chats.services import mail
from chats.services.users import deactivate_user
from tests.support.bodies import REQUIRED
from tests.support.callers import ME, with_session, with_token
from tests.support.factories import PASSWORD
from tests.support.mail import mail_server
from tests.support.servers import serving_in_thread

CHANGE = "/api/auth/password/change/"
RESET = "/api/auth/password/reset/"
CONFIRM = "/api/auth/password/reset/confirm/"
NEW = "an0ther-horse-battery"
INVALID = {"token": ["Invalid or expired."]}

WEAK = [
    ("x1!aB", ["This password is too short. It must contain at least 8 characters."]),
    ("password123", ["This password is too common."]),
    ("82736455819", ["This password is entirely numeric."]),
    ("alice@example", ["The password is too similar to the email."]),
    ("p" * 129, ["Ensure this field has no more than 128 characters."]),
    ("a\0bcdefghij", ["Null characters are not allowed."]),
    ("", ["This field may not be blank."]),
    (None, ["This field may not be null."]),
]


TEXT = """Hello,

Someone asked to reset the password of the account with this e-mail address.

To choose a new password, open this link within 3 days:

    LINK

The link works once. A new password signs you out on all devices.

If this was not you, ignore this e-mail. Your password stays the same.
"""


def log_in(password: str) -> int:
    body = {"username": "alice", "password": password}
    return APIClient().post("/api/auth/login/", body).status_code


@pytest.fixture
def letters(mailoutbox) -> Callable[[], list]:
    """Return a function that gives the letters, when all that are queued have gone."""

    def flush() -> list:
        mail.outbox.submit(lambda: None).result()
        return mailoutbox

    yield flush
    flush()


def credentials_of(person: User) -> dict[str, str]:
    """Return what a letter to this person would carry."""
    return {
        "uid": urlsafe_base64_encode(force_bytes(person.pk)),
        "token": default_token_generator.make_token(person),
    }


# --- Changing it --------------------------------------------------------------


def test_password_change_keeps_this_session_and_ends_all_else(alice):
    session, other, token = with_session(alice), with_session(alice), with_token(alice)
    key = session.session.session_key
    response = session.post(CHANGE, {"old_password": PASSWORD, "new_password": NEW})
    assert (response.status_code, response.content) == (204, b"")
    assert session.get(ME).status_code == 200
    assert session.session.session_key != key
    assert other.get(ME).status_code == 401
    assert token.get(ME).status_code == 401
    assert not AccessToken.objects.exists()
    assert (log_in(PASSWORD), log_in(NEW)) == (401, 200)
    assert not Event.objects.exists()


def test_password_change_by_a_token_ends_the_token_too(alice):
    session, token = with_session(alice), with_token(alice)
    response = token.post(CHANGE, {"old_password": PASSWORD, "new_password": NEW})
    assert response.status_code == 204
    assert token.get(ME).status_code == 401
    assert session.get(ME).status_code == 401
    assert log_in(NEW) == 200


def test_password_change_leaves_others_alone(alice, bob):
    token = with_token(bob)
    with_session(alice).post(CHANGE, {"old_password": PASSWORD, "new_password": NEW})
    assert token.get(ME).status_code == 200
    assert User.objects.get(pk=bob.pk).check_password(PASSWORD)


def test_password_change_with_the_wrong_old_one_changes_nothing(alice):
    session, token = with_session(alice), with_token(alice)
    response = session.post(CHANGE, {"old_password": "wrong", "new_password": NEW})
    assert response.status_code == 400
    assert response.json() == {"old_password": ["Wrong password."]}
    assert log_in(PASSWORD) == 200
    assert token.get(ME).status_code == 200


@pytest.mark.parametrize(("password", "errors"), WEAK)
def test_password_change_to_a_weak_one_names_the_field(alice, password, errors):
    change = {"old_password": PASSWORD, "new_password": password}
    response = with_session(alice).post(CHANGE, change)
    assert response.status_code == 400
    assert response.json() == {"new_password": errors}
    assert User.objects.get().check_password(PASSWORD)


def test_password_change_without_anything_names_what_is_required(as_alice):
    response = as_alice.post(CHANGE, {})
    assert response.json() == {"old_password": REQUIRED, "new_password": REQUIRED}


# --- Asking for a letter ------------------------------------------------------


def test_password_reset_sends_a_letter_that_sets_the_password(
    anonymous, alice, letters, settings
):
    """Without a page to link to, the e-mail has the values themselves."""
    settings.WEB_CLIENT = False
    response = anonymous.post(RESET, {"email": "ALICE@example.org"})
    [letter] = letters()
    found = re.search(r"uid: +(\S+)\s+token: +(\S+)", letter.body)
    fields = {"uid": found[1], "token": found[2], "new_password": NEW}
    assert (response.status_code, response.content) == (204, b"")
    assert (letter.subject, letter.to) == ("Reset your password", [alice.email])
    assert letter.from_email == project_settings.DEFAULT_FROM_EMAIL
    assert anonymous.post(CONFIRM, fields).status_code == 204
    assert log_in(NEW) == 200


def test_password_reset_letter_has_nothing_that_the_person_wrote(
    anonymous, alice, letters, settings
):
    """Nobody has proved the address: names would be a stranger's words to it."""
    settings.PASSWORD_RESET_URL = "https://app.example/reset?uid={uid}&token={token}"
    User.objects.update(
        username="evil.example",
        first_name="You won!\nSee https://evil.example",
        last_name="evil.example",
        phone_number="+1 202 555 0100",
    )
    anonymous.post(RESET, {"email": alice.email})
    [letter] = letters()
    [link] = re.findall(r"https?://\S+", letter.body)
    assert link.startswith("https://app.example/reset?uid=")
    assert letter.body.strip() == TEXT.strip().replace("LINK", link)
    assert "evil" not in letter.message().as_string()


def test_password_reset_letter_links_to_the_frontend(
    anonymous, alice, letters, settings
):
    settings.PASSWORD_RESET_URL = "https://app.example/reset?uid={uid}&token={token}"
    anonymous.post(RESET, {"email": alice.email})
    [letter] = letters()
    uid = urlsafe_base64_encode(force_bytes(alice.pk))
    assert f"https://app.example/reset?uid={uid}&token=" in letter.body
    assert "&amp;" not in letter.body


# What follows the web client's address: the values, in the fragment.
FRAGMENT = r"#/reset/([A-Za-z0-9_-]+)/([a-z0-9]+-[a-f0-9]+)"


@pytest.fixture
def link_by(anonymous, alice, letters, settings) -> Callable[..., str]:
    """Return a function that asks with this Host and gives the link, if any."""
    settings.ALLOWED_HOSTS = ["chat.example", "[::1]", "*", ".shared.example"]

    def ask(host: str = "chat.example", **environ: str) -> str:
        environ = {"SERVER_PORT": "8000", "HTTP_HOST": host} | environ
        anonymous.post(RESET, {"email": alice.email}, **environ)
        return "".join(
            re.findall(r"^    (http.*)$", letters().pop().body, re.MULTILINE)
        )

    return ask


def test_password_reset_by_the_link_to_the_web_client(link_by, anonymous):
    """Nothing is set but the mail server: the page is the product's own."""
    address, _, fragment = link_by().partition("#")
    uid, token = re.fullmatch(FRAGMENT, f"#{fragment}").groups()
    assert anonymous.get(address).templates[0].name == "chats/client.html"
    fields = {"uid": uid, "token": token, "new_password": NEW}
    assert anonymous.post(CONFIRM, fields).status_code == 204
    assert log_in(NEW) == 200


@pytest.mark.parametrize(
    ("host", "environ", "address"),
    [
        ("chat.example", {}, "http://chat.example/"),
        ("Chat.Example.", {}, "http://chat.example/"),
        ("chat.example:80", {}, "http://chat.example:80/"),
        ("chat.example:8000", {}, "http://chat.example:8000/"),
        ("[::1]:8000", {}, "http://[::1]:8000/"),
        ("chat.example", {"wsgi.url_scheme": "https"}, "https://chat.example/"),
    ],
)
def test_password_reset_link_is_at_the_address_that_was_asked(
    link_by, host, environ, address
):
    assert re.fullmatch(re.escape(address) + FRAGMENT, link_by(host, **environ))


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",  # let through by "*"
        "evil.shared.example",
        "shared.example",
        ".shared.example",
        "chat.example.evil.example",
        "chat.example:4444",  # another server on the same machine
        "chat.example:443",  # not of plain HTTP
    ],
)
def test_password_reset_has_no_link_to_a_host_that_is_not_named(link_by, host):
    """Whoever asks writes the Host: a link to it would hand the values over."""
    assert link_by(host) == ""


def test_password_reset_with_a_host_that_is_not_served_sends_nothing(
    anonymous, alice, letters, settings
):
    settings.ALLOWED_HOSTS = ["chat.example"]
    forged = {"HTTP_X_FORWARDED_HOST": "evil.example", "HTTP_HOST": "evil.example"}
    answer = anonymous.post(RESET, {"email": alice.email}, **forged)
    assert (answer.status_code, letters()) == (400, [])


def test_password_reset_link_ignores_what_proxies_may_not_say(link_by):
    forged = {
        "HTTP_X_FORWARDED_HOST": "evil.example",
        "HTTP_ORIGIN": "http://evil.example",
    }
    assert link_by(**forged).startswith("http://chat.example/#")


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("root", ["", "/chat"])
def test_password_reset_arrives_over_smtp(alice, letters, settings, root):
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.DEFAULT_FROM_EMAIL = "Chat <chat@chat.example>"
    with mail_server() as mailbox, serving_in_thread(root_path=root) as server:
        settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", mailbox.port
        answer = httpx.post(f"{server.url}{root}{RESET}", json={"email": alice.email})
        letters()
    [(sender, recipients, message)] = mailbox.deliveries
    [link] = re.findall(r"http\S+", message.get_content())
    assert answer.status_code == 204
    assert (sender, recipients) == ("chat@chat.example", [alice.email])
    assert message["From"] == "Chat <chat@chat.example>"
    assert (message["To"], message["Subject"]) == (alice.email, "Reset your password")
    assert re.fullmatch(f"{re.escape(server.url)}{root}/{FRAGMENT}", link)
    assert link in message.get_payload(decode=False)  # in one line, as it is


def test_password_reset_is_204_whoever_asks(anonymous, alice, bob, letters):
    deactivate_user(bob, actor=bob)
    for email in ("nobody@example.org", bob.email):
        response = anonymous.post(RESET, {"email": email})
        assert (response.status_code, response.content) == (204, b"")
    assert letters() == []


def test_password_reset_takes_one_query_whoever_asks(
    anonymous, alice, letters, django_assert_num_queries
):
    for email in (alice.email, "nobody@example.org"):
        with django_assert_num_queries(1):
            anonymous.post(RESET, {"email": email})


def test_password_reset_sends_five_letters_an_hour_at_most(anonymous, alice, letters):
    with time_machine.travel(timezone.now(), tick=False) as clock:
        for _ in range(7):
            assert anonymous.post(RESET, {"email": alice.email}).status_code == 204
        assert len(letters()) == 5
        clock.shift(3601)
        anonymous.post(RESET, {"email": alice.email})
        assert len(letters()) == 6


def test_password_reset_survives_a_mail_server_that_is_down(
    anonymous, alice, letters, settings, caplog
):
    locmem = settings.EMAIL_BACKEND
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", 1
    assert anonymous.post(RESET, {"email": alice.email}).status_code == 204
    assert letters() == []
    settings.EMAIL_BACKEND = locmem
    assert anonymous.post(RESET, {"email": alice.email}).status_code == 204
    assert len(letters()) == 1


@pytest.mark.parametrize(
    ("email", "errors"),
    [
        ("alice", ["Enter a valid email address."]),
        ("a@b.cd\nBcc: eve@example.org", ["Enter a valid email address."]),
        ("", ["This field may not be blank."]),
        (None, ["This field may not be null."]),
        (["alice@example.org"], ["Enter a valid email address."]),
    ],
)
def test_password_reset_with_bad_input_names_the_field(anonymous, db, email, errors):
    response = anonymous.post(RESET, {"email": email})
    assert response.status_code == 400
    assert response.json() == {"email": errors}


# --- Setting it ---------------------------------------------------------------


def test_password_reset_confirm_ends_sessions_and_tokens(anonymous, alice):
    session, token = with_session(alice), with_token(alice)
    fields = credentials_of(alice) | {"new_password": NEW}
    response = anonymous.post(CONFIRM, fields)
    assert (response.status_code, response.content) == (204, b"")
    assert session.get(ME).status_code == 401
    assert token.get(ME).status_code == 401
    assert (log_in(PASSWORD), log_in(NEW)) == (401, 200)


def test_password_reset_token_works_once(anonymous, alice):
    fields = credentials_of(alice) | {"new_password": NEW}
    assert anonymous.post(CONFIRM, fields).status_code == 204
    again = anonymous.post(CONFIRM, fields | {"new_password": PASSWORD})
    assert again.status_code == 400
    assert again.json() == INVALID
    assert User.objects.get().check_password(NEW)


@pytest.mark.parametrize(("seconds", "status"), [(-60, 204), (60, 400)])
def test_password_reset_token_expires(anonymous, alice, settings, seconds, status):
    fields = credentials_of(alice) | {"new_password": NEW}
    later = timedelta(seconds=settings.PASSWORD_RESET_TIMEOUT + seconds)
    with time_machine.travel(timezone.now() + later):
        response = anonymous.post(CONFIRM, fields)
    assert response.status_code == status
    assert User.objects.get().check_password(NEW) is (status == 204)


@pytest.mark.parametrize(
    "change",
    [
        {"email": "new@example.org"},
        {"last_login": timezone.now()},
        {"is_active": False},
    ],
)
def test_password_reset_token_ends_when_the_account_changes(anonymous, alice, change):
    fields = credentials_of(alice) | {"new_password": NEW}
    User.objects.update(**change)
    response = anonymous.post(CONFIRM, fields)
    assert response.status_code == 400
    assert response.json() == INVALID


@pytest.mark.parametrize(
    "forged",
    [
        {"token": "x"},
        {"token": "cpz9m8-" + "0" * 32},
        {"uid": "x"},
        {"uid": "é"},
        {"uid": "____"},
        {"uid": urlsafe_base64_encode(b"1")},
        {"uid": urlsafe_base64_encode(b"\0" * 16)},
        {"uid": urlsafe_base64_encode(b"01900000-0000-7000-8000-000000000000")},
    ],
)
def test_password_reset_with_forged_credentials_changes_nothing(
    anonymous, alice, forged
):
    fields = credentials_of(alice) | {"new_password": NEW} | forged
    response = anonymous.post(CONFIRM, fields)
    assert response.status_code == 400
    assert response.json() == INVALID
    assert User.objects.get().check_password(PASSWORD)


def test_password_reset_token_of_another_person_is_invalid(anonymous, alice, bob):
    mixed = credentials_of(alice) | {"token": credentials_of(bob)["token"]}
    response = anonymous.post(CONFIRM, mixed | {"new_password": NEW})
    assert response.status_code == 400
    assert response.json() == INVALID


@pytest.mark.parametrize(("password", "errors"), WEAK)
def test_password_reset_to_a_weak_one_names_the_field(
    anonymous, alice, password, errors
):
    fields = credentials_of(alice) | {"new_password": password}
    response = anonymous.post(CONFIRM, fields)
    assert response.status_code == 400
    assert response.json() == {"new_password": errors}
    assert anonymous.post(CONFIRM, fields | {"new_password": NEW}).status_code == 204


def test_password_reset_confirm_without_anything_names_what_is_required(anonymous, db):
    response = anonymous.post(CONFIRM, {})
    assert response.status_code == 400
    assert response.json() == {
        "uid": REQUIRED,
        "token": REQUIRED,
        "new_password": REQUIRED,
    }
