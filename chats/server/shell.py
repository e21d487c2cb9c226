"""The ASGI shell: it runs Django as WSGI in a few threads, and holds streams open.

An open stream needs no thread, no database connection and no Django request. It is a
queue that the hub fills.
"""

import asyncio
import contextlib
import gc
import logging
import os
import random
import signal
import sys
import threading
from collections.abc import Callable, Iterable
from functools import partial
from time import perf_counter
from typing import Any
from uuid import UUID

from django.db import DatabaseError, InterfaceError, close_old_connections

from chats.models.credentials import Credential
from chats.realtime.audience import Subscription
from chats.realtime.hub import Hub
from chats.realtime.limits import StreamLimits
from chats.realtime.presence import signed_out
from chats.realtime.streams import PING, BacklogChunk, backlog, ending
from chats.server.bridge import (
    Application,
    Receive,
    Scope,
    Send,
    body_message,
    drained,
    is_taken,
    is_unread,
    peer_of,
    transport_of,
)
from chats.server.calls import Calls
from chats.server.connections import Connections, watch_uvicorn
from chats.web import metrics
from chats.web.exceptions import Gone, SignedOut
from chats.web.logs import log_stream_end

logger = logging.getLogger(__name__)

HEARTBEAT_EVERY = 15.0  # seconds
MAX_QUEUED = 512 * 1024  # bytes that may wait for a slow reader until its stream ends
# Seconds after which a computing thread gives up the interpreter to a waiting one. A
# quick call waits for its database about ten times. After each time it may have to wait
# this long for the interpreter, while a slow call computes.
SWITCH_INTERVAL = 0.0005
GC_THRESHOLD = (50_000, 20, 100)  # rarely: a full collection stops every thread
LINGER = 3.0  # seconds for a client to read the end of its stream, at shutdown
RETRY_SPREAD = (500, 5000)  # milliseconds, so that clients do not all return at once


def tune_interpreter() -> None:
    """Tune the interpreter so that quick calls wait less.

    Call it once, when the application is loaded. Objects that exist then are ignored by
    later garbage collections.
    """
    sys.setswitchinterval(SWITCH_INTERVAL)
    gc.collect()
    gc.freeze()
    gc.set_threshold(*GC_THRESHOLD)


class StreamHandoff:
    """The shell's offer to hold a response open, which the view of streams accepts."""

    accepted: tuple[BacklogChunk, Credential] | None = None
    request_id = ""  # of the request that opened the stream

    def __init__(self, limits: StreamLimits):
        self._limits = limits
        # At most one; the thread that pops it releases it.
        self._reserved: list[tuple[UUID, str]] = []
        self._is_over = False

    def reserve(self, user_id: UUID, address: str) -> None:
        """Reserve a place before the stream is prepared; raises like ``acquire``."""
        self._limits.acquire(user_id, address)
        self._reserved.append((user_id, address))
        if self._is_over:  # the client disconnected meanwhile
            self.release()

    def accept(self, start: BacklogChunk, credential: Credential) -> None:
        # Without the body, whose events would stay in memory as long as the stream.
        rest = BacklogChunk(b"", start.position, start.has_more)
        self.accepted = (rest, credential)

    def release(self) -> None:
        """Release the place, if one was reserved; may be called at any time."""
        self._is_over = True
        with contextlib.suppress(IndexError):
            self._limits.release(*self._reserved.pop())


class Stream(Subscription):
    """One open stream: a bounded queue between the hub and its client's socket.

    All methods run in the event loop's thread.
    """

    __slots__ = ("_frames", "_size", "_waiter", "ended", "transport")

    def __init__(self, position: int, credential: Credential):
        super().__init__(position, credential)
        self._frames: list[bytes] = []  # a deque would take 600 bytes when empty
        self._size = 0
        self._waiter: asyncio.Future | None = None
        self.ended = ""
        self.transport: asyncio.Transport | None = None

    def push(self, frame: bytes) -> None:
        if self.ended:
            return
        self._frames.append(frame)
        self._size += len(frame)
        if self._size > MAX_QUEUED:
            self._frames.clear()
            self.end("slow")
        self._wake()

    def end(self, reason: str) -> None:
        if not self.is_over:
            self.ended = reason
        self._wake()

    @property
    def is_over(self) -> bool:
        """Whether the stream ends for good; one that is behind may go on."""
        return self.ended not in {"", "behind"}

    def cut(self) -> None:
        """Abort the connection, if the client does not even read the end."""
        if self.transport is not None:
            self.transport.abort()

    async def next(self) -> bytes:
        """Wait for frames and return all that are queued; b"" means the end."""
        if not self._frames and not self.ended:
            self._waiter = asyncio.get_running_loop().create_future()
            await self._waiter
        frames = b"".join(self._frames)
        self._frames.clear()
        self._size = 0
        return frames

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)


class Shell:
    """The ASGI application."""

    def __init__(self, application: Application):
        self.calls = Calls(application)
        self.connections = Connections()
        watch_uvicorn()
        self.streams: set[Stream] = set()
        self.limits = StreamLimits()
        self.hub: Hub | None = None
        self.beating: asyncio.Task | None = None
        self.listens_for_signals = False
        self.is_closing = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await self.answer(scope, receive, send)
        elif scope["type"] == "lifespan":
            await self.live(receive, send)
        else:
            await send({"type": "websocket.close", "code": 1000})

    async def answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request; hold the response open if the view accepted the offer."""
        # Here, because not every server calls the lifespan (daphne does not). Before a
        # stream's first byte, because the signal may come before the stream is held.
        self.listen_for_signals()
        path = self.calls.routes.path_of(scope)
        scope = scope | {"client": peer_of(scope, send), "path": path}
        offer = StreamHandoff(self.limits)
        try:
            await self.calls.answer(scope, receive, send, offer)
            if offer.accepted is not None:
                await self.hold(*offer.accepted, receive, send, offer.request_id)
        finally:
            offer.release()

    # --- Streams --------------------------------------------------------------

    async def hold(
        self,
        piece: BacklogChunk,
        credential: Credential,
        receive: Receive,
        send: Send,
        request_id: str = "",
    ) -> None:
        """Keep a response open: send the rest of the backlog, then the hub's frames."""
        stream = Stream(piece.position, credential)
        stream.transport = transport_of(send)
        self.streams.add(stream)
        self.keep_beating()
        metrics.open_streams.inc()
        began = perf_counter()
        gone = asyncio.ensure_future(watch(receive, stream))
        try:
            if self.is_closing:
                stream.end("restart")
            await self.feed(stream, piece, send)
        finally:
            gone.cancel()
            self.streams.discard(stream)
            metrics.open_streams.dec()
            self.the_hub().leave(stream)
            why = stream.ended or "broken"
            log_stream_end(stream.user_id, request_id, why, perf_counter() - began)

    async def feed(self, stream: Stream, piece: BacklogChunk, send: Send) -> None:
        """Send until the stream ends; a stream that fell behind reads the log again."""
        while not stream.is_over:
            stream.ended = ""
            if not await self.catch_up(stream, piece, send):
                break
            self.the_hub().join(stream)
            while frames := await stream.next():
                await self.pass_on(stream, frames, send)
            piece = BacklogChunk(b"", stream.position, has_more=True)
        if stream.ended != "gone":
            code = stream.ended.replace(" ", "_") or "unavailable"
            retry = random.randint(*RETRY_SPREAD)  # noqa: S311
            await send(body_message(ending(code, retry)))

    async def catch_up(self, stream: Stream, piece: BacklogChunk, send: Send) -> bool:
        """Send the backlog of the stream; return whether the stream can go on."""
        name = str(stream.user_id)
        run = partial(self.calls.pools["slow"].run, (name,))
        while piece.has_more and not stream.ended:
            try:
                piece = await run(next_piece, stream)
            except SignedOut:
                stream.end("signed out")
                return False
            except (Gone, DatabaseError, InterfaceError) as error:
                logger.info("A stream ended during its backlog: %s", error)
                return False
            stream.position = piece.position
            with self.calls.shares.hold(name, len(piece.body), stream.cut):
                await send(body_message(piece.body, more=True))
                is_there = await is_taken(send)
            if not is_there:
                stream.end("gone")
                await asyncio.sleep(0)  # so that the server notices first
        return not stream.is_over

    async def pass_on(self, stream: Stream, frames: bytes, send: Send) -> None:
        """Send frames; they count against the user until the client has read them."""
        await send(body_message(frames, more=True))
        if is_unread(send):
            name = str(stream.user_id)
            with self.calls.shares.hold(name, len(frames), stream.cut):
                await drained(send)

    def the_hub(self) -> Hub:
        """Return the hub, which is started with the first stream."""
        if self.hub is None:
            loop = asyncio.get_running_loop()
            self.hub = Hub(
                post=lambda frames: call_in_loop(loop, push_all, frames),
                end=lambda streams, why: call_in_loop(loop, end_all, streams, why),
            )
            threading.Thread(target=self.hub.run, name="hub", daemon=True).start()
        return self.hub

    # --- Start and shutdown ---------------------------------------------------

    async def live(self, receive: Receive, send: Send) -> None:
        """Handle ASGI's lifespan: end all streams at shutdown."""
        await receive()
        self.listen_for_signals()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        if self.beating is not None:
            self.beating.cancel()
        self.connections.close()
        self.close()
        if self.hub is not None:
            self.hub.stop()
        self.calls.close()
        await send({"type": "lifespan.shutdown.complete"})

    def keep_beating(self) -> None:
        """Start the heartbeats unless they are running."""
        if self.beating is None or self.beating.done():
            self.beating = asyncio.ensure_future(self.beat())

    def listen_for_signals(self) -> None:
        """Close the streams on SIGTERM and SIGINT; call it in the event loop."""
        if not self.listens_for_signals:
            self.listens_for_signals = True
            loop = asyncio.get_running_loop()
            on_signals(lambda: call_in_loop(loop, self.close))

    def close(self) -> None:
        """End all streams, and later ones too: the process is shutting down."""
        self.is_closing = True
        end_all(self.streams, "restart")
        loop = asyncio.get_running_loop()
        loop.call_later(LINGER, cut_all, self.streams.copy(), self.streams)

    async def beat(self) -> None:
        """Send all streams a heartbeat every ``HEARTBEAT_EVERY``, while there are any.

        Proxies cut silent connections, and clients cannot see that one is dead.
        """
        while self.streams:
            ended = {stream for stream in self.streams if stream.is_over}
            await asyncio.sleep(HEARTBEAT_EVERY)
            cut_all(ended, self.streams)
            for stream in list(self.streams):
                stream.push(PING)
                await asyncio.sleep(0)


def next_piece(stream: Stream) -> BacklogChunk:
    """Return the next piece of a stream's backlog; raises Gone or SignedOut.

    This runs in a thread of the pool, but not in a request. So it checks the database
    connection and the credential itself.
    """
    close_old_connections()
    if signed_out([stream]):
        raise SignedOut("The session or token has ended.")
    return backlog(stream.user_id, stream.position)


def call_in_loop(loop: asyncio.AbstractEventLoop, callback: Callable, *args) -> None:
    """Schedule a call in the event loop, from any thread."""
    with contextlib.suppress(RuntimeError):  # closed, because the process is ending
        loop.call_soon_threadsafe(callback, *args)


def push_all(frames: list[tuple[Subscription, bytes]]) -> None:
    for stream, frame in frames:
        stream.push(frame)


def end_all(streams: Iterable[Subscription], reason: str) -> None:
    for stream in tuple(streams):
        stream.end(reason)


def cut_all(streams: Iterable[Stream], still_open: set[Stream]) -> None:
    for stream in streams:
        if stream in still_open:
            stream.cut()


async def watch(receive: Receive, stream: Stream) -> None:
    """End the stream when its client disconnects."""
    while (await receive())["type"] != "http.disconnect":
        pass
    stream.end("gone")


def on_signals(callback: Callable[[], Any]) -> None:
    """Run ``callback`` on SIGTERM and SIGINT, before the server's own handler.

    A server first waits for its connections to end, and calls the application after
    that. Open streams never end by themselves, so the server would wait for them. If a
    signal has no handler and would end the process at once (a worker of hypercorn), the
    process ends ``LINGER`` later.
    """
    if threading.current_thread() is not threading.main_thread():
        return  # under autoreload the server handles no signals either
    for number in (signal.SIGTERM, signal.SIGINT):
        earlier = signal.getsignal(number)

        def handle(signum, frame, earlier=earlier) -> None:
            callback()
            if callable(earlier):
                earlier(signum, frame)
            elif earlier == signal.SIG_DFL:
                signal.signal(signum, signal.SIG_DFL)
                end = threading.Timer(LINGER, os.kill, (os.getpid(), signum))
                end.daemon = True
                end.start()

        signal.signal(number, handle)
