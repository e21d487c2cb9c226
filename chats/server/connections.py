"""Limits for the server's connections.

uvicorn has no time limit for receiving a request's head or for a client to read a
response, and no limit of connections for an address. This module checks all connections
every second. It does not touch calls.
"""

import asyncio
import contextlib
import logging
import resource
import socket
import time
from collections import Counter, defaultdict
from collections.abc import Callable

from django.conf import settings
from uvicorn.protocols.http.h11_impl import H11Protocol

logger = logging.getLogger(__name__)

SWEEP_EVERY = 1.0  # seconds
HEAD_TIMEOUT = 10.0  # seconds for a request's head; for the first, from connecting on
READ_TIMEOUT = 60.0  # seconds for a client to read something of what was sent
MOST_IDLE = 500  # connections of one address without a call
AT_ONCE = 500  # connections checked before the event loop may do something else
# If an address opens many connections at once, the first few are read immediately and
# the others at intervals of SPACING seconds. Setting up a connection blocks the process
# for a third of a millisecond.
FEW_AT_ONCE = 10
SPACING = 0.002
# Descriptors reserved for the database, the listening socket and files.
RESERVED = 64
WANTED = 65_536  # descriptors, if the system allows that many
# Bytes read from a socket at once: the most in memory before a call is admitted.
READ_AT_ONCE = 32 * 1024


class Connections:
    """The connections of one server; for the event loop's thread only."""

    def __init__(self, *, clock: Callable[[], float] = time.monotonic):
        self._clock = clock
        self._open: set[H11Protocol] = set()  # uvicorn's own set
        self._silent_since: dict[H11Protocol, float] = {}
        # Each with the number of unread bytes: if it changes, the client is reading.
        self._unread_since: dict[H11Protocol, tuple[int, float]] = {}
        self._sweeping: asyncio.Task | None = None
        self._next_read: dict[str, float] = {}  # by address, if it connected recently
        self.most = raise_descriptor_limit() - RESERVED

    def admit(self, protocol: H11Protocol) -> None:
        """Set up a new connection, or abort it if there is no room for it."""
        self._open = protocol.connections
        if self._sweeping is None or self._sweeping.done():
            self._sweeping = asyncio.get_running_loop().create_task(self._sweep())
        if len(self._open) > self.most and not self._make_room(protocol):
            protocol.transport.abort()
            return
        set_up(protocol.transport)
        if not settings.TRUSTED_PROXIES:  # otherwise all connections are the proxy's
            self._space(protocol)

    def _space(self, protocol: H11Protocol) -> None:
        """Delay reading from a new connection if its address has just opened many."""
        address, now = address_of(protocol), self._clock()
        turn = max(now, self._next_read.get(address, 0.0)) + SPACING
        self._next_read[address] = turn
        wait = turn - now - FEW_AT_ONCE * SPACING
        if wait > 0:
            protocol.transport.pause_reading()
            loop = asyncio.get_running_loop()
            loop.call_later(wait, protocol.transport.resume_reading)

    def close(self) -> None:
        """Stop checking the connections."""
        if self._sweeping is not None:
            self._sweeping.cancel()

    async def look(self) -> None:
        """Abort connections that took too long, and surplus idle ones of an address."""
        now, connections = self._clock(), list(self._open)
        for address in [a for a, turn in self._next_read.items() if turn < now]:
            del self._next_read[address]
        silent, unread, idle = {}, {}, defaultdict(list)
        for number, connection in enumerate(connections, start=1):
            if is_idle(connection):
                idle[address_of(connection)].append(connection)
                if awaits_head(connection):
                    silent[connection] = self._silent_since.get(connection, now)
            if connection.flow.write_paused:
                unread[connection] = self._unread(connection, now)
            if number % AT_ONCE == 0:
                await asyncio.sleep(0)
        self._silent_since, self._unread_since = silent, unread
        self._cut_late(now)
        if not settings.TRUSTED_PROXIES:  # otherwise all connections are the proxy's
            self._cut_many(idle)

    def _cut_late(self, now: float) -> None:
        """Abort connections whose time is over, unless they became active meanwhile."""
        for connection, since in self._silent_since.items():
            if since < now - HEAD_TIMEOUT and is_idle(connection):
                connection.transport.abort()
        for connection, (_, since) in self._unread_since.items():
            if since < now - READ_TIMEOUT and connection.flow.write_paused:
                connection.transport.abort()

    def _cut_many(self, idle: dict[str, list[H11Protocol]]) -> None:
        for own in idle.values():
            if len(own) > MOST_IDLE:
                still = [each for each in own if is_idle(each)]
                self._cut_silent(still, len(own) - MOST_IDLE)

    def _unread(self, connection: H11Protocol, now: float) -> tuple[int, float]:
        """Return the number of unread bytes, and since when none were read."""
        size = connection.transport.get_write_buffer_size()
        earlier, since = self._unread_since.get(connection, (size, now))
        return size, since if earlier == size else now

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(SWEEP_EVERY)
            await self.look()

    def _make_room(self, newcomer: H11Protocol | None = None) -> int:
        """Abort idle connections of the address with the most; return how many.

        Up to a twentieth of the limit is aborted at once, because each search has to
        check all connections.
        """
        idle = [each for each in self._open - {newcomer} if is_idle(each)]
        if not idle:
            return 0
        [(address, _)] = Counter(map(address_of, idle)).most_common(1)
        logger.warning("Too many connections: idle ones are closed.")
        own = [each for each in idle if address_of(each) == address]
        return self._cut_silent(own, max(1, self.most // 20))

    def _cut_silent(self, connections: list[H11Protocol], count: int) -> int:
        """Abort ``count`` connections, the longest silent first; return how many."""
        now = self._clock()
        connections.sort(key=lambda each: self._silent_since.get(each, now))
        for connection in connections[:count]:
            connection.transport.abort()
        return min(count, len(connections))


def is_idle(connection: H11Protocol) -> bool:
    """Return whether no call is under way on the connection."""
    return connection.cycle is None or connection.cycle.response_complete


def awaits_head(connection: H11Protocol) -> bool:
    """Return whether an idle connection is new, or has sent a part of a head.

    uvicorn closes all other idle connections itself, by their keep-alive timer.
    """
    return connection.timeout_keep_alive_task is None


def address_of(connection: H11Protocol) -> str:
    return connection.client[0] if connection.client else ""


def set_up(transport: asyncio.Transport) -> None:
    """Set the options of a connection's socket and its buffers.

    Nagle's algorithm is switched off. asyncio does this only for a listening socket
    that was created with a protocol number; with several workers, uvicorn's is not.
    With the algorithm on, head and body leave as two packets, and the second waits 40
    ms for the client's delayed acknowledgement.

    A write counts as done when the system has accepted all of it, so a sender that
    waits for it knows how much is still in memory.
    """
    connection = transport.get_extra_info("socket")
    if connection is not None:
        with contextlib.suppress(OSError):
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    transport.set_write_buffer_limits(high=0)
    if hasattr(transport, "max_size"):  # of asyncio's own transports
        transport.max_size = READ_AT_ONCE


def raise_descriptor_limit() -> int:
    """Raise the descriptor limit to WANTED, or as far as allowed, and return it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    unlimited = resource.RLIM_INFINITY
    wanted = WANTED if hard == unlimited else min(WANTED, hard)
    if soft != unlimited and soft < wanted:
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
            soft = wanted
    return WANTED if soft == unlimited else soft


def watch_uvicorn() -> None:
    """Make uvicorn ask the application of each new connection to admit it.

    This patches uvicorn's protocol classes, because its command offers no option for
    other classes.
    """
    watch(H11Protocol)
    with contextlib.suppress(ImportError):  # where httptools is installed
        from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

        watch(HttpToolsProtocol)


def watch(protocol_class: type) -> None:
    connection_made = protocol_class.connection_made
    if hasattr(connection_made, "is_watched"):
        return

    def admitted(protocol: H11Protocol, transport: asyncio.Transport) -> None:
        connection_made(protocol, transport)
        application = protocol.app
        # uvicorn wraps the application if it trusts a proxy's headers or traces
        # messages.
        while not hasattr(application, "connections") and hasattr(application, "app"):
            application = application.app
        if isinstance(known := getattr(application, "connections", None), Connections):
            known.admit(protocol)

    admitted.is_watched = True
    protocol_class.connection_made = admitted
