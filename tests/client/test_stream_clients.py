"""The stream as clients of others see it, directly and through proxies that compress.

The clients are installed by ``make generators``, as those of ``test_clients``.
"""

import json
import shutil
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest

from chats.models import Conversation, User
from chats.realtime import hub, limits
from chats.server import shell as shell_module
from chats.server.shell import end_all
from chats.services import messages
from tests.support.browser import browsing
from tests.support.generators import CLIENTS, generators
from tests.support.servers import (
    PATIENCE,
    Server,
    serving_in_thread,
    session_of,
    token_of,
    wait_until,
)

NODE = ["eventsource", "event-source-polyfill", "fetch-event-source"]
PYTHON = ["httpx-sse", "sseclient-py"]
HAPROXY = """
defaults
  mode http
  timeout connect 5s
  timeout client 60s
  timeout server 60s
listen proxy
  bind 127.0.0.1:{port}
  compression algo gzip
  compression type text/event-stream application/json
  server one {server}
"""

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def server(transactional_db, monkeypatch) -> Iterator[Server]:
    """A server whose heart beats fast, and which asks nobody to wait for long."""
    monkeypatch.setattr(hub, "TIMER", 3600)
    monkeypatch.setattr(shell_module, "HEARTBEAT_EVERY", 0.5)
    monkeypatch.setattr(shell_module, "RETRY_SPREAD", (500, 501))
    monkeypatch.setattr(limits, "RETRY_AFTER", 2)
    with serving_in_thread() as server:
        yield server


Next = Callable[[], list]  # waits for what a client passes on next, and returns it


@contextmanager
def running(*command: str | Path) -> Iterator[subprocess.Popen]:
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    too_late = threading.Timer(4 * PATIENCE, process.kill)
    with process:
        too_late.start()
        try:
            yield process
        finally:
            too_late.cancel()
            process.kill()
    too_late.join()


@contextmanager
def following(
    client: str, url: str, user: User, directory: Path, *, pings: bool = False
) -> Iterator[Next]:
    """Run a client; yield what waits for its next message, without heartbeats."""
    secret = token_of(user)["Authorization"].removeprefix("Token ")
    folder = generators()
    if client in PYTHON:
        command = [folder / "venv/bin/python", CLIENTS / "follow.py"]
    else:
        command = ["node", script(directory, "follow.mjs")]
    with running(*command, client, url, secret) as process:

        def next_message() -> list:
            while line := process.stdout.readline():
                if pings or json.loads(line) != ["ping", {}]:
                    return json.loads(line)
            raise AssertionError(f"{client} has ended")

        yield next_message


def script(directory: Path, name: str) -> Path:
    """Return a copy of a script, beside the packages that it imports."""
    if not (directory / "node_modules").exists():
        (directory / "node_modules").symlink_to(generators() / "node_modules")
    return Path(shutil.copy(CLIENTS / name, directory))


@contextmanager
def through_nothing(server: Server, directory: Path) -> Iterator[str]:
    yield server.url


@contextmanager
def through_express(server: Server, directory: Path) -> Iterator[str]:
    with running("node", script(directory, "proxy.mjs"), server.url) as process:
        yield f"http://127.0.0.1:{int(process.stdout.readline())}"


@contextmanager
def through_haproxy(server: Server, directory: Path) -> Iterator[str]:
    if not shutil.which("haproxy"):
        pytest.skip("needs haproxy")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    place = server.url.removeprefix("http://")
    config = directory / "haproxy.cfg"
    config.write_text(HAPROXY.format(port=port, server=place))
    with running("haproxy", "-db", "-f", config):
        wait_until(lambda: listens(port))
        yield f"http://127.0.0.1:{port}"


def listens(port: int) -> bool:
    with socket.socket() as attempt:
        return attempt.connect_ex(("127.0.0.1", port)) == 0


def bodies(next_message: Next, count: int) -> list[str]:
    """Return the bodies of the next messages; whatever else comes is a fault."""
    got = [next_message() for _ in range(count)]
    assert {kind for kind, _ in got} == {"message.created"}
    return [data["message"]["message_body"] for _, data in got]


def send(actor: User, conversation: Conversation, *numbers: int) -> None:
    for number in numbers:
        messages.send_message(actor, conversation.pk, message_body=f"número {number}")


def end_streams(server: Server) -> None:
    """End them as at a restart, from the thread that they belong to."""
    [stream] = server.shell.streams
    loop = server.shell.beating.get_loop()
    loop.call_soon_threadsafe(end_all, [stream], "restart")
    wait_until(lambda: stream not in server.shell.streams)


def see_an_end_and_a_full_server(
    next_message: Next, server: Server, settings: Any, say: Callable[..., None]
) -> None:
    """Follow messages, a restart, a full process and more messages: each comes once."""
    assert next_message()[0] == "ready"
    say(*range(10))
    assert bodies(next_message, 10) == [f"número {n}" for n in range(10)]

    settings.MAX_STREAMS = 0
    end_streams(server)
    say(10, 11)
    ends = [next_message(), next_message()]
    assert [(kind, data["code"]) for kind, data in ends] == [
        ("end", "restart"),
        ("end", "full"),
    ]
    settings.MAX_STREAMS = 10
    say(12)
    assert bodies(next_message, 3) == [f"número {n}" for n in (10, 11, 12)]


@pytest.mark.parametrize("client", [*NODE, *PYTHON])
def test_client_gets_everything_once_over_an_end_and_a_full_server(
    client, server, settings, alice, bob, conversation, tmp_path
):
    with following(client, server.url, bob, tmp_path) as next_message:
        say = partial(send, alice, conversation)
        see_an_end_and_a_full_server(next_message, server, settings, say)


FOLLOW = """() => {
    window.got = [];
    window.source = new EventSource("/api/events/");
    for (const type of ["message", "ready", "reset", "message.created", "end"])
        source.addEventListener(type, ({ data }) => got.push([type, JSON.parse(data)]));
}"""


def test_browser_gets_everything_once_over_an_end_and_a_full_server(
    server, settings, alice, bob, conversation, monkeypatch
):
    """The browser's own EventSource, which gives up at any status but 200."""
    monkeypatch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "1")  # playwright has a loop here
    secret = session_of(bob)["Cookie"].removeprefix("sessionid=")
    with browsing(server.url) as page:
        page.context.add_cookies(
            [{"name": "sessionid", "value": secret, "url": server.url}]
        )
        page.evaluate(FOLLOW)

        def next_message() -> list:
            page.wait_for_function("got.length")
            return page.evaluate("got.shift()")

        say = partial(send, alice, conversation)
        see_an_end_and_a_full_server(next_message, server, settings, say)


@pytest.mark.parametrize("client", [*NODE, *PYTHON])
def test_client_hears_the_heartbeat(client, server, bob, tmp_path):
    with following(client, server.url, bob, tmp_path, pings=True) as next_message:
        heard = [next_message() for _ in range(3)]

    assert [kind for kind, _ in heard] == ["ready", "ping", "ping"]


@pytest.mark.parametrize("through", [through_express, through_haproxy])
def test_stream_passes_a_proxy_that_compresses(
    through, server, alice, bob, conversation, tmp_path, monkeypatch
):
    """One message after the other: the next is sent when one has arrived.

    No heartbeat comes after it, which would push through what a proxy holds back.
    """
    monkeypatch.setattr(shell_module, "HEARTBEAT_EVERY", 3600)
    generators()
    with (
        through(server, tmp_path) as url,
        following("fetch-event-source", url, bob, tmp_path) as next_message,
    ):
        assert next_message()[0] == "ready"
        for number in range(10):
            send(alice, conversation, number)
            assert bodies(next_message, 1) == [f"número {number}"]
        page = httpx.get(f"{url}/api/events/?after=1-0", headers=token_of(bob))

    assert page.headers["content-encoding"] == "gzip"
