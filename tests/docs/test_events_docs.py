"""docs/events.md keeps what it says: its payloads are real, its clients work."""

import json
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from django.conf import settings

from chats.models import Event
from tests.support import generators, servers
from tests.support.answers import answering
from tests.support.browser import (
    PASSWORD,
    PATIENCE,
    Restartable,
    Talk,
    browsing,
    playwright_and_chromium,
    serving,
    talking,
)
from tests.support.servers import Follower, blocks_of

PAGE = (Path(settings.BASE_DIR) / "docs" / "events.md").read_text()
LIVE = {"typing", "presence", "ready", "reset", "ping", "end"}
HERE = "http://localhost:8000"
ABOVE = "…"  # stands for an object that the page has shown already


def fenced(language: str) -> list[str]:
    fence = rf"^```{language}\n(.*?)^```$"
    return re.findall(fence, PAGE, re.DOTALL | re.MULTILINE)


class Clients(NamedTuple):
    """Those of the page: with a token and how to use it, with a session, in Python."""

    token: str
    usage: str
    session: str
    python: str


def clients() -> Clients:
    return Clients(*fenced("js"), *fenced("python"))


def documented() -> dict[str, dict]:
    """Return the payload that the page shows of each type."""
    shown = {}
    for text in fenced("json"):
        # One after the other, each over several lines: the next begins in column 0.
        for event in map(json.loads, re.split(r"\n(?={)", text)):
            assert shown.setdefault(event["type"], event) is event
    for block in blocks_of(text.encode() + b"\n" for text in fenced("text")):
        if block.get("event") in LIVE:
            shown[block["event"]] = json.loads(block["data"])
    return shown


# --- Payloads -------------------------------------------------------------------


def test_page_names_exactly_the_types():
    types = sorted([*Event.Type.values, *LIVE])
    assert sorted(re.findall(r"^\* `([a-z.]+)`: ", PAGE, re.MULTILINE)) == types
    assert sorted(documented()) == types


def test_page_and_its_clients_are_short():
    assert len(PAGE.split()) <= 2550
    assert max(len(client.splitlines()) for client in clients()) <= 33


def test_following_with_a_token_comes_first():
    headings = re.findall(r"^## (.*)$", PAGE, re.MULTILINE)
    assert headings[0] == "Following with a token"


def test_payloads_have_the_documented_keys(tmp_path):
    with serving(tmp_path) as server:
        real = everything_that_happens(server)
    assert {kind: shape(body) for kind, body in real.items()} == {
        kind: shape(body, real[kind]) for kind, body in documented().items()
    }


def shape(body: Any, real: Any = None) -> Any:
    """Return the keys at every depth; what the page leaves out is as it really is."""
    if body == ABOVE:
        return shape(real)
    if isinstance(body, dict):
        reals = real if isinstance(real, dict) else {}
        return {key: shape(value, reals.get(key)) for key, value in body.items()}
    if isinstance(body, list):
        return [shape(body[0], real[0] if real else None)] if body else []
    return None


def everything_that_happens(server: Restartable) -> dict[str, dict]:
    """Have an event of every type sent to nina; return the payloads by type."""
    _, omar, pia = server.sign_up("nina", "omar", "pia")
    tokens = {name: server.token_of(name) for name in ("nina", "omar")}
    seen: dict[str, dict] = {}

    with follow(server, tokens["nina"]) as stream:

        def do(kind: str, who: str, method: str, path: str, body: Any = None) -> Any:
            """Call the API, and wait for the event that comes of it."""
            answer = server.call(method, path, body, tokens[who])
            seen.setdefault(kind, until(stream, kind))
            return answer

        seen["ready"] = until(stream, "ready")
        people = {"participant_ids": [omar], "title": "Picnic"}
        picnic = do("conversation.created", "nina", "POST", "conversations/", people)
        there = f"conversations/{picnic['conversation_id']}/"
        text = {"conversation": picnic["conversation_id"], "message_body": "Noon?"}
        message = do("message.created", "nina", "POST", "messages/", text)
        one = f"messages/{message['message_id']}/"
        do("message.updated", "nina", "PATCH", one, {"message_body": "At noon?"})
        do("read.updated", "omar", "POST", f"{one}mark_as_read/")
        do("typing", "omar", "POST", f"{there}typing/")
        do("message.deleted", "nina", "DELETE", one)
        do("conversation.updated", "omar", "PATCH", there, {"title": "A picnic"})
        added = {"user_id": pia}
        do("participant.added", "nina", "POST", f"{there}add_participant/", added)
        server.call("GET", "users/me/", token=server.token_of("pia"))  # she is seen
        seen["presence"] = until(stream, "presence")
        removed = f"{there}remove_participant/"
        do("participant.removed", "nina", "POST", removed, {"user_id": pia})
        do("conversation.deleted", "nina", "DELETE", there)
    with follow(server, tokens["nina"], last_event_id="1-999999999") as stream:
        seen["reset"] = until(stream, "reset")
    with follow(server, tokens["nina"], last_event_id=stream.cursor) as stream:
        seen["ping"] = until(stream, "ping")
        server.stop(signal.SIGTERM)
        seen["end"] = until(stream, "end")
    return seen


@contextmanager
def follow(server: Restartable, token: str, **headers: str) -> Iterator[Follower]:
    credentials = {"Authorization": f"Token {token}"}
    with Follower(servers.Server(server.url), credentials, **headers) as stream:
        yield stream


def until(stream: Follower, kind: str) -> dict:
    """Read up to the next event of this type and return its data."""
    while (event := stream.next()) is not None:
        if event.pop("event") == kind:
            return event
    raise AssertionError(f"the stream ended without {kind}")


# --- Clients --------------------------------------------------------------------


def test_python_client_survives_a_restart(tmp_path):
    client = clients().python
    with talking(tmp_path) as talk:
        assert client.count(HERE) == 1
        program = tmp_path / "client.py"
        program.write_text(client.replace(HERE, talk.server.url))
        see_restarts(talk, sys.executable, "-W", "error", program)


def see_restarts(talk: Talk, *command: str | Path) -> None:
    """Have the client follow messages over a crash and a restart, each once."""
    server = talk.server
    with running(*command, TOKEN=server.token_of("nina")) as line:
        assert line() == "ready"
        talk.send("one", "two")
        assert [line(), line()] == ["one", "two"]
        server.stop(signal.SIGKILL)
        server.start()
        talk.send("three", "four")
        assert [line(), line()] == ["three", "four"]
        server.stop(signal.SIGTERM)
        server.start()
        talk.send("five")
        assert line() == "five"


@contextmanager
def running(*command: str | Path, **environment: str) -> Iterator[Callable[[], str]]:
    """Run a program; yield what waits for its next line."""
    process = subprocess.Popen(
        command,
        env=os.environ | environment,
        stdout=subprocess.PIPE,
        text=True,
    )
    too_late = threading.Timer(PATIENCE, process.kill)
    with process:
        too_late.start()
        try:
            yield lambda: process.stdout.readline().rstrip("\n")
        finally:
            too_late.cancel()
            process.kill()
    too_late.join()


# --- The client with a token, in Node -------------------------------------------

# What the page leaves to its reader.
AROUND = """
const token = process.env.TOKEN;
const load = async () => console.log("ready");
const show = (message) => console.log(message.message_body);
"""


def token_client(url: str, directory: Path, **replaced: str) -> Path:
    """Write a program of the page's client and its usage, for this server."""
    program = f"{AROUND}{clients().token}{clients().usage}".replace(HERE, url)
    for old, new in replaced.items():
        assert program.count(old) == 1
        program = program.replace(old, new)
    file = directory / "client.mjs"
    file.write_text(program)
    return file


def test_client_with_a_token_survives_a_restart(tmp_path):
    node = generators.node()
    with talking(tmp_path) as talk:
        program = token_client(talk.server.url, tmp_path)
        see_restarts(talk, node, program)


def message(number: int, body: str) -> bytes:
    data = json.dumps({"message": {"message_body": body}}, ensure_ascii=False)
    return f"id: 1-{number}\nevent: message.created\ndata: {data}\n\n".encode()


def run(node: str, program: Path) -> subprocess.CompletedProcess:
    command = [node, program]
    return subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE)


READY = b'retry: 1\nid: 1-0\nevent: ready\ndata: {"cursor":"1-0"}\n\n'


def test_client_with_a_token_resumes_after_all_that_breaks(tmp_path):
    """Silence, a refusal that passes, a cut connection; a wrong token ends it."""
    node = generators.node()
    cut = message(3, "drei")[:-20]
    pieces = re.findall(rb".{1,3}", message(2, "zwölf: 🙂"), re.DOTALL)
    with answering(
        (200, [READY, message(1, "eins"), None]),  # until the watchdog ends it
        (503, []),
        (200, [b"event: ping\ndata: {}\n\n", *pieces, cut]),
        (200, [message(3, "drei")]),
        (401, []),
    ) as server:
        done = run(node, token_client(server.url, tmp_path, **{"40_000": "300"}))
    assert done.stdout.splitlines() == ["ready", "eins", "zwölf: 🙂", "drei"]
    assert server.asked == [None, "1-1", "1-1", "1-2", "1-3"]
    assert done.returncode == 1
    assert "The stream was refused: 401." in done.stderr


def test_client_with_a_token_ends_when_it_is_aborted(tmp_path):
    node = generators.node()
    with answering((200, [READY, None])) as server:
        program = tmp_path / "client.mjs"
        program.write_text(
            f"{clients().token}\n"
            "const stop = new AbortController();\n"
            f"const events = follow('{server.url}', 'x', {{ signal: stop.signal }});\n"
            "for await (const { type } of events) { console.log(type); stop.abort(); }"
        )
        done = run(node, program)
    assert (done.returncode, done.stdout, done.stderr) == (0, "ready\n", "")


# --- The client with a session, in a browser ------------------------------------

BODIES = "[...messages.values()].map((message) => message.message_body)"


@contextmanager
def client_in_browser(server: Restartable) -> Iterator[Any]:
    """Open a page that has the browser's client, with nina signed in."""
    who = {"username": "nina", "password": PASSWORD}
    with browsing(server.url) as page:
        page.add_script_tag(content=clients().session)
        page.evaluate("(who) => call('POST', 'auth/login/', who)", who)
        yield page


def test_browser_client_survives_a_restart(tmp_path):
    playwright_and_chromium()
    with talking(tmp_path) as talk, client_in_browser(talk.server) as page:
        talk.send("before")
        page.evaluate("follow()")
        page.wait_for_function("messages.size === 1")
        talk.send("one", "two")
        page.wait_for_function("messages.size === 3")

        # Killed, and a proxy answers for it once: EventSource gives up at that.
        proxy = "**/api/events/**"
        with page.expect_response(proxy) as refused:
            page.route(proxy, lambda route: route.fulfill(status=503), times=1)
            talk.server.stop(signal.SIGKILL)
        assert refused.value.status == 503
        talk.server.start()
        talk.send("three")
        page.wait_for_function("messages.size === 4")

        assert page.evaluate(BODIES) == ["before", "one", "two", "three"]


def test_browser_client_writes_and_loads_anew_after_a_reset(tmp_path):
    playwright_and_chromium()
    with talking(tmp_path) as talk, client_in_browser(talk.server) as page:
        talk.send("before")
        page.evaluate("cursor = '1-999999999'; follow()")  # of no log there is
        page.wait_for_function("messages.size === 1")

        answer = {"conversation": talk.conversation_id, "message_body": "mine"}
        page.evaluate("(answer) => call('POST', 'messages/', answer)", answer)
        page.wait_for_function("messages.size === 2")

        assert page.evaluate(BODIES) == ["before", "mine"]


def test_browser_client_notices_a_server_that_is_frozen(tmp_path):
    """It still holds the connection, and sends nothing: no error tells the browser."""
    playwright_and_chromium()
    with talking(tmp_path) as talk, client_in_browser(talk.server) as page:
        page.clock.install()
        page.evaluate("follow()")
        page.wait_for_function("cursor !== ''")
        with (
            talk.server.frozen(),
            page.expect_request("**/api/events/**"),
        ):
            page.clock.fast_forward(41_000)
        talk.send("after")
        page.wait_for_function("messages.size === 1")
