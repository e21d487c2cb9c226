"""The attacks of ``bench.proofs.fairness``, each by one hostile account.

An attack comes from its own address and lasts some seconds, on as many connections as
it can use. Each runs in a separate process.
"""

import asyncio
import contextlib
import socket
import time
from collections.abc import Awaitable, Callable
from typing import NamedTuple

from bench.lab.load import request
from bench.lab.small_dataset import PASSWORD, Account

ADDRESS = "127.0.0.66"
LONG = 200_000  # least bytes of a response for the attacks that do not read it
BRACKETS = b'{"a":[' + b"[]," * 349_000 + b"[]]}"  # a mebibyte, two levels deep
PATIENCE = 5.0  # seconds until the attacker gives up waiting for a response


class Target(NamedTuple):
    """The server that is attacked, and the attacker's account."""

    port: int
    attacker: Account


Attack = Callable[[Target, float], Awaitable[int]]


def run(name: str, target: Target, seconds: float) -> int:
    """Run an attack; return the number of requests sent, completely or in part."""
    return asyncio.run(ATTACKS[name](target, time.monotonic() + seconds))


# --- Requests -------------------------------------------------------------------


def raw(method: str, path: str, token: str, body: bytes) -> bytes:
    head = request(method, path, token).replace(b"Content-Length: 0\r\n", b"")
    length = f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    return head[:-2] + length.encode() + body


def page_of(target: Target, size: int, more: str = "") -> bytes:
    path = f"/api/messages/?conversation_id={target.attacker.conversation_id}"
    return request("GET", f"{path}&page_size={size}{more}", target.attacker.token)


async def connect(target: Target, limit: int = 2**16):
    return await asyncio.open_connection(
        "127.0.0.1", target.port, local_addr=(ADDRESS, 0), limit=limit
    )


async def over_and_over(target: Target, data: bytes, ends: float) -> int:
    """Repeat a request on one persistent connection, without pauses."""
    sent = 0
    while time.monotonic() < ends:
        with contextlib.suppress(OSError, TimeoutError, asyncio.IncompleteReadError):
            reader, writer = await connect(target)
            try:
                while time.monotonic() < ends:
                    sent += 1
                    writer.write(data)
                    async with asyncio.timeout(max(0.1, ends - time.monotonic())):
                        await writer.drain()
                        await read_answer(reader)
            finally:
                writer.close()
        await asyncio.sleep(0.01)
    return sent


async def read_answer(reader: asyncio.StreamReader) -> None:
    head = (await reader.readuntil(b"\r\n\r\n")).lower()
    if b"transfer-encoding: chunked" in head:
        while size := int((await reader.readline()).strip() or b"0", 16):
            await reader.readexactly(size + 2)
        await reader.readline()
        return
    await reader.readexactly(int(head.split(b"content-length: ")[1].split(b"\r")[0]))
    if b"connection: close" in head:
        raise ConnectionError


async def check(target: Target, data: bytes) -> None:
    """Raise RuntimeError unless the response is long, as the attack requires."""
    reader, writer = await connect(target)
    writer.write(data)
    head = await reader.readuntil(b"\r\n\r\n")
    length = int(head.lower().split(b"content-length: ")[1].split(b"\r")[0])
    writer.transport.abort()
    if not head.startswith(b"HTTP/1.1 200") or length < LONG:
        raise RuntimeError(f"The response is not long: {head.decode()}")


async def on_many(count: int, target: Target, data: bytes, ends: float) -> int:
    jobs = (over_and_over(target, data, ends) for _ in range(count))
    return sum(await asyncio.gather(*jobs))


# --- The attacks ----------------------------------------------------------------


async def brackets(target: Target, ends: float) -> int:
    body = raw("POST", "/api/conversations/", target.attacker.token, BRACKETS)
    return await on_many(40, target, body, ends)


async def brackets_without_account(target: Target, ends: float) -> int:
    return await on_many(
        40, target, raw("POST", "/api/auth/login/", "", BRACKETS), ends
    )


async def leaving(target: Target, ends: float) -> int:
    """Repeatedly request long pages on 60 connections and leave after half a second."""
    sent, data = 0, page_of(target, 100)  # among the quick calls
    await check(target, data)
    while time.monotonic() < ends:
        writers = [(await connect(target))[1] for _ in range(60)]
        for writer in writers:
            writer.write(data)
        await asyncio.sleep(0.5)
        for writer in writers:
            writer.transport.abort()
        sent += len(writers)
    return sent


async def reading_nothing(target: Target, ends: float) -> int:
    """Request long pages on 200 connections, and never read.

    The receive windows are so small that the system buffers hardly anything.
    """
    token = target.attacker.token
    events = request("GET", "/api/events/?limit=1000&after=1-0", token)
    asked, held = [page_of(target, 200), events], []
    for data in asked:
        await check(target, data)
    for number in range(200):
        connection = socket.socket()
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.bind((ADDRESS, 0))
        connection.connect(("127.0.0.1", target.port))
        connection.sendall(asked[number % 2] * 4)
        held.append(connection)
    await asyncio.sleep(max(0.0, ends - time.monotonic()))
    for connection in held:
        connection.close()
    return len(held)


async def searching(target: Target, ends: float) -> int:
    text = "a" * 198 + "b"
    search = request("GET", f"/api/messages/?search={text}", target.attacker.token)
    return await on_many(6, target, search, ends)


async def signing_in(target: Target, ends: float) -> int:
    identity = {"username": target.attacker.username, "password": PASSWORD}
    return await on_many(
        10, target, request("POST", "/api/auth/login/", "", identity), ends
    )


async def flood(target: Target, ends: float) -> int:
    data = request("GET", "/api/conversations/", target.attacker.token)
    return await on_many(200, target, data, ends)


_left_open: list[socket.socket] = []  # by the previous attack


async def idle(target: Target, ends: float) -> int:
    """Hold 1,000 connections open that send nothing, or only half a head."""
    _left_open.clear()
    for number in range(1000):
        with contextlib.suppress(OSError):
            held = socket.create_connection(
                ("127.0.0.1", target.port), source_address=(ADDRESS, 0)
            )
            if number % 2:
                held.sendall(b"POST /api/messages/ HTTP/1.1\r\nHost: loc")
            _left_open.append(held)
    await asyncio.sleep(max(0.0, ends - time.monotonic()))
    return len(_left_open)


async def slow_bodies(target: Target, ends: float) -> int:
    """Announce a mebibyte on 200 connections, and send it kilobyte by kilobyte."""

    async def drip() -> None:
        with contextlib.suppress(OSError):
            _, writer = await connect(target)
            body = raw("POST", "/api/messages/", target.attacker.token, BRACKETS)
            head, _, rest = body.partition(b"\r\n\r\n")
            writer.write(head + b"\r\n\r\n" + rest[: 600 * 1024])
            while time.monotonic() < ends:
                writer.write(b"x" * 1024)
                await asyncio.sleep(0.5)
            writer.transport.abort()

    await asyncio.gather(*(drip() for _ in range(200)))
    return 200


ATTACKS: dict[str, Attack] = {
    "brackets": brackets,
    "brackets without account": brackets_without_account,
    "leaving": leaving,
    "reading nothing": reading_nothing,
    "searching": searching,
    "signing in": signing_in,
    "flood": flood,
    "idle": idle,
    "slow bodies": slow_bodies,
}
