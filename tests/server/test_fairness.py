"""One caller does not make the others wait, and holds little of the server's memory."""

import json
import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import ExitStack, contextmanager

import httpx
import pytest

from chats.api.parsers import MOST_MARKS
from chats.models import Conversation, Message, User
from chats.realtime.limits import StreamLimits
from chats.server import bridge, calls, shares
from chats.server.turns import Job
from chats.services import messages
from chats.web.exceptions import Full, TooManyAttempts
from tests.support.factories import PASSWORD
from tests.support.servers import (
    PATIENCE,
    Server,
    serving_in_thread,
    token_of,
    wait_until,
)

live = pytest.mark.django_db(transaction=True)


@pytest.fixture
def server(transactional_db) -> Iterator[Server]:
    """A server whose system keeps little of what a client does not read."""
    with serving_in_thread(send_buffer=4096) as server:
        yield server


@pytest.fixture
def limit(settings) -> Callable[[str, int], None]:
    """Sets one of the throttles, to calls a day, and takes the others off."""

    def set_limit(scope: str, calls: int) -> None:
        none = dict.fromkeys(settings.THROTTLE_RATES)
        settings.THROTTLE_RATES = none | {scope: (calls, 86400)}

    return set_limit


@pytest.fixture(autouse=True)
def _refused_soon(monkeypatch):
    monkeypatch.setattr(shares, "REFUSE_AFTER", 0.01)


def head(method: str, path: str, headers: dict, body: bytes = b"") -> bytes:
    lines = [f"{method} {path} HTTP/1.1", "Host: localhost"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    lines += [f"Content-Length: {len(body)}"] if body else []
    return "\r\n".join([*lines, "", ""]).encode() + body


@contextmanager
def held(server: Server, lane: str) -> Iterator[Callable[[], None]]:
    """Hold up the threads of a lane until the caller of this lets them go."""
    go = threading.Event()
    job = Job(("nobody",), Future(), go.wait, (PATIENCE,), lambda: False)
    running = server.shell.calls.pools[lane].put(job)
    wait_until(running.running)
    try:
        yield go.set
    finally:
        go.set()


@contextmanager
def asked(server: Server, data: bytes, count: int) -> Iterator[list[socket.socket]]:
    """Send a request on so many connections; read none of the answers."""
    with ExitStack() as stack:
        opened = []
        for _ in range(count):
            connection = stack.enter_context(socket.socket())
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            connection.settimeout(PATIENCE)
            connection.connect(server.address)
            connection.sendall(data)
            opened.append(connection)
        yield opened


def waiting(server: Server) -> int:
    return server.shell.calls.shares.calls


def announced(server: Server) -> int:
    """Return the bytes of the bodies that may be sent now."""
    known = server.shell.calls.shares._shares.values()
    return sum(share.announced for share in known)


def accept(server: Server, headers: dict) -> None:
    """Have the shell learn whose the credential is."""
    answer = httpx.get(f"{server.url}/api/users/me/", headers=headers)
    assert answer.status_code == 200


# --- Calls ----------------------------------------------------------------------


@live
def test_call_whose_client_has_left_is_not_made(server, bob: User, conversation):
    credentials = token_of(bob) | {"Content-Type": "application/json"}
    accept(server, credentials)
    body = {"conversation": str(conversation.pk), "message_body": "Too late"}
    data = head("POST", "/api/messages/", credentials, json.dumps(body).encode())
    with held(server, "quick") as let_go:
        with asked(server, data, 3):
            wait_until(lambda: waiting(server) == 3)
        wait_until(lambda: not server.shell.connections._open)
        let_go()
        wait_until(lambda: waiting(server) == 0)

    assert Message.objects.count() == 0


@live
def test_calls_beyond_the_share_of_a_caller_are_503(server, bob, alice, monkeypatch):
    monkeypatch.setattr(shares, "MOST_CALLS", 3)
    own, other = token_of(bob), token_of(alice)
    accept(server, own)
    accept(server, other)
    with (
        held(server, "quick") as let_go,
        asked(server, head("GET", "/api/users/me/", own), 3),
    ):
        wait_until(lambda: waiting(server) == 3)
        refused = httpx.get(f"{server.url}/api/users/", headers=own)
        others = threading.Thread(
            target=lambda: answers.append(
                httpx.get(f"{server.url}/api/users/me/", headers=other)
            )
        )
        answers: list[httpx.Response] = []
        others.start()
        wait_until(lambda: waiting(server) == 4)
        let_go()
        others.join(PATIENCE)

    assert refused.status_code == 503
    assert refused.headers["Retry-After"] == "1"
    assert refused.headers["Connection"] == "close"
    assert refused.json() == {
        "detail": "Too many calls at once. Try again.",
        "code": "busy",
    }
    assert [answer.status_code for answer in answers] == [200]
    wait_until(lambda: waiting(server) == 0)


@live
def test_caller_over_the_limit_is_refused_before_a_thread_is_taken(
    server, limit, bob, alice
):
    limit("user", 1)
    own, other = token_of(bob), token_of(alice)
    first, over = (httpx.get(f"{server.url}/api/users/me/", headers=own) for _ in "12")

    with held(server, "quick"):
        refused = httpx.get(f"{server.url}/api/users/me/", headers=own)

    assert [first.status_code, over.status_code] == [200, 429]
    assert refused.status_code == 429
    wait = int(refused.headers["Retry-After"])
    assert 0 < wait <= int(over.headers["Retry-After"])
    assert refused.json() == {
        "detail": f"Request was throttled. Expected available in {wait} seconds.",
        "code": "throttled",
    }
    me = httpx.get(f"{server.url}/api/users/me/", headers=other)
    assert me.status_code == 200


@live
def test_client_that_sent_more_and_left_is_noticed(server, bob, conversation):
    """The server stops reading at the second request, and so sees no end."""
    credentials = token_of(bob) | {"Content-Type": "application/json"}
    accept(server, credentials)
    body = {"conversation": str(conversation.pk), "message_body": "Too late"}
    data = head("POST", "/api/messages/", credentials, json.dumps(body).encode())
    with held(server, "quick") as let_go:
        with asked(server, data, 1) as [connection]:
            wait_until(lambda: waiting(server) == 1)
            connection.sendall(head("GET", "/healthz", {}))
            wait_until(
                lambda: any(
                    each.flow.read_paused for each in server.shell.connections._open
                )
            )
        threading.Event().wait(calls.SOON)  # those who wait less are not looked at
        let_go()
        wait_until(lambda: waiting(server) == 0)

    assert Message.objects.count() == 0


@live
def test_client_that_left_unnoticed_gets_no_answer_of_the_servers(server, bob, caplog):
    """The server would answer 500 and log it, if it did not know."""
    own = token_of(bob)
    accept(server, own)
    with held(server, "quick") as let_go:
        with asked(server, head("GET", "/api/users/me/", own), 2) as connections:
            for connection in connections:
                connection.sendall(head("GET", "/healthz", {}))
            wait_until(lambda: waiting(server) == 2)
        threading.Event().wait(calls.SOON)
        let_go()
        wait_until(lambda: waiting(server) == 0)

    errors = [record for record in caplog.records if record.levelname == "ERROR"]
    assert errors == []


@live
def test_probe_is_answered_whatever_its_address_has_used_up(server, limit):
    limit("anon", 1)
    pages = [httpx.get(f"{server.url}/").status_code for _ in "123"]

    assert pages == [200, 429, 429]
    assert httpx.get(f"{server.url}/healthz").status_code == 200
    assert httpx.get(f"{server.url}/readyz").status_code == 200


@live
def test_preflight_is_answered_whatever_its_address_has_used_up(
    server, limit, settings
):
    settings.CORS_ALLOWED_ORIGINS = ["https://app.example"]
    limit("anon", 1)
    for _ in "12":
        httpx.get(f"{server.url}/")
    headers = {
        "Origin": "https://app.example",
        "Access-Control-Request-Method": "POST",
    }
    answer = httpx.options(f"{server.url}/api/messages/", headers=headers)

    assert answer.status_code == 200
    assert answer.headers["Access-Control-Allow-Origin"] == "https://app.example"


@live
def test_refusals_beyond_some_are_cut_short(server, limit, monkeypatch):
    monkeypatch.setattr(shares, "REFUSE_AFTER", 0.3)
    monkeypatch.setattr(shares, "MOST_REFUSALS", 2)
    limit("anon", 1)
    for _ in "12":
        httpx.get(f"{server.url}/")

    with asked(server, head("GET", "/", {}), 5) as connections:
        answers = [first_bytes(connection) for connection in connections]

    assert sorted(answers) == [b"", b"", b"", *[b"HTTP/1.1 429 Too"] * 2]


def first_bytes(connection: socket.socket) -> bytes:
    try:
        return connection.recv(16)
    except ConnectionResetError:
        return b""


def test_person_signs_in_from_a_known_address_that_others_use_up(client, limit, bob):
    identity = {"username": "bob", "password": PASSWORD}

    def sign_in(**identity: str) -> int:
        kind = "application/json"
        return client.post("/api/auth/login/", identity, kind).status_code

    first = sign_in(**identity)
    limit("sign_in", 3)
    guesses = [sign_in(username=f"nobody-{n}", password="x") for n in range(4)]

    assert (first, guesses) == (200, [401, 401, 401, 429])
    assert [sign_in(**identity) for _ in "1234"] == [200, 200, 200, 429]


@live
def test_sign_ins_of_one_name_wait_behind_each_other(server, monkeypatch, alice, bob):
    """Both come from one address and have no credential yet."""
    order = []
    real = bridge.Exchange.begin

    def begin(exchange):
        order.append(json.loads(exchange.environ["wsgi.input"].getvalue())["username"])
        return real(exchange)

    monkeypatch.setattr(bridge.Exchange, "begin", begin)
    with held(server, "sign-in") as let_go, ExitStack() as stack:
        for number, name in enumerate(["bob"] * 3 + ["alice"], start=1):
            body = json.dumps({"username": name, "password": PASSWORD}).encode()
            json_head = {"Content-Type": "application/json"}
            data = head("POST", "/api/auth/login/", json_head, body)
            stack.enter_context(asked(server, data, 1))
            wait_until(lambda number=number: waiting(server) == number)
        let_go()
        wait_until(lambda: waiting(server) == 0)

    assert order == ["bob", "alice", "bob", "bob"]


# --- Bytes ----------------------------------------------------------------------


@pytest.fixture
def long_page(alice: User, conversation: Conversation) -> str:
    for _ in range(40):
        messages.send_message(alice, conversation.pk, message_body="😀" * 10_000)
    return f"/api/messages/?conversation_id={conversation.pk}&page_size=100"


@live
def test_caller_who_reads_nothing_gets_no_more(
    server, alice, bob, long_page, monkeypatch
):
    monkeypatch.setattr(shares, "MOST_BYTES", 100_000)
    own = token_of(bob)
    accept(server, own)
    with asked(server, head("GET", long_page, own), 12) as connections:
        wait_until(lambda: waiting(server) == 12)
        wait_until(lambda: server.shell.calls.shares.size > 100_000)
        me = server.call(alice, "GET", "/api/users/me/")
        size = server.shell.calls.shares.size
        answers = [connection.recv(16) for connection in connections[:1]]

    assert me.status_code == 200
    # One answer; others may have begun before it was counted.
    assert size < 4 * 40 * 41_000
    assert answers == [b"HTTP/1.1 200 OK\r"]
    wait_until(lambda: server.shell.calls.shares.size == 0)
    wait_until(lambda: waiting(server) == 0)


@live
def test_answer_that_is_not_read_is_cut_off(server, bob, long_page, monkeypatch):
    monkeypatch.setattr(bridge, "PIECE_TIMEOUT", 0.05)
    own = token_of(bob)
    accept(server, own)

    with asked(server, head("GET", long_page, own), 1):
        wait_until(lambda: server.shell.calls.shares.size > 0)
        wait_until(lambda: waiting(server) == 0)

    assert server.shell.calls.shares.size == 0


@live
def test_long_bodies_of_a_caller_wait_for_each_other(server, bob, monkeypatch):
    monkeypatch.setattr(shares, "MOST_BYTES", 100_000)
    own = token_of(bob) | {
        "Content-Type": "application/json",
        "Content-Length": "90000",
    }
    accept(server, token_of(bob))
    accept(server, {"Authorization": own["Authorization"]})
    data = head("POST", "/api/messages/", own) + b" " * 80_000
    with asked(server, data, 4):
        wait_until(lambda: waiting(server) == 4)
        wait_until(lambda: announced(server) == 90_000)
        protocols = list(server.shell.connections._open)
        unread = [len(each.cycle.body) for each in protocols if each.cycle.more_body]
        me = server.call(bob, "GET", "/api/users/me/")

    assert me.status_code == 200
    assert sum(unread) <= 4 * 32 * 1024
    wait_until(lambda: waiting(server) == 0)
    assert server.shell.calls.shares.size == 0


@live
def test_long_bodies_of_a_caller_are_all_answered(server, bob, monkeypatch):
    monkeypatch.setattr(shares, "MOST_BYTES", 100_000)
    own = token_of(bob) | {"Content-Type": "application/json"}
    accept(server, own)
    data = head("POST", "/api/messages/", own, b'{"a": "' + b"x" * 80_000 + b'"}')
    with held(server, "quick") as let_go, asked(server, data, 8) as connections:
        wait_until(lambda: waiting(server) == 8)
        let_go()
        answers = [first_bytes(connection) for connection in connections]

    assert answers == [b"HTTP/1.1 400 Bad"] * 8
    wait_until(lambda: waiting(server) == 0)
    assert server.shell.calls.shares._shares == {}


@pytest.mark.parametrize(
    "body",
    [
        b'{"a":[' + b"[]," * MOST_MARKS + b"[]]}",
        b'{"a":[' + b'"",' * MOST_MARKS + b'""]}',
        b"{" + b'"a":1,' * MOST_MARKS + b'"a":1}',
        b'{"a":' + b"1" * 2000 + b"}",
    ],
    ids=["lists", "texts", "keys", "digits"],
)
def test_body_that_is_dear_to_read_is_refused(body, as_bob):
    for path in ("/api/conversations/", "/api/auth/login/"):
        answer = as_bob.generic("POST", path, body, content_type="application/json")

        assert answer.status_code == 400
        assert answer.json()["code"] == "parse_error"


# --- StreamLimits for streams ---------------------------------------------------------


def test_nobody_takes_the_last_places(settings):
    settings.MAX_STREAMS, settings.MAX_STREAMS_PER_USER = 20, 50
    limits = StreamLimits()
    for _ in range(18):
        limits.acquire("mallory", "192.0.2.66")

    with pytest.raises(Full):
        limits.acquire("mallory", "192.0.2.67")
    with pytest.raises(Full):
        limits.acquire("accomplice", "192.0.2.66")
    limits.acquire("alice", "192.0.2.1")
    limits.acquire("bob", "192.0.2.1")
    with pytest.raises(Full):
        limits.acquire("carol", "192.0.2.2")

    limits.release("mallory", "192.0.2.66")
    limits.acquire("carol", "192.0.2.2")
    assert limits.taken == 20


def test_places_of_a_person_count_from_every_address(settings):
    settings.MAX_STREAMS_PER_USER = 2
    limits = StreamLimits()
    limits.acquire("mallory", "192.0.2.1")
    limits.acquire("mallory", "192.0.2.2")

    with pytest.raises(TooManyAttempts):
        limits.acquire("mallory", "192.0.2.3")


# --- Pages and passwords --------------------------------------------------------


@pytest.mark.parametrize(
    "path", ["/admin/login/", "/api-auth/login/", "/", "/nowhere/"]
)
def test_every_page_is_throttled(path, client, limit, db):
    limit("anon", 1)

    first, second = (client.get(path) for _ in "12")

    assert first.status_code in {200, 404}
    assert second.status_code == 429
    assert int(second.headers["Retry-After"]) > 0


def test_probes_are_not_throttled(client, limit, db):
    limit("anon", 1)

    assert [client.get("/healthz").status_code for _ in "123"] == [200] * 3


def test_right_passwords_are_limited_too(client, limit, bob):
    limit("sign_in", 2)
    identity = {"username": "bob", "password": PASSWORD}

    def sign_in(address: str) -> int:
        return client.post(
            "/api/auth/login/", identity, "application/json", REMOTE_ADDR=address
        ).status_code

    # Two for the address, and two more for whom it knows.
    assert [sign_in("192.0.2.1") for _ in "12345"] == [200] * 4 + [429]
    assert sign_in("192.0.2.2") == 200
    admin = client.post("/admin/login/", identity, REMOTE_ADDR="192.0.2.1")
    assert "Too many sign-ins from your address." in admin.content.decode()


@live
def test_stream_of_a_caller_over_the_limit_ends_and_may_come_back(server, limit, bob):
    """EventSource gives up for good at any status but 200."""
    limit("user", 1)
    headers = token_of(bob) | {"Accept": "text/event-stream"}
    for _ in "12":
        httpx.get(f"{server.url}/api/users/me/", headers=token_of(bob))
    known = httpx.get(f"{server.url}/api/events/", headers=headers)

    with held(server, "quick"):
        refused = httpx.get(f"{server.url}/api/events/", headers=headers)

    for answer in (known, refused):
        assert answer.status_code == 200
        assert answer.headers["Content-Type"] == "text/event-stream; charset=utf-8"
        [block] = answer.text.strip().split("\n\n")
        assert "event: end" in block
        assert '"code":"throttled"' in block
        wait = int(block.partition("retry: ")[2].partition("\n")[0])
        assert wait > 1000
