"""A real browser follows the stream: EventSource, fetch, a session, nothing else.

The server runs from a process and a database of its own, so that it can be killed
and started again on its port.
"""

import signal
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.browser import (
    PASSWORD,
    Restartable,
    browsing,
    playwright_and_chromium,
    serving,
)

FOLLOW = """
async ({username, password}) => {
    window.source?.close();  // of an earlier test
    window.got = [];
    window.breaks = 0;
    const answer = await fetch("/api/auth/login/", {
        method: "POST",
        headers: {"Content-Type": "application/json"},
        body: JSON.stringify({username, password}),
    });
    window.source = new EventSource("/api/events/");
    source.addEventListener("message.created", (event) =>
        got.push([event.lastEventId, JSON.parse(event.data).message]));
    source.onerror = () => { breaks += 1; };
    await new Promise((ready) => source.addEventListener("ready", ready));
    return answer.status;
}
"""
SIGN_OUT = r"""
async () => {
    const [, token] = document.cookie.match(/csrftoken=(\w+)/);
    const headers = {"X-CSRFToken": token};
    const answer = await fetch("/api/auth/logout/", {method: "POST", headers});
    return answer.status;
}
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory) -> Iterator[Restartable]:
    playwright_and_chromium()
    with serving(tmp_path_factory.mktemp("browser")) as server:
        yield server


@pytest.fixture(scope="module")
def page(server) -> Iterator[Any]:
    with browsing(server.url) as page:
        yield page


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM], ids=lambda n: n.name)
def test_browser_misses_nothing_over_a_restart(server, page, how):
    texts = [f"number {n}" for n in range(1, 31)]
    names = [f"{name}-{how.name.lower()}" for name in ("nina", "omar")]
    nina, omar = server.sign_up(*names)
    token = server.token_of(names[1])
    plans = server.call("POST", "conversations/", {"participant_ids": [nina]}, token)
    there = plans["conversation_id"]
    assert page.evaluate(FOLLOW, {"username": names[0], "password": PASSWORD}) == 200

    server.send(token, there, *texts[:10])
    page.wait_for_function("got.length >= 5")
    server.stop(how)
    server.start()
    server.send(token, there, *texts[10:20])
    page.wait_for_function("got.length >= 20")
    server.send(token, there, *texts[20:])
    page.wait_for_function("got.length >= 30")

    got = page.evaluate("got")
    assert [message["message_body"] for _, message in got] == texts
    assert {message["sender"]["user_id"] for _, message in got} == {omar}
    assert len({cursor for cursor, _ in got}) == 30
    assert page.evaluate("breaks") >= 1
    assert page.evaluate("source.readyState") == 1


def test_browsers_stream_ends_with_its_session(server, page):
    server.sign_up("pia")
    page.evaluate(FOLLOW, {"username": "pia", "password": PASSWORD})

    assert page.evaluate(SIGN_OUT) == 204
    # It comes back once, is refused as anyone signed out, and gives up.
    page.wait_for_function("source.readyState === EventSource.CLOSED")
