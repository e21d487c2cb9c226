"""Servers and databases for benches and tests, and a reader of their streams.

Run as a program, it creates people in the database of DATABASE_URL:
``python -m bench.lab.servers COUNT``.
"""

import http.client
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

import psycopg

ROOT = Path(__file__).resolve().parents[2]
LIMITS = (
    "THROTTLE_ANON",
    "THROTTLE_USER",
    "THROTTLE_SEND",
    "THROTTLE_SIGN_IN",
    "THROTTLE_SIGNUP",
    "THROTTLE_CONVERSATIONS",
    "THROTTLE_STRANGERS",
    "THROTTLE_EXPORT",
)
KEPT = ("HOME", "LANG", "PATH", "TMPDIR")  # variables a server inherits
APPLICATION = "messaging_app.asgi:application"


def environment(database_url: str = "", **settings: str) -> dict[str, str]:
    """Return a server's environment, without limits or this process's settings."""
    kept = {name: os.environ[name] for name in KEPT if name in os.environ}
    fixed = {
        "SECRET_KEY": "a fixed key for benches, which guards nothing",
        "LOG_LEVEL": "WARNING",
    }
    fixed["MAX_STREAMS_PER_USER"] = "100000"
    return {
        **kept,
        **dict.fromkeys(LIMITS, ""),
        **fixed,
        "DATABASE_URL": database_url,
        **settings,
    }


def run_python(*arguments: str, **options) -> subprocess.CompletedProcess:
    """Run a program of the project; raise CalledProcessError if it fails."""
    command = [sys.executable, *arguments]
    return subprocess.run(command, cwd=ROOT, check=True, text=True, **options)


# --- Databases ----------------------------------------------------------------


@contextmanager
def sqlite() -> Iterator[str]:
    """Yield the URL of a new, migrated SQLite database."""
    with tempfile.TemporaryDirectory(prefix="bench-") as directory:
        url = f"sqlite:///{directory}/bench.sqlite3"
        migrate(url)
        yield url


@contextmanager
def postgres(server_url: str) -> Iterator[str]:
    """Yield the URL of a new, migrated database on the server at ``server_url``."""
    name = f"bench_{uuid.uuid4().hex[:12]}"
    with psycopg.connect(server_url, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
        try:
            url = urlsplit(server_url)._replace(path=f"/{name}").geturl()
            migrate(url)
            yield url
        finally:
            connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


def default_postgres() -> str:
    """Return DATABASE_URL if it is PostgreSQL's, otherwise this machine's server."""
    url = os.environ.get("DATABASE_URL", "")
    return url if url.startswith("postgres") else "postgres://127.0.0.1:5432/postgres"


def migrate(database_url: str) -> None:
    command = ("manage.py", "migrate", "--verbosity", "0")
    run_python(*command, env=environment(database_url))


class Person(NamedTuple):
    username: str
    user_id: str
    token: str


def make_people(database_url: str, count: int) -> list[Person]:
    """Create people with tokens directly in the database; signing up would be slow."""
    command = ("-m", "bench.lab.servers", str(count))
    done = run_python(*command, env=environment(database_url), capture_output=True)
    return [Person(*line.split()) for line in done.stdout.splitlines()]


def print_new_people(count: int) -> None:
    """Create people in the database of the environment; print each Person."""
    os.environ["DJANGO_SETTINGS_MODULE"] = "messaging_app.settings"
    import django

    django.setup()
    from chats.models import AccessToken, User

    run = uuid.uuid4().hex[:6]
    names = [f"person-{number}-{run}" for number in range(count)]
    people = User.objects.bulk_create(
        User(username=name, email=f"{name}@bench.example", first_name="B", last_name=n)
        for n, name in enumerate(names)
    )
    for person in people:
        _, secret = AccessToken.objects.issue(person, "bench", None)
        print(person.username, person.pk, secret)


# --- Servers ------------------------------------------------------------------


def until(condition: Callable[[], object], seconds: float = 30.0) -> None:
    """Wait until the condition holds; raise TimeoutError after ``seconds``."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"The condition did not hold within {seconds} s.")
        time.sleep(0.01)


class Server:
    """A uvicorn process, which keeps its port when it is stopped and started again.

    If ``core`` is a number, the process is pinned to that core, as in docs/deploy.md.
    """

    def __init__(
        self,
        database_url: str = "",
        application: str = APPLICATION,
        *,
        core: int | None = None,
        **settings: str,
    ):
        # Bound but never listening. So no other process gets the port, and connections
        # are refused while the server is down.
        self._reserved = socket.socket()
        self._reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._reserved.bind(("127.0.0.1", 0))
        self.port: int = self._reserved.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self._environment = environment(database_url, **settings)
        self._command = [sys.executable, "-m", "uvicorn", application]
        if core is not None:
            cores = sorted(os.sched_getaffinity(0))
            own = str(cores[core % len(cores)])
            self._command = ["taskset", "--cpu-list", own, *self._command]
        self._command += ["--port", str(self.port), "--log-level", "warning"]
        self._process: subprocess.Popen | None = None

    def __enter__(self) -> "Server":
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        self._reserved.close()

    @property
    def pid(self) -> int:
        return self._process.pid

    def start(self) -> None:
        """Start it, and wait until it answers."""
        self._process = subprocess.Popen(
            self._command, cwd=ROOT, env=self._environment, stdout=subprocess.DEVNULL
        )
        until(self._answers)

    def stop(self) -> None:
        """Terminate it as an operator would; raise TimeoutExpired if this fails."""
        self._process.terminate()
        try:
            self._process.wait(timeout=15)
        finally:
            self._process.kill()  # harmless if it has ended

    def kill(self) -> None:
        """Kill it without notice, like a power cut."""
        self._process.kill()
        self._process.wait()

    def _answers(self) -> bool:
        if self._process.poll() is not None:
            raise ChildProcessError(f"uvicorn ended with {self._process.returncode}.")
        with suppress(OSError):
            return call(self.url, "GET", "/healthz").status < 500
        return False


class Answer(NamedTuple):
    status: int
    body: dict


def call(
    url: str, method: str, path: str, token: str = "", body: dict | None = None
) -> Answer:
    """Make one request on a new connection."""
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=30)
    headers = {"Authorization": f"Token {token}"} if token else {}
    headers["Content-Type"] = "application/json"
    payload = None if body is None else json.dumps(body)
    try:
        connection.request(method, path, payload, headers)
        response = connection.getresponse()
        text = response.read()
        is_json = response.headers.get_content_type() == "application/json"
        return Answer(response.status, json.loads(text) if is_json and text else {})
    finally:
        connection.close()


# --- Streams ------------------------------------------------------------------


def stream_request(token: str, cursor: str = "") -> bytes:
    """Return the bytes of a request for a stream, from a cursor if given."""
    lines = ["GET /api/events/ HTTP/1.1", "Host: localhost"]
    lines += ["Accept: text/event-stream", f"Authorization: Token {token}"]
    lines += [f"Last-Event-ID: {cursor}"] if cursor else []
    return "\r\n".join([*lines, "", ""]).encode()


class ServerSentEvent(NamedTuple):
    """An event as a browser would dispatch it; ``id`` is "" if it has none."""

    id: str
    type: str
    data: dict


class Reader:
    """Parses the bytes of one response into events, like HTML's EventSource.

    ``cursor`` is the last id seen.
    """

    def __init__(self, cursor: str = ""):
        self.cursor = cursor
        self.status = 0  # of the response; 0 until its head has arrived
        self._raw = b""  # not yet parsed
        self._left = 0  # missing bytes of the current chunk (RFC 9112, 7.1)
        self._text = b""  # an incomplete event

    def feed(self, data: bytes) -> list[ServerSentEvent]:
        """Return the events that these bytes complete."""
        self._raw += data
        if not self.status and not self._take_head():
            return []
        if self.status == http.HTTPStatus.OK:
            self._take_chunks()
        *blocks, self._text = self._text.split(b"\n\n")
        events = [self._event(block) for block in blocks]
        return [event for event in events if event]

    @property
    def is_inside_an_event(self) -> bool:
        return bool(self._text.strip())

    def _take_head(self) -> bool:
        head, found, rest = self._raw.partition(b"\r\n\r\n")
        if found:
            self.status, self._raw = int(head.split(b" ", 2)[1]), rest
        return bool(found)

    def _take_chunks(self) -> None:
        while self._raw:
            if self._left:
                piece, self._raw = self._raw[: self._left], self._raw[self._left :]
                self._text += piece
                self._left -= len(piece)
                continue
            size, found, rest = self._raw.removeprefix(b"\r\n").partition(b"\r\n")
            if not found:
                return
            self._left, self._raw = int(size, 16), rest

    def _event(self, block: bytes) -> ServerSentEvent | None:
        fields = dict(
            line.split(": ", 1) for line in block.decode().split("\n") if ": " in line
        )
        self.cursor = fields.get("id", self.cursor)
        if "data" not in fields:
            return None
        data = json.loads(fields["data"])
        return ServerSentEvent(fields.get("id", ""), fields["event"], data)


if __name__ == "__main__":
    print_new_people(int(sys.argv[1]))
