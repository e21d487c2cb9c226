"""Connections that say or read nothing end by themselves, and room is kept."""

import asyncio
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from types import SimpleNamespace

import httpx
import pytest

from chats.models import User
from chats.server import connections as connections_module
from chats.server.connections import Connections
from tests.support.servers import (
    PATIENCE,
    Server,
    serving_in_thread,
    token_of,
    wait_until,
)

HALF_A_HEAD = b"GET /healthz HTTP/1.1\r\nHost: local"
WHOLE = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"


@pytest.fixture(autouse=True)
def _intervals(monkeypatch):
    monkeypatch.setattr(connections_module, "SWEEP_EVERY", 0.02)


@pytest.fixture
def server(transactional_db) -> Iterator[Server]:
    with serving_in_thread() as server:
        yield server


@contextmanager
def opened(server: Server, *said: bytes) -> Iterator[list[socket.socket]]:
    """Open a connection for each, and say this much on it."""
    with ExitStack() as stack:
        connections = [
            stack.enter_context(socket.create_connection(server.address, PATIENCE))
            for _ in said
        ]
        for connection, data in zip(connections, said, strict=True):
            connection.sendall(data)
        yield connections


def is_cut(connection: socket.socket) -> bool:
    """Wait for the connection's end."""
    try:
        return connection.recv(1) == b""
    except ConnectionResetError:
        return True


@pytest.mark.parametrize("said", [b"", HALF_A_HEAD], ids=["nothing", "half a head"])
def test_connection_without_a_whole_head_ends(said, server, monkeypatch):
    monkeypatch.setattr(connections_module, "HEAD_TIMEOUT", 0.05)

    with opened(server, said) as [connection]:
        assert is_cut(connection)


def test_half_a_head_on_a_kept_connection_ends_it(server, monkeypatch):
    """uvicorn stops its timer at the first byte."""
    monkeypatch.setattr(connections_module, "HEAD_TIMEOUT", 0.05)

    with opened(server, WHOLE) as [connection]:
        assert connection.recv(65536).startswith(b"HTTP/1.1 200")
        connection.sendall(HALF_A_HEAD)
        rest = b""
        while piece := connection.recv(65536):
            rest += piece

    assert b"HTTP/1.1" not in rest


def test_call_and_stream_that_last_are_left_alone(server, bob: User, monkeypatch):
    monkeypatch.setattr(connections_module, "HEAD_TIMEOUT", 0.05)
    headers = {"Accept": "text/event-stream"} | token_of(bob)
    with (
        httpx.Client(base_url=server.url, timeout=PATIENCE) as client,
        client.stream("GET", "/api/events/", headers=headers) as stream,
        opened(server, b"") as [silent],
    ):
        assert is_cut(silent)

        assert len(server.shell.streams) == 1
        assert stream.status_code == 200


def test_idle_connections_of_an_address_are_limited(server, monkeypatch):
    monkeypatch.setattr(connections_module, "MOST_IDLE", 2)

    with opened(server, *[b""] * 6):
        wait_until(lambda: len(server.shell.connections._open) == 2)
        assert httpx.get(f"{server.url}/healthz").status_code == 200


def test_idle_connections_behind_a_proxy_are_not_its_own(settings):
    settings.TRUSTED_PROXIES = 1
    connections, cut = Connections(), []
    connections._open = {connection(cut, number) for number in range(600)}

    asyncio.run(connections.look())

    assert cut == []


def test_full_process_lets_a_newcomer_in_and_ends_an_idle_one(server, monkeypatch):
    with opened(server, b"", b"", b"") as connections:
        wait_until(lambda: len(server.shell.connections._open) == 3)
        monkeypatch.setattr(server.shell.connections, "most", 3)

        assert httpx.get(f"{server.url}/healthz").status_code == 200

        closed = [each for each in connections if was_cut(each)]
    assert len(closed) == 1


def was_cut(connection: socket.socket) -> bool:
    connection.setblocking(False)
    try:
        return connection.recv(1) == b""
    except BlockingIOError:
        return False
    except ConnectionResetError:
        return True


def test_all_of_many_connections_at_once_are_answered(server, monkeypatch):
    monkeypatch.setattr(connections_module, "FEW_AT_ONCE", 2)

    with opened(server, *[WHOLE] * 20) as connections:
        answers = [each.recv(65536) for each in connections]

    assert [answer[:12] for answer in answers] == [b"HTTP/1.1 200"] * 20


# --- Without a server -----------------------------------------------------------


def connection(
    cut: list, number: int, *, address="192.0.2.1", is_busy=False, is_read=True
) -> SimpleNamespace:
    """Return what is looked at of a connection of uvicorn's."""
    transport = SimpleNamespace(
        abort=lambda: cut.append(number), get_write_buffer_size=lambda: 1000
    )
    return Hashable(
        cycle=SimpleNamespace(response_complete=not is_busy),
        timeout_keep_alive_task=None,
        flow=SimpleNamespace(write_paused=not is_read),
        client=(address, number),
        transport=transport,
    )


class Hashable(SimpleNamespace):
    __hash__ = object.__hash__


@pytest.mark.parametrize(
    ("is_busy", "is_read", "limit"),
    [(False, True, "HEAD_TIMEOUT"), (True, False, "READ_TIMEOUT")],
)
def test_connection_is_cut_once_its_time_is_over(is_busy, is_read, limit):
    now, cut = [0.0], []
    connections = Connections(clock=lambda: now[0])
    connections._open = {connection(cut, 1, is_busy=is_busy, is_read=is_read)}
    seconds = getattr(connections_module, limit)

    asyncio.run(connections.look())
    now[0] = seconds
    asyncio.run(connections.look())
    in_time = list(cut)
    now[0] = seconds + 0.1
    asyncio.run(connections.look())

    assert (in_time, cut) == ([], [1])


def test_connection_that_is_read_slowly_is_left_alone():
    now, cut, left = [0.0], [], iter(range(1000, 0, -10))
    connections = Connections(clock=lambda: now[0])
    one = connection(cut, 1, is_busy=True, is_read=False)
    one.transport.get_write_buffer_size = lambda: next(left)
    connections._open = {one}

    for time in (0, 50, 100, 150, 200):
        now[0] = time
        asyncio.run(connections.look())

    assert cut == []


def test_connection_that_went_on_has_its_time_anew():
    now, cut = [0.0], []
    connections = Connections(clock=lambda: now[0])
    one = connection(cut, 1)
    connections._open = {one}

    for time, is_busy in ((0, False), (9, True), (12, False), (21, False)):
        now[0], one.cycle.response_complete = time, not is_busy
        asyncio.run(connections.look())

    assert cut == []


def test_many_are_looked_at_in_parts(monkeypatch):
    """So that calls are answered meanwhile."""
    monkeypatch.setattr(connections_module, "AT_ONCE", 10)
    connections, cut = Connections(), []
    connections._open = {connection(cut, number) for number in range(25)}

    async def turns() -> int:
        looking, count = asyncio.ensure_future(connections.look()), 0
        while not looking.done():
            await asyncio.sleep(0)
            count += 1
        return count

    assert asyncio.run(turns()) >= 3


def test_room_is_made_of_the_address_with_the_most(monkeypatch):
    connections, cut = Connections(), []
    connections.most = 5
    few = {connection(cut, n, address="192.0.2.9") for n in range(2)}
    many = {connection(cut, n) for n in range(10, 14)}
    busy = {connection(cut, n, is_busy=True) for n in range(20, 29)}
    connections._open = few | many | busy

    assert connections._make_room() == 1
    assert cut[0] in range(10, 14)


def test_room_cannot_be_made_of_calls():
    connections, cut = Connections(), []
    connections._open = {connection(cut, n, is_busy=True) for n in range(5)}

    assert connections._make_room() == 0
    assert cut == []


def test_address_that_opens_many_at_once_is_read_from_in_turn(monkeypatch):
    monkeypatch.setattr(connections_module, "FEW_AT_ONCE", 2)
    monkeypatch.setattr(connections_module, "set_up", lambda transport: None)
    now, paused = [0.0], []
    connections = Connections(clock=lambda: now[0])

    def admit(address: str) -> bool:
        """Return whether the new connection has to wait."""
        one = connection([], 0, address=address)
        one.connections = {one}
        one.transport.pause_reading = lambda: paused.append(one)
        one.transport.resume_reading = lambda: None
        connections.admit(one)
        return one in paused

    async def admit_many() -> list[bool]:
        waits = [admit("192.0.2.1") for _ in range(4)] + [admit("192.0.2.2")]
        now[0] = 1.0
        waits.append(admit("192.0.2.1"))
        await connections.look()
        connections.close()
        return waits

    assert asyncio.run(admit_many()) == [False, False, True, True, False, False]


def test_addresses_that_opened_none_lately_are_forgotten():
    now = [0.0]
    connections = Connections(clock=lambda: now[0])
    connections._next_read = {"192.0.2.1": 1.0, "192.0.2.2": 5.0}
    now[0] = 2.0

    asyncio.run(connections.look())

    assert connections._next_read == {"192.0.2.2": 5.0}
