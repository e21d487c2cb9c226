"""The load generator: requests on persistent connections, from one process."""

import select
import socket
import time
from collections.abc import Iterator
from contextlib import suppress
from itertools import cycle
from typing import NamedTuple

import orjson

from bench.lab.servers import stream_request

STALL = 60.0  # seconds without any answer before the load gives up


def request(
    method: str, path: str, token: str, data: dict | None = None, *, cookie: str = ""
) -> bytes:
    """Return the bytes of a request on a persistent connection."""
    body = b"" if data is None else orjson.dumps(data)
    lines = [f"{method} {path} HTTP/1.1", "Host: localhost", "Accept: application/json"]
    lines += [f"Authorization: Token {token}"] if token else []
    lines += [f"Cookie: {cookie}"] if cookie else []
    lines += ["Content-Type: application/json"] if body else []
    lines += [f"Content-Length: {len(body)}"] if method == "POST" else []
    return "\r\n".join([*lines, "", ""]).encode() + body


class Plan(NamedTuple):
    """The requests of one connection, in order, once or repeatedly."""

    requests: list[bytes]
    repeated: bool


class Load(NamedTuple):
    """The generator's measurements; times are in seconds."""

    latencies: list[float]
    errors: int
    elapsed: float
    processor: float  # the generator's own


class Connection:
    """A persistent connection, for one request at a time."""

    def __init__(self, port: int, plan: Plan, address: str = ""):
        """Connect; from ``address``, an address of this machine, if it is given."""
        source = (address, 0) if address else None
        self.socket = socket.create_connection(
            ("127.0.0.1", port), source_address=source
        )
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._requests: Iterator[bytes] = iter(plan.requests)
        if plan.repeated:
            self._requests = cycle(plan.requests)
        self._answer, self._length = b"", 0
        self.began = 0.0

    def ask(self) -> bool:
        """Send the next request; return whether there was one."""
        data = next(self._requests, None)
        if data is None:
            return False
        self._answer, self._length = b"", 0
        self.began = time.perf_counter()
        with suppress(OSError):  # an error shows when the response is read
            self.socket.sendall(data)
        return True

    def hear(self) -> int:
        """Read; return the status once the response is complete, and 0 before.

        Raises ConnectionError if the server disconnects, ValueError if the response has
        no length.
        """
        data = self.socket.recv(262_144)
        if not data:
            raise ConnectionError
        self._answer += data
        if not self._length:
            head, found, _ = self._answer.partition(b"\r\n\r\n")
            if not found:
                return 0
            length = head.lower().partition(b"content-length:")[2].partition(b"\r")[0]
            self._length = len(head) + 4 + int(length)
        return int(self._answer[9:12]) if len(self._answer) >= self._length else 0


def run_load(ports: list[int], plans: list[Plan], seconds: float) -> Load:
    """Send requests without pauses on all connections, which use the ports in turn.

    After the deadline no request is sent; responses to earlier ones are awaited.
    """
    poll, waiting = select.epoll(), {}
    for port, plan in zip(cycle(ports), plans, strict=False):
        opened = Connection(port, plan)
        waiting[opened.socket.fileno()] = opened
        poll.register(opened.socket, select.EPOLLIN)
    latencies, errors = [], 0
    began, processor = time.perf_counter(), time.process_time()
    for connection in waiting.values():
        connection.ask()
    while waiting and (ready := poll.poll(STALL)):
        for number, _ in ready:
            connection = waiting[number]
            status = heard(connection)
            if status == 0:
                continue
            now = time.perf_counter()
            latencies.append(now - connection.began)
            errors += status not in {200, 201}
            if status < 0 or now - began > seconds or not connection.ask():
                poll.unregister(connection.socket)
                waiting.pop(number).socket.close()
    poll.close()
    elapsed = time.perf_counter() - began
    used = time.process_time() - processor
    return Load(latencies, errors + len(waiting), elapsed, used)


def heard(connection: Connection) -> int:
    """Return the result of ``hear()``, or -1 if the connection has failed."""
    try:
        return connection.hear()
    except (OSError, ValueError):
        return -1


def answer(connection: Connection) -> int:
    """Send the next request; return its status, or -1 if the connection fails."""
    connection.ask()
    while (status := heard(connection)) == 0:
        pass
    return status


def follow_backlog(
    port: int, token: str, cursor: str, count: int, seconds: float
) -> Load:
    """Open streams from an old cursor in turn, and read ``count`` events from each."""
    latencies, errors = [], 0
    began, processor = time.perf_counter(), time.process_time()
    while not latencies or time.perf_counter() - began < seconds:
        opened = time.perf_counter()
        with socket.create_connection(("127.0.0.1", port), timeout=STALL) as connection:
            connection.sendall(stream_request(token, cursor))
            errors += not reads(connection, b"\nevent: message.", count)
        latencies.append(time.perf_counter() - opened)
    elapsed = time.perf_counter() - began
    return Load(latencies, errors, elapsed, time.process_time() - processor)


def reads(connection: socket.socket, mark: bytes, count: int) -> bool:
    """Return whether a mark arrives ``count`` times before the connection ends."""
    seen = b""
    with suppress(OSError):
        while data := connection.recv(262_144):
            seen += data
            if seen.count(mark) >= count:
                return True
    return False
