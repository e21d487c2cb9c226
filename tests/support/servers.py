"""Real servers on the test database, and a client that follows an event stream."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple
from urllib.parse import quote

import httpx
import uvicorn
from django.conf import settings
from django.db import connection
from django.test import Client

from chats.models import AccessToken, User
from chats.server.shell import Shell
from messaging_app.wsgi import application

PATIENCE = 10  # seconds until a test that waits has failed


def wait_until(holds: Callable[[], Any]) -> None:
    """Wait until a condition holds that nothing announces."""
    pause = threading.Event()
    deadline = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < deadline, "waited in vain"
        pause.wait(0.005)


class Server(NamedTuple):
    """A server that answers."""

    url: str
    shell: Shell | None = None  # of a server in this process
    process: subprocess.Popen | None = None  # of one in another

    @property
    def address(self) -> tuple[str, int]:
        host, port = self.url.removeprefix("http://").split(":")
        return host, int(port)

    def call(self, user: User, method: str, path: str, body: Any = None):
        """Call the API as this person, with a token."""
        with httpx.Client(base_url=self.url, headers=token_of(user)) as client:
            return client.request(method, path, json=body, timeout=PATIENCE)


# --- Servers -------------------------------------------------------------------


@contextmanager
def serving_in_thread(*, send_buffer: int = 0, **options) -> Iterator[Server]:
    """Serve the ASGI application from a thread of this process.

    ``send_buffer`` is how many bytes the system keeps for a client, if given; the
    options are uvicorn's.
    """
    shell = Shell(application)
    options = {"log_config": None, "timeout_graceful_shutdown": 8} | options
    config = uvicorn.Config(shell, **options)
    server = uvicorn.Server(config)
    before = set(threading.enumerate())
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        if send_buffer:
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, send_buffer)
        running = threading.Thread(target=server.run, args=([listening],))
        running.start()
        try:
            yield Server(f"http://127.0.0.1:{port}", shell=shell)
        finally:
            server.should_exit = True
            running.join(PATIENCE)
            close_threads(shell)
            for thread in set(threading.enumerate()) - before:
                if thread.name in {"hub", "listener"}:
                    thread.join(PATIENCE)
    assert not running.is_alive()


def close_threads(shell: Shell) -> None:
    """End the shell's threads, each of which closes its database connection."""
    shell.calls.close()
    for pool in shell.calls.pools.values():
        for thread in pool.threads:
            thread.join(PATIENCE)


@contextmanager
def serving_in_process(*options: str, **environment: str) -> Iterator[Server]:
    """Serve the ASGI application from another process, on the same database."""
    command = [sys.executable, "-m", "uvicorn", "messaging_app.asgi:application"]
    process = subprocess.Popen(
        [
            *[*command, "--port", "0", "--no-access-log"],
            *["--timeout-graceful-shutdown=8", *options],
        ],
        cwd=settings.BASE_DIR,
        env=os.environ
        | {
            "DJANGO_SETTINGS_MODULE": "tests.support.settings",
            "DATABASE_URL": database_url(),
        }
        | environment,
        stderr=subprocess.PIPE,
        text=True,
    )
    with process:
        try:
            yield Server(_url_of(process), process=process)
        finally:
            process.send_signal(signal.SIGKILL)


def _url_of(process: subprocess.Popen) -> str:
    """Wait until the server says where it listens."""
    said = []
    for line in process.stderr:
        said.append(line)
        if match := re.search(r"running on (http://\S+)", line):
            return match[1]
    raise AssertionError("".join(said))


def database_url() -> str:
    """Return the DATABASE_URL of the test database."""
    database = connection.settings_dict
    if connection.vendor == "sqlite":
        return f"sqlite:///{database['NAME']}"
    login = ":".join(quote(database[key], safe="") for key in ("USER", "PASSWORD"))
    place = f"{database['HOST']}:{database['PORT'] or 5432}"
    return f"postgres://{login.rstrip(':')}@{place}/{database['NAME']}"


# --- Clients -------------------------------------------------------------------


def token_of(user: User) -> dict[str, str]:
    """Return the header of a new token of this person."""
    _, secret = AccessToken.objects.issue(user, "test", None)
    return {"Authorization": f"Token {secret}"}


def session_of(user: User) -> dict[str, str]:
    """Return the header of a new session of this person."""
    client = Client()
    client.force_login(user)
    return {"Cookie": f"sessionid={client.cookies['sessionid'].value}"}


Block = dict[str, str]  # what lies between two blank lines; a comment's name is ":"


def blocks_of(chunks: Iterable[bytes]) -> Iterator[Block]:
    """Take a stream apart. Its lines end as the standard says: not at U+2028."""
    waiting = b""
    for chunk in chunks:
        *whole, waiting = (waiting + chunk).split(b"\n\n")
        for block in whole:
            pairs = (line.partition(": ") for line in block.decode().split("\n"))
            yield {name: value for name, _, value in pairs}
    assert waiting == b""


class Follower:
    """Somebody's open stream; each wait for more of it ends after PATIENCE."""

    def __init__(self, server: Server, credentials: dict[str, str], **headers: str):
        """Open it; ``last_event_id`` is a header like any other."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        self._client = httpx.Client(base_url=server.url, timeout=PATIENCE)
        request = self._client.build_request(
            "GET",
            "/api/events/",
            headers={"Accept": "text/event-stream"} | credentials | named,
        )
        self.response = self._client.send(request, stream=True)
        self.blocks = blocks_of(self.response.iter_raw())
        self.cursor = ""

    def __enter__(self) -> "Follower":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self.response.close()
        self._client.close()

    def next_block(self) -> Block | None:
        """Wait for the next block and return it; None at the end."""
        block = next(self.blocks, None)
        self.cursor = (block or {}).get("id", self.cursor)
        return block

    def next(self) -> dict | None:
        """Wait for the next event and return its data with ``event``; None: the end."""
        while (block := self.next_block()) is not None:
            if "event" in block:
                return {"event": block["event"], **json.loads(block["data"])}
        return None

    def take(self, count: int) -> list[dict | None]:
        return [self.next() for _ in range(count)]

    def rest(self) -> list[Block]:
        """Wait for the end and return the blocks before it."""
        return list(iter(self.next_block, None))


# --- Calls without a server ----------------------------------------------------


def scope_of(path: str, query: bytes = b"", **more) -> dict:
    """Return the scope of a call, for an ASGI application that a test calls itself."""
    return {
        "type": "http",
        "method": "GET",
        "path": path,
        "query_string": query,
        "http_version": "1.1",
        "headers": [],
    } | more
