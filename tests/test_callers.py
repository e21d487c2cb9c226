"""Whose call it is, before Django has looked at it."""

import pytest

from chats import callers as callers_module
from chats.addresses import network_in
from chats.callers import Callers, note_person, note_refusal

PEER = ("192.0.2.1", 4711)
TOKEN = [(b"authorization", b"Token of bob")]
SESSION = [(b"cookie", b"csrftoken=x; sessionid=of-bob; theme=dark")]


@pytest.fixture
def clock() -> list[float]:
    return [1000.0]


@pytest.fixture
def callers(clock) -> Callers:
    return Callers(network_in, clock=lambda: clock[0])


def accept(callers: Callers, headers, person: str = "bob") -> None:
    """Have Django find out that the credential is this person's."""
    caller = callers.identify(PEER, headers)
    note_person({"chats.caller": caller}, person)
    callers.learn(caller, 200)


@pytest.mark.parametrize("headers", [[], TOKEN, SESSION])
def test_caller_is_the_address_until_a_credential_was_accepted(headers, callers):
    assert callers.identify(PEER, headers).key == "192.0.2.1"


@pytest.mark.parametrize("headers", [TOKEN, SESSION])
def test_caller_is_the_person_once_the_credential_was_accepted(headers, callers):
    accept(callers, headers)

    assert callers.identify(("192.0.2.2", 1), headers).key == "bob"
    assert callers.identify(PEER, []).key == "192.0.2.1"
    assert callers.identify(PEER, [(b"authorization", b"Token x")]).key == "192.0.2.1"


def test_credentials_of_one_person_are_one_caller(callers):
    accept(callers, TOKEN)
    accept(callers, SESSION)

    keys = {callers.identify(PEER, headers).key for headers in (TOKEN, SESSION)}
    assert keys == {"bob"}


def test_credential_that_is_refused_is_forgotten(callers):
    accept(callers, TOKEN)

    callers.learn(callers.identify(PEER, TOKEN), 401)

    assert callers.identify(PEER, TOKEN).key == "192.0.2.1"


def test_credentials_used_last_are_remembered(callers, monkeypatch):
    monkeypatch.setattr(callers_module, "REMEMBERED", 2)
    first, second, third = ([(b"authorization", name)] for name in (b"1", b"2", b"3"))
    accept(callers, first)
    accept(callers, second)
    callers.identify(PEER, first)
    accept(callers, third)

    known = [callers.identify(PEER, each).key for each in (first, second, third)]
    assert known == ["bob", "192.0.2.1", "bob"]


def test_address_is_what_limits_by_address_count(callers, settings):
    settings.TRUSTED_PROXIES = 1
    forwarded = [(b"x-forwarded-for", b"6.6.6.6, 2001:db8:1:2:3::4")]

    assert callers.identify(PEER, forwarded).key == "2001:db8:1:2::/64"


def refuse(callers: Callers, headers, person: str, until: float) -> None:
    caller = callers.identify(PEER, headers)
    meta = {"chats.caller": caller}
    if person:
        note_person(meta, person)
    note_refusal(meta, until)
    callers.learn(caller, 429)


def test_person_whose_allowance_is_used_up_waits_with_every_credential(callers, clock):
    accept(callers, SESSION)
    refuse(callers, TOKEN, "bob", until=1030.0)

    waits = [
        callers.wait_of(callers.identify(PEER, each)) for each in (TOKEN, SESSION, [])
    ]
    clock[0] = 1030.0
    later = callers.wait_of(callers.identify(PEER, TOKEN))

    assert (waits, later) == ([30.0, 30.0, 0.0], 0.0)


def test_address_whose_allowance_is_used_up_waits_without_a_credential_only(callers):
    """One that is not known yet may be of somebody whose allowance is not."""
    accept(callers, SESSION)
    refuse(callers, [], "", until=1030.0)

    waits = [
        callers.wait_of(callers.identify(PEER, each)) for each in ([], TOKEN, SESSION)
    ]
    assert waits == [30.0, 0.0, 0.0]


def test_callers_who_wait_are_bounded(callers, monkeypatch):
    monkeypatch.setattr(callers_module, "REFUSALS_KEPT", 1)
    refuse(callers, TOKEN, "bob", until=1030.0)
    refuse(callers, SESSION, "alice", until=1030.0)

    waits = [callers.wait_of(callers.identify(PEER, each)) for each in (TOKEN, SESSION)]
    assert waits == [0.0, 30.0]


def test_note_without_the_shell_is_no_matter():
    note_person({}, "bob")
    note_refusal({}, 1030.0)
