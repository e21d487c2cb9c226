"""What one is signed in with: the list of sessions and tokens, and ending them."""

from datetime import timedelta

import pytest
import time_machine
from django.contrib.sessions.backends.base import UpdateError
from django.test import Client
from django.utils import timezone
from rest_framework.test import APIClient

from chats.models import AccessToken, AuditEntry, User, UserSession
from chats.models.sessions import device_of
from chats.models.sign_in import digest_of
from chats.services.session_store import SessionStore
from chats.services.sessions import end_sign_in
from chats.services.users import deactivate_user
from tests.support.bodies import rfc3339
from tests.support.callers import ME, is_in, with_token
from tests.support.factories import PASSWORD

LOGIN = "/api/auth/login/"
SESSIONS = "/api/auth/sessions/"
OTHERS = "/api/auth/sessions/revoke_others/"
NOBODY = "01900000-0000-7000-8000-000000000000"
NOT_FOUND = {"detail": "Not found.", "code": "not_found"}
FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"


def browser_of(user: User, **headers: str) -> APIClient:
    """Return a client with a session of its own."""
    client = APIClient(**headers)
    answer = client.post(LOGIN, {"username": user.username, "password": PASSWORD})
    assert answer.status_code == 200
    return client


def id_of(client: APIClient) -> str:
    [current] = [item for item in results(client) if item["is_current"]]
    return current["session_id"]


def deeds(user: User) -> list[tuple]:
    """What was done to a person, in order: what, by whom, details."""
    entries = AuditEntry.objects.filter(user_id=user.pk).order_by("entry_id")
    return list(entries.values_list("action", "actor_id", "details"))


def results(client: APIClient, query: str = "") -> list[dict]:
    return client.get(SESSIONS + query).json()["results"]


# --- The list -----------------------------------------------------------------


def test_sessions_list_shows_ones_own_of_both_kinds_newest_first(alice, bob):
    browser_of(bob)
    with_token(bob)
    with time_machine.travel(timezone.now(), tick=False) as clock:
        browser = browser_of(
            alice, HTTP_USER_AGENT=FIREFOX, REMOTE_ADDR="2001:db8:0::1"
        )
        clock.shift(1)
        with_token(alice, "backup")
        response = browser.get(SESSIONS)
    token, session = alice.access_tokens.get(), alice.sessions.get()
    assert response.status_code == 200
    assert response.json() == {
        "next": None,
        "previous": None,
        "results": [
            {
                "session_id": str(token.pk),
                "kind": "token",
                "name": "backup",
                "user_agent": "",
                "address": "",
                "created_at": rfc3339(token.created_at),
                "last_used_at": None,
                "expires_at": rfc3339(token.expires_at),
                "is_current": False,
            },
            {
                "session_id": str(session.session_id),
                "kind": "session",
                "name": "Firefox on Linux",
                "user_agent": FIREFOX,
                "address": "2001:db8::1",
                "created_at": rfc3339(session.created_at),
                "last_used_at": rfc3339(session.created_at),
                "expires_at": rfc3339(session.created_at + timedelta(days=14)),
                "is_current": True,
            },
        ],
    }


def test_sessions_list_by_a_token_names_the_token_as_current(alice):
    browser_of(alice)
    script = with_token(alice)
    shown = {item["kind"]: item["is_current"] for item in results(script)}
    assert shown == {"token": True, "session": False}


def test_sessions_list_has_sign_ins_to_the_admin(alice):
    User.objects.update(is_staff=True)
    form = {"username": "alice", "password": PASSWORD}
    Client().post("/admin/login/", form, headers={"User-Agent": "curl/8.5.0"})
    assert [item["name"] for item in results(with_token(alice))][1:] == ["curl"]


def test_sessions_list_leaves_out_what_has_run_out(as_alice, alice):
    browser_of(alice)
    with_token(alice)
    UserSession.objects.update(expire_date=timezone.now())
    AccessToken.objects.update(expires_at=timezone.now())
    assert results(as_alice) == []


@pytest.mark.parametrize("count", [1, 3, 50])
def test_sessions_list_takes_one_query(
    as_alice, alice, count, django_assert_num_queries
):
    for _ in range(count):
        Client().force_login(alice)
        AccessToken.objects.issue(alice, "script", None)
    with django_assert_num_queries(1):
        assert len(results(as_alice, "?page_size=200")) == 2 * count


def test_sessions_list_pages_over_both_kinds_and_back(as_alice, alice):
    now = timezone.now()
    for number in range(4):
        with time_machine.travel(now + timedelta(seconds=number), tick=False):
            Client().force_login(alice)
            AccessToken.objects.issue(alice, "script", None)
    whole = results(as_alice)
    pages, url = [], f"{SESSIONS}?page_size=3"
    while url:
        pages.append(as_alice.get(url).json())
        url = pages[-1]["next"]
    back = as_alice.get(pages[-1]["previous"]).json()

    assert [len(page["results"]) for page in pages] == [3, 3, 2]
    assert [item for page in pages for item in page["results"]] == whole
    assert back["results"] == pages[1]["results"]
    assert len({item["session_id"] for item in whole}) == 8


# --- Ending them --------------------------------------------------------------


@pytest.mark.parametrize("client_of", [browser_of, with_token])
def test_session_ended_opens_nothing_and_others_still_do(as_alice, alice, client_of):
    lost, kept, other = client_of(alice), browser_of(alice), with_token(alice)
    response = as_alice.delete(f"{SESSIONS}{id_of(lost)}/")
    assert (response.status_code, response.content) == (204, b"")
    assert [is_in(client) for client in (lost, kept, other)] == [False, True, True]


@pytest.mark.parametrize("client_of", [browser_of, with_token])
def test_session_ends_itself(alice, client_of):
    client, other = client_of(alice), browser_of(alice)
    response = client.delete(f"{SESSIONS}{id_of(client)}/")
    assert response.status_code == 204
    assert [is_in(client), is_in(other)] == [False, True]


def test_session_that_ends_itself_takes_its_cookie_along(alice):
    client = browser_of(alice)
    client.delete(f"{SESSIONS}{id_of(client)}/")
    assert client.cookies["sessionid"].value == ""
    assert not UserSession.objects.exists()


@pytest.mark.parametrize("client_of", [browser_of, with_token])
def test_session_of_another_person_is_404(as_mallory, as_admin, alice, client_of):
    client = client_of(alice)
    for other in (as_mallory, as_admin):
        answers = [
            other.delete(f"{SESSIONS}{pk}/") for pk in (id_of(client), NOBODY, "x")
        ]
        assert [answer.status_code for answer in answers] == [404] * 3
        assert [answer.json() for answer in answers] == [NOT_FOUND] * 3
    assert is_in(client)


def test_session_ended_twice_is_404(as_alice, alice):
    url = f"{SESSIONS}{id_of(browser_of(alice))}/"
    assert [as_alice.delete(url).status_code for _ in range(2)] == [204, 404]


@pytest.mark.parametrize("client_of", [browser_of, with_token])
def test_others_ended_leave_the_current_one(alice, bob, client_of):
    clients = [browser_of(alice), with_token(alice), browser_of(bob), with_token(bob)]
    current = client_of(alice)
    response = current.post(OTHERS)
    assert (response.status_code, response.content) == (204, b"")
    assert is_in(current)
    assert [is_in(client) for client in clients] == [False, False, True, True]


def test_ending_is_recorded(alice, bob):
    current = browser_of(alice)
    session, token = browser_of(alice, HTTP_USER_AGENT=FIREFOX), with_token(alice)
    browser_of(bob)
    prefix = alice.access_tokens.get().prefix
    for client in (session, token):
        current.delete(f"{SESSIONS}{id_of(client)}/")
    assert deeds(alice) == [
        ("session.revoked", alice.pk, "Firefox on Linux"),
        ("token.revoked", alice.pk, f"script ({prefix}…)"),
    ]


def test_ending_others_is_recorded_whole(alice):
    current = browser_of(alice)
    for _ in range(40):
        Client().force_login(alice)
    with_token(alice)
    prefix = alice.access_tokens.get().prefix
    current.post(OTHERS)
    current.post(OTHERS)  # there is nothing left to end, nor to record
    assert deeds(alice) == [
        ("session.revoked", alice.pk, ", ".join(["Unknown device"] * 31)),
        ("session.revoked", alice.pk, ", ".join(["Unknown device"] * 9)),
        ("token.revoked", alice.pk, f"script ({prefix}…)"),
    ]


def test_session_ended_by_the_staff_is_recorded_as_theirs(alice, bob):
    browser_of(alice, HTTP_USER_AGENT=FIREFOX)
    end_sign_in(alice, alice.sessions.get().session_id, actor=bob)
    assert deeds(alice) == [("session.revoked", bob.pk, "Firefox on Linux")]


def test_sessions_of_the_suspended_and_the_deleted_are_gone(alice, bob):
    for user in (alice, bob):
        browser_of(user)
    deactivate_user(alice, actor=bob)
    with_token(bob).delete(ME, {"current_password": PASSWORD})
    assert not UserSession.objects.exists()


# --- What a session keeps -----------------------------------------------------


def test_session_key_is_stored_as_a_digest_only(alice):
    key = browser_of(alice).session.session_key
    assert digest_of(key) == alice.sessions.get().pk
    [row] = UserSession.objects.values()
    assert key not in repr(row)
    stolen = APIClient()
    stolen.cookies["sessionid"] = digest_of(key)
    assert not is_in(stolen)


def test_session_use_is_noted_at_most_once_a_minute(alice):
    browser = browser_of(alice, REMOTE_ADDR="192.0.2.1")
    browser.defaults["REMOTE_ADDR"] = "192.0.2.2"
    first = alice.sessions.get()
    noted = []
    for seconds in (59, 61, 119):
        with time_machine.travel(first.created_at + timedelta(seconds=seconds)):
            browser.get(ME)
        row = alice.sessions.get()
        noted.append(((row.last_used_at - first.created_at).seconds, row.address))
    assert noted == [(0, "192.0.2.1"), (61, "192.0.2.2"), (61, "192.0.2.2")]
    assert row.created_at == first.created_at


def test_token_use_is_noted_with_its_address(alice):
    script = with_token(alice)
    script.get(ME, REMOTE_ADDR="192.0.2.9")
    [shown] = results(script)
    assert shown["address"] == "192.0.2.9"
    assert shown["last_used_at"] == rfc3339(alice.access_tokens.get().last_used_at)


def test_session_ended_meanwhile_is_not_brought_back(alice):
    browser_of(alice)
    store = SessionStore(browser_of(alice).session.session_key)
    store["seen"] = "something"
    UserSession.objects.all().delete()
    with pytest.raises(UpdateError):
        store.save()
    assert not UserSession.objects.exists()


def test_session_takes_any_user_agent(alice):
    browser_of(alice, HTTP_USER_AGENT="\0 é \xff" + "x" * 5000)
    assert alice.sessions.get().user_agent == " é \xff" + "x" * 196


def test_password_change_leaves_the_current_session_in_the_list(alice):
    browser, _ = browser_of(alice), browser_of(alice)
    change = {"old_password": PASSWORD, "new_password": "an-0ther-good-one"}
    browser.post("/api/auth/password/change/", change)
    assert [item["is_current"] for item in results(browser)] == [True]


@pytest.mark.parametrize(
    ("user_agent", "name"),
    [
        (FIREFOX, "Firefox on Linux"),
        (
            "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like "
            "Gecko) Chrome/140.0.0.0 Safari/537.36 Edg/140.0.0.0",
            "Edge on Windows",
        ),
        (
            "Mozilla/5.0 (Linux; Android 15) AppleWebKit/537.36 (KHTML, like Gecko) "
            "Chrome/140.0.0.0 Mobile Safari/537.36",
            "Chrome on Android",
        ),
        (
            "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) "
            "AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.5 Safari/604.1",
            "Safari on iPhone",
        ),
        ("curl/8.5.0", "curl"),
        ("python-httpx/0.28", "python-httpx"),
        ("", "Unknown device"),
        ("<script>", "Unknown device"),
        ("x" * 200, "x" * 40),
    ],
)
def test_device_is_named_after_the_user_agent(user_agent, name):
    assert device_of(user_agent) == name


# --- How many -----------------------------------------------------------------


def test_signing_in_once_too_often_ends_the_session_unused_for_longest(
    alice, bob, settings
):
    settings.MAX_SESSIONS_PER_USER = 2
    with time_machine.travel(timezone.now(), tick=False) as clock:
        other, script = browser_of(bob), with_token(alice)
        first, second = browser_of(alice), browser_of(alice)
        clock.shift(120)
        assert is_in(first)  # so the second is unused for longer
        clock.shift(120)
        third = browser_of(alice)

        clients = [first, second, third, other, script]
        assert [is_in(client) for client in clients] == [True, False, True, True, True]
        assert alice.sessions.count() == 2


def test_session_just_begun_stays_whatever_the_clocks_say(alice, settings):
    settings.MAX_SESSIONS_PER_USER = 1
    with time_machine.travel(timezone.now() + timedelta(hours=1), tick=False):
        first = browser_of(alice)
    second = browser_of(alice)

    assert [is_in(client) for client in (first, second)] == [False, True]


def test_what_is_no_signing_in_ends_no_session(alice, settings):
    clients = [browser_of(alice) for _ in range(3)]
    settings.MAX_SESSIONS_PER_USER = 1
    for client in clients:
        session = client.session
        session["seen"] = True
        session.save()

    assert alice.sessions.count() == 3


def test_own_new_password_keeps_the_session_it_was_set_in(alice, settings):
    settings.MAX_SESSIONS_PER_USER = 1
    client = browser_of(alice)

    passwords = {"old_password": PASSWORD, "new_password": "quiet-Meadow-42"}
    client.post("/api/auth/password/change/", passwords)

    assert is_in(client)
