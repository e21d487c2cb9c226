"""Whose call it is, before Django has looked at it."""

import pytest

from chats.web import callers as callers_module
from chats.web.addresses import network_in
from chats.web.callers import Callers, note_person, note_refusal

PEER = ("192.0.2.1", 4711)
TOKEN = [(b"authorization", b"Token of bob")]
SESSION = [(b"cookie", b"csrftoken=x; sessionid=of-bob; theme=dark")]


@pytest.fixture
def clock() -> list[float]:
    return [1000.0]


@pytest.fixture
def callers(clock) -> Callers:
    return Callers(network_in, clock=lambda: clock[0])


def kind_of(headers) -> str:
    return {b"authorization": "token", b"cookie": "session"}[headers[-1][0]]


def accept(callers: Callers, headers, person: str = "bob") -> None:
    """Have Django find out that the credential is this person's."""
    caller = callers.identify(PEER, headers)
    note_person({"chats.caller": caller}, kind_of(headers), person)
    callers.learn(caller)


@pytest.mark.parametrize(
    ("headers", "key"),
    [
        ([], "192.0.2.1"),
        (TOKEN, "192.0.2.1 token"),
        (SESSION, "192.0.2.1 session"),
        ([(b"authorization", b"Basic eDp5")], "192.0.2.1"),
    ],
)
def test_caller_is_the_address_until_a_credential_was_accepted(headers, key, callers):
    """Those with a credential that may be good do not wait behind those without."""
    assert callers.identify(PEER, headers).key == key


@pytest.mark.parametrize("headers", [TOKEN, SESSION])
def test_caller_is_the_person_once_the_credential_was_accepted(headers, callers):
    accept(callers, headers)

    assert callers.identify(("192.0.2.2", 1), headers).key == "bob"
    assert callers.identify(PEER, []).key == "192.0.2.1"
    other = [(b"authorization", b"Token x")]
    assert callers.identify(PEER, other).key == "192.0.2.1 token"


def test_token_is_the_same_under_both_of_its_schemes(callers):
    accept(callers, TOKEN)

    assert callers.identify(PEER, [(b"authorization", b"Bearer of bob")]).key == "bob"


def test_last_of_several_cookies_counts_as_it_does_for_django(callers):
    accept(callers, SESSION)
    twice = [(b"cookie", b"sessionid=junk; sessionid=of-bob")]

    assert callers.identify(PEER, twice).key == "bob"


def test_session_says_nothing_about_a_token_beside_it(callers):
    """A page looks at the cookie only."""
    both = [*TOKEN, *SESSION]
    caller = callers.identify(PEER, both)
    note_person({"chats.caller": caller}, "session", "bob")
    callers.learn(caller)

    assert callers.identify(PEER, TOKEN).key == "192.0.2.1 token"


def test_credentials_of_one_person_are_one_caller(callers):
    accept(callers, TOKEN)
    accept(callers, SESSION)

    keys = {callers.identify(PEER, headers).key for headers in (TOKEN, SESSION)}
    assert keys == {"bob"}


def test_credential_by_which_nobody_was_accepted_is_forgotten(callers):
    accept(callers, TOKEN)

    callers.learn(callers.identify(PEER, TOKEN))

    assert callers.identify(PEER, TOKEN).key == "192.0.2.1 token"


def test_credentials_used_last_are_remembered(callers, monkeypatch):
    monkeypatch.setattr(callers_module, "REMEMBERED", 2)
    first, second, third = (
        [(b"authorization", b"Token " + name)] for name in (b"1", b"2", b"3")
    )
    accept(callers, first)
    accept(callers, second)
    callers.identify(PEER, first)
    accept(callers, third)

    known = [callers.identify(PEER, each).key for each in (first, second, third)]
    assert known == ["bob", "192.0.2.1 token", "bob"]


def test_address_is_what_limits_by_address_count(callers, settings):
    settings.TRUSTED_PROXIES = 1
    forwarded = [(b"x-forwarded-for", b"6.6.6.6, 2001:db8:1:2:3::4")]

    assert callers.identify(PEER, forwarded).key == "2001:db8:1:2::/64"


# --- Allowances that are used up --------------------------------------------------


def refuse(callers: Callers, headers, key: str, until: float) -> None:
    caller = callers.identify(PEER, headers)
    meta = {"chats.caller": caller}
    if headers:
        note_person(meta, kind_of(headers), "bob")
    note_refusal(meta, key, until)
    callers.learn(caller)


def waits(callers: Callers, *heads) -> list[float]:
    return [callers.wait_of(callers.identify(PEER, headers)) for headers in heads]


def test_person_whose_allowance_is_used_up_waits_with_every_credential(callers, clock):
    accept(callers, SESSION)
    refuse(callers, TOKEN, "bob", until=1030.0)

    before = waits(callers, TOKEN, SESSION, [])
    clock[0] = 1030.0

    assert (before, waits(callers, TOKEN)) == ([30.0, 30.0, 0.0], [0.0])


def test_address_whose_allowance_is_used_up_waits_without_a_credential_only(callers):
    """One that is not known yet may be of somebody whose allowance is not."""
    accept(callers, SESSION)
    refuse(callers, [], "192.0.2.1", until=1030.0)

    assert waits(callers, [], TOKEN, SESSION) == [30.0, 0.0, 0.0]


def test_person_does_not_wait_for_the_allowance_of_their_address(callers):
    """Sign-in and the docs count everybody by address."""
    accept(callers, TOKEN)
    refuse(callers, TOKEN, "192.0.2.1", until=1030.0)

    assert waits(callers, TOKEN, []) == [0.0, 30.0]


def test_callers_who_wait_are_bounded(callers, monkeypatch):
    monkeypatch.setattr(callers_module, "REFUSALS_KEPT", 1)
    refuse(callers, TOKEN, "bob", until=1030.0)
    refuse(callers, [], "192.0.2.1", until=1030.0)

    assert waits(callers, TOKEN, []) == [0.0, 30.0]


def test_note_without_the_shell_is_no_matter():
    note_person({}, "token", "bob")
    note_refusal({}, "bob", 1030.0)
