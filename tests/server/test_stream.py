"""Streams held open: the ASGI shell under a real server, and over real sockets."""

import asyncio
import json
import os
import re
import signal
import socket
import struct
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from uuid import UUID, uuid4

import httpx
import pytest
from django.conf import settings
from django.contrib.auth.tokens import default_token_generator
from django.core.signals import request_finished
from django.db import connections
from django.test import Client
from django.utils.http import urlsafe_base64_encode

from chats.models import AccessToken, Conversation, Event, Message, User
from chats.models.credentials import Credential
from chats.realtime import hub, log, other_processes, presence, streams
from chats.realtime.limits import StreamLimits
from chats.server import bridge
from chats.server import shell as shell_module
from chats.server.bridge import environ_of
from chats.server.routes import Routes
from chats.server.shell import Shell, Stream, StreamHandoff, next_piece
from chats.services import conversations, messages, users
from chats.web import metrics
from chats.web.exceptions import SignedOut
from messaging_app.wsgi import application
from tests.support.factories import PASSWORD, UserFactory, start
from tests.support.hub import credential_of
from tests.support.servers import (
    PATIENCE,
    Block,
    Follower,
    Server,
    blocks_of,
    close_threads,
    scope_of,
    serving_in_process,
    serving_in_thread,
    session_of,
    token_of,
    wait_until,
)

live = pytest.mark.django_db(transaction=True)

RETRY_SPREAD = range(500, 5001)
CLOSE = {"Connection": "close"}


@pytest.fixture(autouse=True)
def _intervals(monkeypatch):
    """Short ones, but for the timer: what arrives does so since the bell rang."""
    monkeypatch.setattr(hub, "TIMER", 3600)
    monkeypatch.setattr(hub, "CREDENTIALS_EVERY", 0.05)
    monkeypatch.setattr(presence, "EVERY", 0.05)
    monkeypatch.setattr(other_processes, "RECONNECT_EVERY", 0.05)


@pytest.fixture
def server(transactional_db, caplog):
    """A server in this process; no test of it leaves an error in its log."""
    with serving_in_thread() as server:
        yield server
    logged = caplog.get_records("call") + caplog.records
    assert [record for record in logged if record.levelname == "ERROR"] == []


def send(actor: User, conversation: Conversation, body: str = "Hello") -> Message:
    message, _ = messages.send_message(actor, conversation.pk, message_body=body)
    return message


def bodies(events: list[dict]) -> list[str]:
    return [event["message"]["message_body"] for event in events]


def follow(server: Server, user: User, **headers: str) -> Follower:
    """Open a stream with a new token and wait until it is live."""
    known = set(server.shell.streams)
    follower = Follower(server, token_of(user), **headers)
    wait_until_live(server, len(known) + 1)
    return follower


def wait_until_live(server: Server, count: int) -> None:
    wait_until(
        lambda: (
            server.shell.hub is not None
            and len(server.shell.hub.audience.streams()) == count
        )
    )


def wait_until_empty(server: Server) -> None:
    """Wait until neither the shell nor the hub has a stream."""
    wait_until(lambda: server.shell.streams == set())
    wait_until(lambda: server.shell.hub.audience.listeners == {})


# --- Live ----------------------------------------------------------------------


@live
@pytest.mark.parametrize("credentials_of", [token_of, session_of])
def test_stream_begins_with_the_present_cursor_and_goes_on_live(
    credentials_of, server, alice, bob, conversation
):
    since = Event.objects.last_id()
    with Follower(server, credentials_of(bob)) as follower:
        first = follower.next_block()
        answer = server.call(
            alice,
            "POST",
            "/api/messages/",
            {"conversation": str(conversation.pk), "message_body": "Hi, Bob"},
        )
        event = follower.next()

    headers = follower.response.headers
    assert headers["content-type"] == "text/event-stream; charset=utf-8"
    assert headers["cache-control"] == "no-store, no-transform"
    assert "content-length" not in follower.response.headers
    cursor = f"1-{since}"
    data = f'{{"cursor":"{cursor}"}}'
    assert first == {"retry": "1000", "id": cursor, "event": "ready", "data": data}
    assert answer.status_code == 201
    sent = answer.json()
    del sent["is_read"]
    del sent["sender"]["last_seen_at"], event["message"]["sender"]["last_seen_at"]
    assert event["message"] == sent
    assert follower.cursor == event["id"] == f"1-{Event.objects.last_id()}"


@live
def test_stream_on_every_device_gets_the_same(server, alice, bob, conversation):
    with (
        follow(server, alice) as own,
        follow(server, bob) as phone,
        follow(server, bob) as laptop,
    ):
        send(alice, conversation, "To all")
        everywhere = [follower.take(2)[1] for follower in (own, phone, laptop)]

    assert bodies(everywhere) == ["To all"] * 3
    assert everywhere[0] == everywhere[1] == everywhere[2]


@live
def test_stream_of_an_outsider_gets_nothing(server, alice, mallory, conversation):
    own = start(mallory)
    with follow(server, mallory) as follower:
        send(alice, conversation, "Secret")
        send(mallory, own, "My own")
        _, event = follower.take(2)

    assert bodies([event]) == ["My own"]


@live
def test_stream_passes_on_that_somebody_types(server, alice, bob, conversation):
    path = f"/api/conversations/{conversation.pk}/typing/"
    with follow(server, bob) as follower:
        answer = server.call(alice, "POST", path)
        _, event = follower.take(2)

    assert answer.status_code == 204
    assert event == {
        "event": "typing",
        "conversation_id": str(conversation.pk),
        "user_id": str(alice.pk),
    }
    assert follower.cursor == f"1-{Event.objects.last_id()}"


@live
def test_stream_passes_on_who_comes_online(server, alice, bob, conversation):
    User.objects.filter(pk=alice.pk).update(last_seen_at=None)
    with follow(server, bob) as follower:
        assert follower.next()["event"] == "ready"
        wait_until(lambda: server.shell.hub._watch._online is not None)
        server.call(alice, "GET", "/api/users/me/")
        event = follower.next()

    assert (event["event"], event["user_id"]) == ("presence", str(alice.pk))
    assert event["is_online"] is True


@pytest.fixture
def _fast_heart(monkeypatch):
    monkeypatch.setattr(shell_module, "HEARTBEAT_EVERY", 0.05)


@live
@pytest.mark.usefixtures("_fast_heart")
def test_silent_stream_has_a_heartbeat(server, bob):
    with follow(server, bob) as follower:
        blocks = [follower.next_block() for _ in range(3)]

    assert blocks[1:] == [{"event": "ping", "data": "{}"}] * 2


@live
@pytest.mark.usefixtures("_fast_heart")
def test_heart_beats_while_there_are_streams_and_without_a_lifespan(server, bob):
    """daphne knows no lifespan; nor does uvicorn with ``--lifespan off``."""
    assert server.shell.beating is None
    for _ in range(2):
        with follow(server, bob) as follower:
            assert [event["event"] for event in follower.take(2)] == ["ready", "ping"]
        wait_until(server.shell.beating.done)


@live
def test_request_of_a_stream_is_over_while_it_is_open(server, alice, bob, conversation):
    """However large the first piece: Django tidies up at the end of a request."""
    since = Event.objects.last_id()
    for _ in range(3):
        send(alice, conversation, "😀" * 10_000)
    finished = []

    def note(sender: object, **_: object) -> None:
        finished.append(sender)

    request_finished.connect(note)
    with follow(server, bob, last_event_id=f"1-{since}"):
        request_finished.disconnect(note)

        assert len(finished) == 1


# --- Resuming ------------------------------------------------------------------


def cut_cleanly(follower: Follower) -> None:
    follower.close()


def cut_by_reset(follower: Follower) -> None:
    """Close the socket so that the server gets an RST."""
    sock = follower.response.extensions["network_stream"].get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    follower.close()


@live
@pytest.mark.parametrize("cut", [cut_cleanly, cut_by_reset])
def test_stream_cut_and_resumed_misses_nothing(cut, server, alice, bob, conversation):
    """Events come while the stream is open, while it is cut and while it opens."""
    credentials = token_of(bob)
    cursor = f"1-{Event.objects.last_id()}"

    def send_all() -> None:
        try:
            for number in range(60):
                send(alice, conversation, str(number))
        finally:
            connections.close_all()

    got = []
    with ThreadPoolExecutor(1) as pool:
        sending = pool.submit(send_all)
        while len(got) < 60:
            follower = Follower(server, credentials, last_event_id=cursor)
            got += follower.take(min(7, 60 - len(got)))
            cursor = follower.cursor
            cut(follower)
        sending.result(PATIENCE)

    assert bodies(got) == [str(number) for number in range(60)]


@live
def test_stream_with_a_long_backlog_gets_it_all_and_goes_on_live(
    server, alice, bob, conversation, monkeypatch
):
    monkeypatch.setattr(streams, "PAGE", 2)
    monkeypatch.setattr(streams, "FIRST_PAGE", 2)
    since = Event.objects.last_id()
    for number in range(5):
        send(alice, conversation, str(number))

    with follow(server, bob, last_event_id=f"1-{since}") as follower:
        send(alice, conversation, "Live")
        blocks = [follower.next_block() for _ in range(6)]

    assert bodies([json.loads(block["data"]) for block in blocks]) == [
        "0",
        "1",
        "2",
        "3",
        "4",
        "Live",
    ]
    # It comes back at once only as long as more is waiting.
    assert [block.get("retry") for block in blocks] == [
        *["0", None, "0", None, "1000", None]
    ]


@live
def test_stream_from_a_cursor_that_is_gone_is_reset_and_goes_on(
    server, alice, bob, conversation
):
    with follow(server, bob, last_event_id="1-999999999") as follower:
        send(alice, conversation, "Live")
        reset, event = follower.take(2)

    assert reset["event"] == "reset"
    assert bodies([event]) == ["Live"]


@live
@pytest.mark.parametrize(
    ("headers", "status"),
    [({}, 401), ({"last_event_id": "5"}, 401)],
    ids=["nobody", "nobody with a cursor"],
)
def test_stream_for_nobody_is_refused_and_not_held(headers, status, server, db):
    with Follower(server, {}, **headers) as follower:
        answer = json.loads(follower.response.read())

    assert follower.response.status_code == status
    assert answer["code"] == "not_authenticated"
    assert server.shell.streams == set()


@live
def test_malformed_cursor_is_refused_and_not_held(server, bob):
    with Follower(server, token_of(bob), last_event_id="5") as follower:
        answer = json.loads(follower.response.read())

    assert (follower.response.status_code, answer) == (
        400,
        {"after": ["Invalid cursor."]},
    )
    assert server.shell.streams == set()


# --- Ends ----------------------------------------------------------------------


def assert_ends(block: Block, code: str, detail: str) -> None:
    words = {"code": code, "detail": detail}
    assert (block["event"], json.loads(block["data"])) == ("end", words)
    assert int(block["retry"]) in RETRY_SPREAD
    assert "id" not in block


def sign_out(server: Server, user: User, credentials: dict) -> None:
    client = Client()
    client.cookies["sessionid"] = credentials["Cookie"].removeprefix("sessionid=")
    assert client.post("/api/auth/logout/").status_code == 204


def revoke(server: Server, user: User, credentials: dict) -> None:
    token = AccessToken.objects.get(user=user)
    path = f"/api/auth/tokens/{token.pk}/"
    answer = httpx.delete(server.url + path, headers=credentials)
    assert answer.status_code == 204


def end_session(server: Server, user: User, credentials: dict) -> None:
    """As another device of the person does."""
    path = "/api/auth/sessions/"
    [*_, oldest] = server.call(user, "GET", path).json()["results"]
    answer = server.call(user, "DELETE", f"{path}{oldest['session_id']}/")
    assert answer.status_code == 204


def end_others(server: Server, user: User, credentials: dict) -> None:
    answer = server.call(user, "POST", "/api/auth/sessions/revoke_others/")
    assert answer.status_code == 204


def reset_password(server: Server, user: User, credentials: dict) -> None:
    letter = {
        "uid": urlsafe_base64_encode(str(user.pk).encode()),
        "token": default_token_generator.make_token(user),
        "new_password": "an-0ther-good-one",
    }
    path = "/api/auth/password/reset/confirm/"
    assert httpx.post(server.url + path, json=letter).status_code == 204


def change_password(server: Server, user: User, credentials: dict) -> None:
    body = {"old_password": PASSWORD, "new_password": "an-0ther-good-one"}
    answer = server.call(user, "POST", "/api/auth/password/change/", body)
    assert answer.status_code == 204


def deactivate(server: Server, user: User, credentials: dict) -> None:
    users.deactivate_user(user, actor=user)


def deactivate_in_admin(server: Server, user: User, credentials: dict) -> None:
    boss = UserFactory(username="boss", role="admin", is_staff=True, is_superuser=True)
    client = Client()
    client.force_login(boss)
    chosen = {"action": "deactivate_selected", "_selected_action": str(user.pk)}
    chosen["post"] = "yes"  # confirmed
    assert client.post("/admin/chats/user/", chosen).status_code == 302


def delete_account(server: Server, user: User, credentials: dict) -> None:
    proof = {"current_password": PASSWORD}
    assert server.call(user, "DELETE", "/api/users/me/", proof).status_code == 204


@live
@pytest.mark.parametrize(
    ("end", "credentials_of"),
    [
        (sign_out, session_of),
        (revoke, token_of),
        (end_session, session_of),
        (end_session, token_of),
        (end_others, session_of),
        (end_others, token_of),
        (reset_password, session_of),
        (reset_password, token_of),
        (change_password, session_of),
        (change_password, token_of),
        (deactivate, session_of),
        (deactivate_in_admin, token_of),
        (delete_account, session_of),
    ],
)
def test_stream_ends_with_its_credentials(
    end: Callable, credentials_of, server, alice, bob
):
    credentials = credentials_of(bob)
    with follow(server, alice) as others, Follower(server, credentials) as follower:
        wait_until_live(server, 2)
        end(server, bob, credentials)
        *_, last = follower.rest()
        again = httpx.get(f"{server.url}/api/events/", headers=credentials)

        # Without a cursor there is nothing between: others' streams stay open.
        assert len(server.shell.streams) == 1
    assert_ends(last, "signed_out", "The session or token has ended.")
    assert again.status_code == 401
    assert others.response.status_code == 200


@live
def test_somebody_removed_gets_the_removal_and_nothing_after(
    server, alice, bob, conversation
):
    other = start(alice, bob)
    with follow(server, bob) as follower:
        conversations.remove_participant(alice, conversation.pk, user_id=bob.pk)
        send(alice, conversation, "Secret")
        send(alice, other, "For bob")
        _, removed, event = follower.take(3)

    assert removed["event"] == "participant.removed"
    assert bodies([event]) == ["For bob"]


# --- How many ------------------------------------------------------------------


@live
def test_streams_of_a_person_are_limited(server, settings, alice, bob):
    settings.MAX_STREAMS_PER_USER = 2
    with follow(server, bob), follow(server, bob) as second, follow(server, alice):
        refused = open_stream(server, bob)
        second.close()
        wait_until(lambda: server.shell.limits.taken == 2)
        with Follower(server, token_of(bob)) as third:
            assert third.response.status_code == 200

    assert refused.status_code == 200
    assert end_of(refused) == {
        "detail": "Too many open streams. Close one first.",
        "code": "too_many_streams",
    }
    wait_until(lambda: server.shell.limits.taken == 0)


@live
def test_streams_of_a_process_are_limited(server, settings, alice, bob, mallory):
    settings.MAX_STREAMS = 2
    with follow(server, alice), follow(server, bob):
        refused = open_stream(server, mallory)
        page = server.call(mallory, "GET", "/api/events/")

    assert refused.status_code == 200
    assert end_of(refused) == {
        "detail": "Too many streams on this server.",
        "code": "full",
    }
    assert page.status_code == 200


def end_of(refused: httpx.Response) -> dict:
    """Return the data of the one block of a stream that has no place.

    A status other than 200 would stop an EventSource for good.
    """
    [end] = blocks_of([refused.content])
    data = end.pop("data")
    assert end == {"retry": "30000", "event": "end"}
    return json.loads(data)


@live
def test_streams_refused_for_other_reasons_take_no_place(server, bob):
    for _ in range(3):
        answer = open_stream(server, bob, last_event_id="nonsense")
        assert answer.status_code == 400

    assert server.shell.limits.taken == 0


def open_stream(server: Server, user: User, **headers: str) -> httpx.Response:
    """Ask for a stream that is refused, and return the answer."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    asked = {"Accept": "text/event-stream"} | token_of(user) | named
    return httpx.get(f"{server.url}/api/events/", headers=asked, timeout=PATIENCE)


def test_stream_refused_reads_nothing(bob, as_bob, settings, django_assert_num_queries):
    settings.MAX_STREAMS = 1
    limits = StreamLimits()
    limits.acquire(uuid4(), "")
    offer = StreamHandoff(limits)

    with django_assert_num_queries(0):
        answer = as_bob.get(
            "/api/events/", HTTP_ACCEPT="text/event-stream", **{"chats.hold": offer}
        )

    assert (end_of(answer)["code"], offer.accepted) == ("full", None)


@pytest.mark.parametrize("is_over", [False, True])
def test_place_is_given_back_once_whichever_comes_last(is_over):
    """A client may be gone before the thread with its request takes the place."""
    limits = StreamLimits()
    offer = StreamHandoff(limits)
    if is_over:
        offer.release()
    offer.reserve(uuid4(), "")
    assert limits.taken == (0 if is_over else 1)
    offer.release()
    offer.release()
    assert limits.taken == 0


@live
@pytest.mark.parametrize("cut", [cut_cleanly, cut_by_reset])
def test_stream_whose_client_is_gone_is_forgotten(cut, server, bob):
    follower = follow(server, bob)

    cut(follower)

    wait_until_empty(server)


@live
def test_stream_opened_and_closed_at_once_is_forgotten(server, bob):
    credentials = token_of(bob)
    for _ in range(20):
        Follower(server, credentials).close()

    wait_until_empty(server)


@live
def test_process_going_down_ends_its_streams(server, bob, alice):
    with follow(server, bob) as first, follow(server, alice) as second:
        first.take(1)
        second.take(1)
        asyncio.run_coroutine_threadsafe(call(server.shell.close), loop_of(server))
        ends = [follower.rest() for follower in (first, second)]
        with Follower(server, token_of(bob)) as late:
            *_, end = late.rest()

    for block in [*(block for [block] in ends), end]:
        assert_ends(block, "restart", "The server is restarting.")
    wait_until_empty(server)


@live
@pytest.mark.usefixtures("_small_queue")
def test_process_going_down_breaks_off_a_reader_who_takes_nothing(
    server, alice, bob, conversation, monkeypatch
):
    monkeypatch.setattr(shell_module, "LINGER", 0.05)
    reader = SlowReader(server, bob)
    wait_until_live(server, 1)
    loop = loop_of(server)
    overrun(server, alice, conversation)

    asyncio.run_coroutine_threadsafe(call(server.shell.close), loop)

    wait_until_empty(server)
    assert not reader.read().endswith(b"0\r\n\r\n")


async def call(function: Callable) -> None:
    function()


def loop_of(server: Server) -> asyncio.AbstractEventLoop:
    """Return the event loop that a stream of the server runs in."""
    [*_, stream] = server.shell.streams
    return stream._waiter.get_loop()


# --- Slow readers --------------------------------------------------------------


class SlowReader:
    """A client with a small window that reads nothing until it is told to."""

    def __init__(self, server: Server, user: User, **headers: str):
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        named |= token_of(user) | CLOSE
        self.socket = socket.socket()
        self.socket.settimeout(PATIENCE)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 32_768)
        self.socket.connect(server.address)
        self.socket.sendall(request("GET", "/api/events/", named))

    def read(self) -> bytes:
        """Read to the end, or to where the connection was broken off."""
        received = []
        try:
            while piece := self.socket.recv(65536):
                received.append(piece)
        except ConnectionResetError:
            pass
        self.socket.close()
        return b"".join(received)


def request(
    method: str, path: str, headers: dict[str, str], body: bytes = b""
) -> bytes:
    """Return the bytes of a request for a stream, or any other."""
    named = {"Host": "localhost", "Accept": "text/event-stream, */*"} | headers
    lines = [f"{name}: {value}" for name, value in named.items()]
    return "\r\n".join([f"{method} {path} HTTP/1.1", *lines, "", ""]).encode() + body


@pytest.fixture
def _small_queue(monkeypatch):
    monkeypatch.setattr(shell_module, "MAX_QUEUED", 1_000_000)


def overrun(server: Server, actor: User, conversation: Conversation) -> int:
    """Send until the one stream is cut; return how many messages that took.

    One at a time: what fills the queue is the socket that takes no more.
    """
    [stream] = server.shell.streams
    for count in range(1, 1000):
        send(actor, conversation, "😀" * 10_000)
        end = Event.objects.last_id()
        wait_until(lambda end=end: stream.position >= end)
        if stream.ended:
            return count
    raise AssertionError("The slow reader was never cut.")


@live
@pytest.mark.usefixtures("_small_queue")
def test_slow_reader_is_cut_and_resumes(server, alice, bob, conversation):
    since = Event.objects.last_id()
    reader = SlowReader(server, bob)
    wait_until_live(server, 1)

    count = overrun(server, alice, conversation)
    received = reader.read()
    wait_until_empty(server)

    # It ends after a whole event, and cleanly.
    assert received.endswith(b"\r\n0\r\n\r\n")
    seen = received.count(b"event: message.created")
    assert 0 < seen < count
    events, _, _ = received.rpartition(b"\n\n")[0].rpartition(b"\nretry: ")
    assert received.count(b'{"code":"slow","detail":"The client reads') == 1
    after = f"1-{since + seen}"
    assert events.rindex(f"id: {after}\n".encode()) > events.rindex(b"data:") - 99
    rest, position = 0, since + seen
    while (page := log.page(bob.pk, position, 1000)).payloads:
        rest, position = rest + len(page.payloads), page.position
    assert rest == count - seen


@live
@pytest.mark.usefixtures("_small_queue", "_fast_heart")
def test_reader_who_takes_nothing_is_broken_off(server, alice, bob, conversation):
    reader = SlowReader(server, bob)
    wait_until_live(server, 1)

    overrun(server, alice, conversation)

    wait_until_empty(server)
    assert not reader.read().endswith(b"0\r\n\r\n")


@live
def test_reader_who_takes_nothing_of_its_backlog_is_broken_off(
    server, alice, bob, conversation, monkeypatch
):
    monkeypatch.setattr(streams, "PAGE", 20)
    monkeypatch.setattr(streams, "FIRST_PAGE", 20)
    monkeypatch.setattr(bridge, "PIECE_TIMEOUT", 0.2)
    for _ in range(200):
        send(alice, conversation, "😀" * 10_000)

    reader = SlowReader(server, bob, last_event_id="1-0")

    wait_until(lambda: server.shell.streams)
    wait_until_empty(server)
    assert not reader.read().endswith(b"0\r\n\r\n")


@live
def test_backlog_ends_with_the_credentials(transactional_db, alice, bob, conversation):
    send(alice, conversation)
    stream = Stream(0, credential_of(bob))
    while_signed_in = next_piece(stream)

    AccessToken.objects.filter(user=bob).delete()

    assert b"event: message.created" in while_signed_in.body
    with pytest.raises(SignedOut):
        next_piece(stream)


@live
@pytest.mark.usefixtures("_small_queue")
def test_slow_reader_does_not_hold_up_the_others(server, alice, bob, conversation):
    reader = SlowReader(server, bob)
    wait_until_live(server, 1)
    with follow(server, alice) as follower:
        [slow] = [s for s in server.shell.streams if s.user_id == bob.pk]
        assert follower.next()["event"] == "ready"
        while not slow.ended:
            send(alice, conversation, "😀" * 10_000)
            assert follower.next()["event"] == "message.created"
    reader.socket.close()


# --- Several processes ---------------------------------------------------------


@live
def test_two_processes_deliver_to_each_other(server, alice, bob, conversation):
    typing = f"/api/conversations/{conversation.pk}/typing/"
    message = {"conversation": str(conversation.pk), "message_body": "From there"}
    with (
        serving_in_process() as other,
        Follower(other, token_of(bob)) as there,
        follow(server, bob) as here,
    ):
        begun = [here.next()["event"], there.next()["event"]]
        send(alice, conversation, "From here")
        from_here = [here.next(), there.next()]
        assert other.call(alice, "POST", "/api/messages/", message).status_code == 201
        from_there = [here.next(), there.next()]
        assert server.call(alice, "POST", typing).status_code == 204
        assert other.call(alice, "POST", typing).status_code == 204
        typed = [*here.take(2), *there.take(2)]

    assert begun == ["ready", "ready"]
    assert bodies(from_here) == ["From here"] * 2
    assert bodies(from_there) == ["From there"] * 2
    expected = {"conversation_id": str(conversation.pk), "user_id": str(alice.pk)}
    assert typed == [{"event": "typing"} | expected] * 4


@live
@pytest.mark.parametrize("lifespan", ["on", "off"])
def test_terminated_process_ends_its_streams_and_exits(lifespan, transactional_db, bob):
    with (
        serving_in_process(f"--lifespan={lifespan}") as server,
        Follower(server, token_of(bob)) as follower,
        socket.create_connection(server.address) as idle,
    ):
        assert follower.next()["event"] == "ready"

        server.process.send_signal(signal.SIGTERM)
        [end] = follower.rest()
        code = server.process.wait(10)
        idle.close()

    assert_ends(end, "restart", "The server is restarting.")
    assert code == -signal.SIGTERM


def test_signal_is_heard_before_the_first_stream_is_held(monkeypatch):
    """A signal that came between a stream's first byte and its place went unheard."""
    heard = []
    monkeypatch.setattr(shell_module, "on_signals", heard.append)

    ask(scope_of("/api/nowhere/"))

    assert len(heard) == 1


WORKER = """
import signal, time
from messaging_app.asgi import application
from chats.server import shell
shell.LINGER = 0.1
shell.on_signals(lambda: print("heard", flush=True))
signal.raise_signal(signal.SIGTERM)
time.sleep(60)
"""


def test_signal_that_the_server_leaves_alone_still_ends_the_process():
    """As in a worker of hypercorn, whose parent hears the signals."""
    done = subprocess.run(
        [sys.executable, "-c", WORKER],
        env=os.environ | {"DJANGO_SETTINGS_MODULE": "tests.support.settings"},
        cwd=settings.BASE_DIR,
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )

    assert (done.stdout, done.returncode) == ("heard\n", -signal.SIGTERM)


# --- Requests that are slow, broken or odd -------------------------------------


def exchange(server: Server, *pieces: bytes) -> tuple[int, bytes]:
    """Send the pieces over one connection; return the answer's status and body."""
    with socket.create_connection(server.address, PATIENCE) as connection:
        for piece in pieces:
            connection.sendall(piece)
        answer = connection.makefile("rb").read()
    head, _, body = answer.partition(b"\r\n\r\n")
    return int(head.split()[1]), body


@live
def test_body_that_takes_too_long_is_408(server, monkeypatch):
    monkeypatch.setattr(bridge, "BODY_TIMEOUT", 0.1)
    headers = CLOSE | {"Content-Length": "100"}

    status, body = exchange(server, request("POST", "/api/messages/", headers, b"{"))

    assert status == 408
    assert json.loads(body) == {
        "detail": "The body took too long to arrive.",
        "code": "timeout",
    }


@live
def test_body_that_is_too_large_is_413(server, settings):
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 1000
    headers = CLOSE | {"Content-Length": "1001"}

    status, body = exchange(
        server, request("POST", "/api/messages/", headers, b"x" * 1001)
    )

    assert status == 413
    assert json.loads(body) == {
        "detail": "The body is too large.",
        "code": "too_large",
    }


BODY_OF_100 = {
    "Content-Length": "100",
    "X-Forwarded-For": "198.51.100.9",
    "Content-Type": "application/json; charset=hex",  # which is no text's
}


@live
@pytest.mark.parametrize(
    ("status", "path", "route"),
    [
        (408, "/api/messages/", "/api/messages/"),
        (413, f"/api/messages/{UUID(int=7)}/", "/api/messages/<message_id>/"),
        (413, "/nowhere/?a=b", ""),
    ],
)
def test_request_refused_by_the_shell_has_an_id_a_line_and_a_count(
    status, path, route, server, settings, monkeypatch, caplog
):
    settings.LOG_FORMAT = "json"
    caplog.set_level("INFO", "chats.access")
    monkeypatch.setattr(bridge, "BODY_TIMEOUT", 0.1 if status == 408 else 30)
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 1 if status == 413 else 1000
    count = metrics.requests.labels("POST", route, "4xx")._sum
    before = count.get()

    with socket.create_connection(server.address, PATIENCE) as connection:
        connection.sendall(request("POST", path, BODY_OF_100, b"{}"))
        head = connection.makefile("rb").read().partition(b"\r\n\r\n")[0].decode()

    [record] = [r for r in caplog.records if r.name == "chats.access"]
    [request_id] = re.findall("x-request-id: ([0-9a-f]{16})", head)
    seconds = record.fields.pop("duration_ms") / 1000
    assert status != 408 or seconds >= 0.1
    assert count.get() - before == pytest.approx(seconds, abs=0.001)
    assert record.fields == {
        "request_id": request_id,
        "method": "POST",
        "route": route,
        "status": status,
        "user_id": None,
        "address": "127.0.0.1",
        "bytes": record.fields["bytes"],
    }
    assert f"content-length: {record.fields['bytes']}" in head


@live
def test_body_that_breaks_off_does_no_harm(server):
    headers = {"Content-Length": "100"}
    for _ in range(3):
        with socket.create_connection(server.address) as connection:
            connection.sendall(request("POST", "/api/messages/", headers, b"{"))

    assert httpx.get(f"{server.url}/healthz").status_code == 200


@live
def test_clients_that_stall_hold_no_thread(server, alice, bob, conversation):
    """There is one thread for all; some send half a head or half a body, some take
    no answer."""
    for _ in range(100):
        send(alice, conversation, "😀" * 10_000)
    half = request("POST", "/api/messages/", {"Content-Length": "99"}, b"{")
    head = half[:20]
    page = request("GET", "/api/messages/?page_size=200", token_of(bob))
    stalled = []
    for data in (head, half, page) * 4:
        connection = socket.socket()
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.connect(server.address)
        connection.sendall(data)
        stalled.append(connection)

    answer = server.call(alice, "GET", "/api/users/me/")

    assert answer.status_code == 200
    for connection in stalled:
        connection.close()


@live
def test_header_with_an_underscore_is_not_the_one_with_a_dash(server, bob):
    headers = token_of(bob) | {"Last_Event_ID": "nonsense", "Accept": "*/*"}

    status, body = exchange(server, request("GET", "/api/events/", headers | CLOSE))

    assert (status, json.loads(body)["events"]) == (200, [])


@live
def test_raw_bytes_in_a_query_are_no_server_error(server, bob):
    """uvicorn refuses them; a server that does not is the next test's matter."""
    head = request("GET", "/api/events/?after=X", token_of(bob) | CLOSE)

    status, _ = exchange(server, head.replace(b"X", "é".encode()))

    assert status == 400


@live
@pytest.mark.parametrize(("proxies", "last"), [(0, 429), (1, 401)])
def test_forwarded_address_is_believed_by_the_settings_only(
    server, settings, bob, proxies, last
):
    """The server, uvicorn, believes every connection from its own machine."""
    settings.TRUSTED_PROXIES = proxies
    body = {"username": "bob", "password": "wrong"}
    answers = [
        httpx.post(
            f"{server.url}/api/auth/login/",
            json=body,
            headers={"X-Forwarded-For": f"192.0.2.{number}"},
        ).status_code
        for number in range(6)
    ]

    assert answers == [401] * 5 + [last]


@live
def test_head_of_a_stream_leaves_the_connection_free(server, bob):
    head = request("HEAD", "/api/events/", token_of(bob))
    after = request("GET", "/healthz", CLOSE)

    status, rest = exchange(server, head, after)

    assert status == 200
    assert rest.startswith(b"HTTP/1.1 200 OK")
    assert server.shell.streams == set()


@live
def test_sign_in_sets_its_cookies(server, bob):
    """Django writes them with a space in front, which HTTP servers refuse."""
    body = {"username": "bob", "password": PASSWORD}

    answer = httpx.post(f"{server.url}/api/auth/login/", json=body)

    assert answer.status_code == 200
    assert set(answer.cookies) == {"sessionid", "csrftoken"}


# --- The shell by itself -------------------------------------------------------


def environ(path: str = "/", query: bytes = b"", **more) -> dict:
    scope = scope_of(path, query, **more)
    return environ_of(scope | {"path": Routes().path_of(scope)}, b"")


def ask(scope: dict) -> tuple[int, bytes]:
    """Ask the shell as an ASGI server does; return the answer's status and body."""
    shell, sent = Shell(application), []

    async def receive() -> dict:
        return {"type": "http.request", "body": b""}

    async def note(message: dict) -> None:
        sent.append(message)

    asyncio.run(shell(scope, receive, note))
    close_threads(shell)
    return sent[0]["status"], b"".join(message["body"] for message in sent[1:])


@live
@pytest.mark.parametrize("query", [b"after=\xff", b"after=\xc3\xa9", b"\xff=\xff"])
def test_raw_bytes_in_a_query_are_a_field_error(query, transactional_db, bob):
    headers = [(name.encode(), value.encode()) for name, value in token_of(bob).items()]

    status, body = ask(scope_of("/api/events/", query, headers=headers))

    assert status == 400
    if query.startswith(b"after"):
        assert body == b'{"after":["Invalid cursor."]}'


@pytest.mark.parametrize(
    ("path", "expected"),
    [("/a b/é", "/a b/Ã©"), ("/\ufffd", "/ï¿½")],
)
def test_path_is_passed_on_as_wsgi_wants_it(path, expected):
    assert environ(path)["PATH_INFO"] == expected


def test_path_below_a_mount_point_is_passed_on_without_it():
    passed_on = environ("/chat/api/users/", root_path="/chat")

    assert passed_on["SCRIPT_NAME"] == "/chat"
    assert passed_on["PATH_INFO"] == "/api/users/"


def test_headers_are_passed_on_joined():
    headers = [
        (b"cookie", b"a=1"),
        (b"cookie", b"b=2"),
        (b"accept", b"text/html"),
        (b"accept", b"*/*"),
        (b"content-type", b"application/json"),
        (b"content-length", b"7"),
        (b"x_forwarded_for", b"6.6.6.6"),
        (b"x-forwarded-for", b"1.2.3.4"),
    ]

    passed_on = environ(headers=headers)

    assert passed_on["HTTP_COOKIE"] == "a=1;b=2"
    assert passed_on["HTTP_ACCEPT"] == "text/html,*/*"
    assert passed_on["CONTENT_TYPE"] == "application/json"
    assert passed_on["CONTENT_LENGTH"] == "0"  # of the body as it was read
    assert passed_on["HTTP_X_FORWARDED_FOR"] == "1.2.3.4"
    assert "HTTP_CONTENT_LENGTH" not in passed_on


def test_web_socket_is_closed():
    sent = []

    async def note(message: dict) -> None:
        sent.append(message)

    shell = Shell(application)
    asyncio.run(shell({"type": "websocket"}, None, note))

    assert sent == [{"type": "websocket.close", "code": 1000}]


def a_stream(bob_id: object = None) -> Stream:
    return Stream(0, Credential(bob_id, "token", "", ""))


def test_queue_is_taken_whole_and_in_order():
    async def push_and_take() -> list[bytes]:
        stream = a_stream()
        stream.push(b"a")
        stream.push(b"b")
        taken = [await stream.next()]
        waiting = asyncio.ensure_future(stream.next())
        await asyncio.sleep(0)
        stream.push(b"c")
        stream.end("restart")
        stream.push(b"too late")
        return [*taken, await waiting, await stream.next()]

    assert asyncio.run(push_and_take()) == [b"ab", b"c", b""]


def test_queue_that_overflows_ends_the_stream_and_is_dropped():
    stream = a_stream()

    stream.push(b"x" * shell_module.MAX_QUEUED)
    fits = stream.ended
    stream.push(b"x")

    assert (fits, stream.ended, asyncio.run(stream.next())) == ("", "slow", b"")


@pytest.mark.parametrize(
    ("reasons", "ended"),
    [
        (["behind"], "behind"),
        (["behind", "gone"], "gone"),
        (["behind", "restart"], "restart"),
        (["gone", "behind"], "gone"),
        (["slow", "restart"], "slow"),
    ],
)
def test_stream_that_is_behind_may_still_end(reasons, ended):
    stream = a_stream()

    for reason in reasons:
        stream.end(reason)

    assert stream.ended == ended


@pytest.mark.parametrize(
    ("method", "path", "query", "expected"),
    [
        ("GET", "/api/messages/", b"page_size=100", "quick"),
        ("GET", "/api/messages/", b"page_size=101", "slow"),
        ("GET", "/api/events/", b"after=1-0&limit=1000", "slow"),
        ("GET", "/api/messages/", b"cursor=limit=1000", "quick"),
        ("GET", "/api/messages/", b"search=lunch", "slow"),
        ("GET", "/api/messages/", b"page_size=1e9&limit=", "quick"),
        ("GET", "/api/users/me/export/", b"", "slow"),
        ("GET", "/admin/", b"", "slow"),
        ("GET", "/api/users/", b"", "quick"),
        ("POST", "/api/messages/", b"", "quick"),
        ("POST", "/api/users/", b"", "sign-in"),
        ("POST", "/api/auth/login/", b"", "sign-in"),
        ("POST", "/admin/login/", b"next=/admin/", "sign-in"),
        ("DELETE", "/api/users/me/", b"", "sign-in"),
    ],
)
def test_call_goes_to_the_threads_that_it_would_hold_up(method, path, query, expected):
    scope = {"path": path, "query_string": query, "method": method}

    assert Routes().lane_of(scope) == expected
