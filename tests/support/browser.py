"""A real browser, and a server on a database of its own that may be stopped."""

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import httpx
import pytest
from django.conf import settings

from tests.support.settings import READS, SETTINGS_FILE

PATIENCE = 30  # seconds until a test that waits has failed
PASSWORD = "quiet-Meadow-42"
CHROMIUM = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
DATABASE = "scratch.sqlite3"


def manage(directory: Path, *arguments: str) -> None:
    """Run a command of ``manage.py``, on the database in the directory, to its end."""
    command = [sys.executable, "manage.py", *arguments, "--verbosity", "0"]
    options = options_for(directory)
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, **options)


def options_for(directory: Path) -> dict[str, Any]:
    """Return where a process runs, and with which settings and database: the tests'
    settings hash passwords fast."""
    ours = READS.findall(SETTINGS_FILE.read_text())
    environment = {k: v for k, v in os.environ.items() if k not in ours}
    environment["DJANGO_SETTINGS_MODULE"] = "tests.support.settings"
    environment["DATABASE_URL"] = f"sqlite:///{directory / DATABASE}"
    return {"cwd": settings.BASE_DIR, "env": environment}


@cache
def migrated() -> bytes:
    """Return a new database; to migrate takes longer than to copy."""
    with tempfile.TemporaryDirectory() as directory:
        manage(Path(directory), "migrate")
        return Path(directory, DATABASE).read_bytes()


class Restartable:
    """A server on a database of its own, which dies and comes back on its port."""

    def __init__(self, directory: Path):
        """Make the database and hold a port: bound, so that nobody else gets it."""
        self._directory = directory
        (directory / DATABASE).write_bytes(migrated())
        self._held = socket.socket()
        self._held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._held.bind(("127.0.0.1", 0))
        self.port = self._held.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self._process: subprocess.Popen | None = None
        self._client = httpx.Client(base_url=f"{self.url}/api/", timeout=PATIENCE)

    def manage(self, *arguments: str) -> None:
        """Run a command of ``manage.py`` on the server's database."""
        manage(self._directory, *arguments)

    def start(self) -> None:
        """Start, and wait until it answers."""
        command = [sys.executable, "-m", "uvicorn", "messaging_app.asgi:application"]
        self._process = subprocess.Popen(
            [*command, "--port", str(self.port), "--timeout-graceful-shutdown", "8"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            **options_for(self._directory),
        )
        said = []
        for line in self._process.stderr:
            said.append(line)
            if re.search(r"running on http://", line):
                return
        raise AssertionError("".join(said))

    def stop(self, number: signal.Signals) -> None:
        """End it and wait until it is gone; nobody listens on the port then."""
        if self._process is not None:
            with self._process:
                self._process.send_signal(number)
            self._process = None

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """Let it neither answer nor close a connection inside."""
        self._process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self._process.send_signal(signal.SIGCONT)

    def close(self) -> None:
        self.stop(signal.SIGKILL)
        self._client.close()
        self._held.close()

    def call(self, method: str, path: str, body: Any = None, token: str = "") -> Any:
        """Call the API and return what it answers."""
        headers = {"Authorization": f"Token {token}"} if token else {}
        response = self._client.request(method, path, json=body, headers=headers)
        assert response.is_success, response.text
        return response.json() if response.content else None

    def sign_up(self, *usernames: str) -> list[str]:
        """Make people, and return their ids."""
        names = {"first_name": "Some", "last_name": "Body", "password": PASSWORD}
        people = [
            names | {"username": name, "email": f"{name}@example.org"}
            for name in usernames
        ]
        return [self.call("POST", "users/", body)["user_id"] for body in people]

    def token_of(self, username: str) -> str:
        body = {"username": username, "password": PASSWORD, "name": "test"}
        return self.call("POST", "auth/tokens/", body)["token"]

    def send(self, token: str, conversation_id: str, *texts: str) -> None:
        for text in texts:
            body = {"conversation": conversation_id, "message_body": text}
            self.call("POST", "messages/", body, token)


@contextmanager
def serving(directory: Path) -> Iterator[Restartable]:
    """Serve a new database; the server may be stopped and started inside."""
    server = Restartable(directory)
    try:
        server.start()
        yield server
    finally:
        server.close()


class Talk(NamedTuple):
    """A conversation of omar, who writes, with nina."""

    server: Restartable
    token: str
    conversation_id: str

    def send(self, *texts: str) -> None:
        self.server.send(self.token, self.conversation_id, *texts)


@contextmanager
def talking(directory: Path) -> Iterator[Talk]:
    with serving(directory) as server:
        nina, _ = server.sign_up("nina", "omar")
        token = server.token_of("omar")
        people = {"participant_ids": [nina]}
        talk = server.call("POST", "conversations/", people, token)
        yield Talk(server, token, talk["conversation_id"])


def playwright_and_chromium() -> tuple[ModuleType, str]:
    """Return both, or skip the test; fail where the browser is required."""
    try:
        import playwright.sync_api as playwright
    except ImportError:
        playwright = None
    chromium = shutil.which("chromium")
    if playwright and chromium:
        return playwright, chromium
    missing = "chromium on the PATH" if playwright else "the package playwright"
    reason = f"needs a browser: there is no {missing}"
    if os.environ.get("CI") == "true" and os.environ.get("REQUIRE_BROWSER") == "1":
        pytest.fail(reason)
    pytest.skip(reason)


@contextmanager
def browsing(url: str) -> Iterator[Any]:
    """Open an empty page of the server's origin in a new headless browser."""
    playwright, chromium = playwright_and_chromium()
    with playwright.sync_playwright() as engine:
        browser = engine.chromium.launch(executable_path=chromium, args=CHROMIUM)
        with browser:
            page = browser.new_page()
            page.set_default_timeout(PATIENCE * 1000)
            page.goto(f"{url}/healthz")
            yield page
