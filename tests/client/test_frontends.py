"""docs/frontends.md keeps what it says: pages on another origin, in a real browser.

The packages that build them are installed by ``make generators``.
"""

import os
import re
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from chats.models import AccessToken, Conversation, User
from chats.server.shell import end_all
from chats.services import messages
from tests.support.browser import CHROMIUM, PATIENCE, playwright_and_chromium
from tests.support.factories import PASSWORD
from tests.support.generators import ROOT, vite
from tests.support.servers import Server, serving_in_thread, wait_until

PAGE = (ROOT / "docs/frontends.md").read_text()
EVENTS = (ROOT / "docs/events.md").read_text()
API = "http://localhost:8000"
DEMO = "demo-pass-2026"

pytestmark = pytest.mark.django_db(transaction=True)


def fenced(text: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)


FOLLOW = fenced(EVENTS, "js")[0]


@contextmanager
def hosting(folder: Path) -> Iterator[str]:
    """Serve the files of a folder from an origin of its own; yield that."""
    handler = partial(QuietHandler, directory=str(folder))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://localhost:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()


class QuietHandler(SimpleHTTPRequestHandler):
    """The files, and no log."""

    def log_message(self, *arguments: Any) -> None:
        """Nobody reads it."""


@contextmanager
def visiting(url: str) -> Iterator[Any]:
    playwright, chromium = playwright_and_chromium()
    with playwright.sync_playwright() as engine:
        browser = engine.chromium.launch(executable_path=chromium, args=CHROMIUM)
        with browser:
            page = browser.new_page()
            page.set_default_timeout(PATIENCE * 1000)
            page.goto(url)
            yield page


@pytest.fixture
def server(transactional_db, monkeypatch) -> Iterator[Server]:
    monkeypatch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "1")  # playwright has a loop here
    with serving_in_thread() as server:
        yield server


@pytest.fixture
def elsewhere(tmp_path, settings) -> Iterator[str]:
    """An origin with an empty page, which the server allows."""
    (tmp_path / "index.html").write_text("<!doctype html><title>Elsewhere</title>")
    with hosting(tmp_path) as origin:
        settings.CORS_ALLOWED_ORIGINS = [origin]
        yield origin


# --- Any page ---------------------------------------------------------------------


def test_page_elsewhere_signs_in_lists_sends_and_follows(
    server, elsewhere, alice, bob, conversation
):
    playwright_and_chromium()
    [steps] = fenced(PAGE, "js")
    assert steps.count(API) == steps.count(DEMO) == 1
    program = (FOLLOW + steps).replace(API, server.url).replace(DEMO, PASSWORD)
    said: list[str] = []
    with visiting(elsewhere) as page:
        page.on("console", lambda line: said.append(line.text))
        with page.expect_console_message(lambda line: line.text.startswith("ready")):
            page.add_script_tag(content=program, type="module")
        [sent] = conversation.messages.all()
        with page.expect_console_message(lambda line: "message.created" in line.text):
            messages.send_message(bob, conversation.pk, message_body="Live!")
    assert (sent.sender_id, sent.message_body) == (alice.pk, "Hello!")
    assert not [line for line in said if "error" in line.lower()]


CALL = """async ([url, token]) => {
    const answer = await fetch(url, { headers: { Authorization: `Bearer ${token}` } });
    return [answer.status, Object.fromEntries(answer.headers)];
}"""


def test_page_elsewhere_reads_when_to_come_back(server, elsewhere, alice, settings):
    settings.THROTTLE_RATES = settings.THROTTLE_RATES | {"user": (1, 3600)}
    _, secret = AccessToken.objects.issue(alice, "test", None)
    asked = [f"{server.url}/api/users/me/", secret]
    with visiting(elsewhere) as page:
        [ok, _], [refused, headers] = (page.evaluate(CALL, asked) for _ in range(2))
    assert (ok, refused) == (200, 429)
    assert int(headers["retry-after"]) > 0
    assert {"x-request-id", "ratelimit-limit", "ratelimit-reset"} <= set(headers)


def test_page_elsewhere_resumes_by_the_header(server, elsewhere, alice, conversation):
    """Last-Event-ID of a script is asked for in the preflight; EventSource's is not."""
    _, secret = AccessToken.objects.issue(alice, "test", None)
    ask = """async ([url, token]) => {
        const headers = { Authorization: `Bearer ${token}`, "Last-Event-ID": "1-0" };
        return (await (await fetch(url, { headers })).json()).events[0].type;
    }"""
    with visiting(elsewhere) as page:
        first = page.evaluate(ask, [f"{server.url}/api/events/", secret])
    assert first == "conversation.created"


def test_page_of_an_origin_that_is_not_named_reads_nothing(
    server, elsewhere, alice, settings
):
    settings.CORS_ALLOWED_ORIGINS = ["https://app.example"]
    _, secret = AccessToken.objects.issue(alice, "test", None)
    refused = f"({CALL})(ask).catch((error) => error.message)"
    with visiting(elsewhere) as page:
        asked = [f"{server.url}/api/users/me/", secret]
        said = page.evaluate(f"(ask) => {refused}", asked)
    assert said == "Failed to fetch"


# --- React ------------------------------------------------------------------------


def run(command: list[str | Path], directory: Path, **environment: str) -> None:
    done = subprocess.run(
        command,
        cwd=directory,
        env=os.environ | {"NO_COLOR": "1"} | environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout


def build(directory: Path, server: Server) -> Path:
    """Build the page as docs/frontends.md says; return what is to be hosted."""
    packages = vite() / "node_modules"
    [create] = re.findall(r"^npm create vite@latest (\w+) -- (.*)$", PAGE, re.MULTILINE)
    name, options = create[0], create[1].split()
    run([packages / ".bin/create-vite", name, *options], directory)
    project = directory / name
    (project / "node_modules").symlink_to(packages)
    [app] = fenced(PAGE, "jsx")
    (project / "src/follow.js").write_text(FOLLOW)
    (project / "src/App.jsx").write_text(app)
    run([packages / ".bin/vite", "build"], project, VITE_API=f"{server.url}/api")
    return project / "dist"


@pytest.fixture
def react(server, tmp_path, settings) -> Iterator[str]:
    playwright_and_chromium()
    folder = build(tmp_path, server)
    with hosting(folder) as origin:
        settings.CORS_ALLOWED_ORIGINS = [origin]
        yield origin


def sign_in(page: Any, username: str) -> None:
    page.fill("[name=username]", username)
    page.fill("[name=password]", PASSWORD)
    page.click("text=Sign in")


def shows(page: Any) -> Callable[[list[str]], None]:
    script = """(wanted) => JSON.stringify(wanted) === JSON.stringify(
        [...document.querySelectorAll("li")].map((item) => item.textContent))"""
    return lambda wanted: page.wait_for_function(script, arg=wanted)


def test_react_page_signs_in_shows_sends_and_follows(
    react, server, alice, bob, conversation
):
    first, _ = messages.send_message(bob, conversation.pk, message_body="before")
    errors: list[str] = []
    with visiting(react) as page:
        page.on("pageerror", lambda error: errors.append(str(error)))
        see = shows(page)
        sign_in(page, "alice")
        page.click("nav button:has-text('(1): before')")
        see(["bob: before"])
        page.wait_for_selector("nav button:has-text('(0): before')")

        messages.send_message(bob, conversation.pk, message_body="live")
        see(["bob: before", "bob: live"])
        page.fill("ol + form input", "<b>mine</b>")
        page.click("text=Send")
        see(["bob: before", "bob: live", "alice: <b>mine</b>"])
        messages.edit_message(bob, first.pk, message_body="earlier")
        see(["bob: earlier (edited)", "bob: live", "alice: <b>mine</b>"])
        messages.delete_message(bob, first.pk)
        see(["bob: (deleted) (edited)", "bob: live", "alice: <b>mine</b>"])

        page.reload()
        page.click("nav button:has-text('mine')")
        see(["bob: (deleted) (edited)", "bob: live", "alice: <b>mine</b>"])
        page.click("text=Sign out")
        page.wait_for_selector("[name=password]")
    assert errors == []
    assert not AccessToken.objects.exists()


def test_react_page_goes_on_after_a_restart_and_ends_with_its_token(
    react, server, alice, bob, conversation
):
    with visiting(react) as page:
        see = shows(page)
        sign_in(page, "alice")
        page.click("nav button")
        say(bob, conversation, "one")
        see(["bob: one"])
        end_streams(server)
        say(bob, conversation, "two")
        see(["bob: one", "bob: two"])
        AccessToken.objects.all().delete()
        end_streams(server)
        page.wait_for_selector("[name=password]")


def say(actor: User, conversation: Conversation, text: str) -> None:
    messages.send_message(actor, conversation.pk, message_body=text)


def end_streams(server: Server) -> None:
    """End them as at a restart, from the thread that they belong to."""
    wait_until(lambda: server.shell.streams)
    streams = list(server.shell.streams)
    loop = server.shell.beating.get_loop()
    loop.call_soon_threadsafe(end_all, streams, "restart")
    wait_until(lambda: not set(streams) & set(server.shell.streams))


def test_react_page_is_short():
    [app] = fenced(PAGE, "jsx")
    assert len(app.splitlines()) <= 90
