"""A renewed log: cursors from before are void, once, and nothing else changes."""

import pytest
from django.core.management import call_command

from chats.models import Event, EventLog
from chats.realtime import cursors
from tests.support.factories import send, start
from tests.support.routes import EVENTS as URL
from tests.support.routes import STREAM


def renew(capsys) -> str:
    """Run the command, as between two processes; return the identity it printed."""
    call_command("renew_log")
    cursors._log_identity = ""
    first, _, identity = capsys.readouterr().out.strip().partition("The log is now ")
    assert first == ""
    return identity.removesuffix(": older cursors are invalid.")


def cursor_of(client) -> str:
    return client.get(URL).json()["cursor"]


@pytest.fixture
def before(as_bob, conversation) -> str:
    """A cursor of bob's, from before the log was renewed."""
    return cursor_of(as_bob)


def test_older_cursors_are_gone_and_newer_ones_go_on(
    as_bob, alice, bob, conversation, before, capsys
):
    identity = renew(capsys)
    for number in range(3):
        send(alice, conversation, f"Hello {number}")
    for old in (before, "1-0", f"1-{Event.objects.last_id()}"):
        answer = as_bob.get(URL, {"after": old})
        assert (answer.status_code, answer.json()["code"]) == (410, "gone")
    now = cursor_of(as_bob)
    assert now == f"{identity}-{Event.objects.last_id()}"
    send(alice, conversation, "News")
    answer = as_bob.get(URL, {"after": now}).json()
    assert [event["message"]["message_body"] for event in answer["events"]] == ["News"]
    assert answer["cursor"] == answer["events"][-1]["id"] == cursor_of(as_bob)


def test_stream_with_an_older_cursor_begins_with_reset(as_bob, before, capsys):
    identity = renew(capsys)
    body = as_bob.get(URL, {"after": before}, **STREAM).content.decode()
    assert "event: reset\n" in body
    assert f"id: {identity}-{Event.objects.last_id()}\n" in body


def test_each_renewal_is_another_log(as_bob, before, capsys):
    first = renew(capsys)
    middle = cursor_of(as_bob)
    assert as_bob.get(URL, {"after": middle}).status_code == 200
    assert renew(capsys) != first
    assert as_bob.get(URL, {"after": middle}).status_code == 410


def test_renewing_deletes_nothing(alice, bob, conversation, capsys):
    EventLog.objects.create(pruned_through_id=1)
    count = Event.objects.count()
    renew(capsys)
    assert (Event.objects.count(), EventLog.pruned_through()) == (count, 1)


def test_process_that_ran_on_refuses_older_cursors_all_the_same(
    as_bob, alice, bob, before, capsys
):
    identity = renew(capsys)
    cursors._log_identity = EventLog.FIRST  # as another process last read it
    start(alice, bob)
    assert as_bob.get(URL, {"after": before}).status_code == 410
    assert cursor_of(as_bob).startswith(f"{identity}-")


def test_cursor_that_names_no_possible_log_is_malformed(as_bob, conversation):
    for cursor in ("2-1", "f" * 15 + "-1", "F" * 16 + "-1", "f" * 17 + "-1"):
        assert as_bob.get(URL, {"after": cursor}).status_code == 400
    assert as_bob.get(URL, {"after": "f" * 16 + "-1"}).status_code == 410
