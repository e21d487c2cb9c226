"""The ASGI shell: Django under WSGI in a few threads, and the streams it holds open.

A request is read whole, handed to a thread, and its answer written by the event
loop: no slow client ever holds a thread. An open stream has no thread, no database
connection and no Django request; it is a queue that the hub fills.
"""

import asyncio
import contextlib
import gc
import io
import logging
import random
import re
import signal
import socket
import sys
import threading
from collections.abc import Awaitable, Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from time import perf_counter
from typing import Any
from urllib.parse import unquote_to_bytes
from uuid import UUID

from django.conf import settings
from django.core.handlers.wsgi import WSGIRequest
from django.db import DatabaseError, InterfaceError, close_old_connections
from django.http import HttpResponse
from django.urls import Resolver404, resolve

from chats import metrics
from chats.encoding import to_json
from chats.events.hub import Hub
from chats.events.people import Credential, Subscription
from chats.events.places import Places
from chats.events.presence import signed_out
from chats.events.streams import Piece, backlog
from chats.exceptions import Gone
from chats.logs import log_stream_end
from chats.middleware import RequestMiddleware

logger = logging.getLogger(__name__)

HEARTBEAT_EVERY = 15.0  # seconds
BODY_TIMEOUT = 30.0  # seconds a client may take to send its request's body
MAX_QUEUED = 512 * 1024  # bytes a slow reader may be behind before it is cut
PIECE_TIMEOUT = 30.0  # seconds a client may take for a piece of its backlog
CHUNK = 64 * 1024  # bytes of a streamed answer taken from a thread at once
# Seconds after which a thread hands the interpreter over to one that waits for it. A
# quick call waits for its database some ten times, and after each time for this long
# while a slow one computes.
SWITCH_INTERVAL = 0.0005
GC_THRESHOLD = (50_000, 20, 100)  # seldom: a full collection stops every thread
MOST_ROWS = 100  # of one answer, above which it takes long
SIZE = re.compile(rb"(?:^|&)(?:page_size|limit)=([0-9]{1,9})(?![0-9])")
LINGER = 3.0  # seconds for a client to take the end of its stream, at the shutdown
RETRY_SPREAD = (500, 5000)  # milliseconds: not everybody comes back at once

# What is refused before it has arrived whole, by status.
REFUSALS = {
    400: ("The request broke off.", "incomplete"),
    408: ("The body took too long.", "timeout"),
    413: ("The body is too large.", "too_large"),
}

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]
Application = Callable[[dict, Callable], Iterable[bytes]]


def tune_interpreter() -> None:
    """Keep a process that serves from holding up quick calls; once, when it is loaded.

    What is loaded by now stays: no collection of garbage looks through it again.
    """
    sys.setswitchinterval(SWITCH_INTERVAL)
    gc.collect()
    gc.freeze()
    gc.set_threshold(*GC_THRESHOLD)


class Offer:
    """The shell's offer to hold a request's answer open, taken up by the view."""

    accepted: tuple[UUID, Piece, Credential] | None = None
    request_id = ""  # of the request that opened the stream

    def __init__(self, places: Places):
        self._places = places
        self._reserved: list[UUID] = []  # one at most; whoever pops it gives it back
        self._is_over = False

    def reserve(self, user_id: UUID) -> None:
        """Take a place before anything is read for it; raises as ``Places.take``."""
        self._places.take(user_id)
        self._reserved.append(user_id)
        if self._is_over:  # the client went away meanwhile
            self.release()

    def accept(self, user_id: UUID, start: Piece, credential: Credential) -> None:
        # Without its body: up to 500 events, which would stay as long as the stream.
        rest = Piece(b"", start.position, start.has_more)
        self.accepted = (user_id, rest, credential)

    def release(self) -> None:
        """Give the place back, whatever has become of the request."""
        self._is_over = True
        with contextlib.suppress(IndexError):
            self._places.give_back(self._reserved.pop())


class Stream(Subscription):
    """One open stream: a bounded queue between the hub and its client's socket.

    All methods run in the event loop's thread.
    """

    __slots__ = ("_frames", "_size", "_waiter", "ended", "transport")

    def __init__(self, user_id: UUID, position: int, credential: Credential):
        super().__init__(user_id, position, credential)
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
        """Whether it ends for good; one that is behind may go on."""
        return self.ended not in {"", "behind"}

    def cut(self) -> None:
        """Break the connection off: its client does not even take the end."""
        if self.transport is not None:
            self.transport.abort()

    async def next(self) -> bytes:
        """Wait for what is queued and return all of it; nothing means the end."""
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
    """The ASGI application.

    Two small pools of threads: one for the API, one for what takes long (passwords
    are hashed for sign-in; the admin's pages), which would hold up messages.
    """

    def __init__(self, application: Application):
        self.application = application
        self.quick = ThreadPoolExecutor(settings.WEB_THREADS, "web")
        self.slow = ThreadPoolExecutor(settings.WEB_THREADS, "slow")
        self.streams: set[Stream] = set()
        self.places = Places()
        self.hub: Hub | None = None
        self.is_closing = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            send_at_once(send)
            await self.answer(scope, receive, send)
        elif scope["type"] == "lifespan":
            await self.live(receive, send)
        else:
            await send({"type": "websocket.close", "code": 1000})

    # --- Requests -------------------------------------------------------------

    async def answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request; hold the answer open if the view took up the offer."""
        began = perf_counter()
        body = await read_body(scope, receive)
        offer = Offer(self.places)
        scope = scope | {"client": peer_of(scope, send)}
        if isinstance(body, int):
            environ = environ_of(scope, b"", offer) | {"chats.began": began}
            await refuse(environ, body, send)
            return
        try:
            await self.exchange(scope, body, offer, send)
            if offer.accepted is not None:
                await self.hold(*offer.accepted, receive, send, offer.request_id)
        finally:
            offer.release()

    async def exchange(
        self, scope: Scope, body: bytes, offer: Offer, send: Send
    ) -> None:
        """Have the WSGI application answer; a held stream keeps nothing of this."""
        environ = environ_of(scope, body, offer)
        pool = self.slow if takes_long(scope) else self.quick
        exchange = Exchange(self.application, environ)
        run = asyncio.get_running_loop().run_in_executor
        chunk = await run(pool, exchange.begin)
        is_held = offer.accepted is not None
        offer.request_id = exchange.header(b"x-request-id")
        await send(exchange.start(omit=b"content-length" if is_held else b""))
        while not exchange.finished:
            if not await is_taken(send, body_message(chunk, more=True)):
                await run(pool, exchange.close)  # else it were made for nobody
                return
            began = perf_counter()
            chunk = await run(pool, exchange.next)
            # A long answer leaves half of the time to others: its thread computes, and
            # theirs would wait for the interpreter.
            await asyncio.sleep(perf_counter() - began)
        await send(body_message(chunk, more=is_held))

    # --- Streams --------------------------------------------------------------

    async def hold(
        self,
        user_id: UUID,
        piece: Piece,
        credential: Credential,
        receive: Receive,
        send: Send,
        request_id: str = "",
    ) -> None:
        """Keep the answer open: the rest of the backlog, then what the hub pushes."""
        stream = Stream(user_id, piece.position, credential)
        stream.transport = transport_of(send)
        self.streams.add(stream)
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
            log_stream_end(user_id, request_id, why, perf_counter() - began)

    async def feed(self, stream: Stream, piece: Piece, send: Send) -> None:
        """Send until the stream ends; one that fell behind reads the log again."""
        while not stream.is_over:
            stream.ended = ""
            if not await self.catch_up(stream, piece, send):
                break
            self.the_hub().join(stream)
            while frames := await stream.next():
                await send(body_message(frames, more=True))
            piece = Piece(b"", stream.position, has_more=True)
        if stream.ended != "gone":
            retry = f"retry: {random.randint(*RETRY_SPREAD)}\n\n"  # noqa: S311
            await send(body_message(retry.encode()))

    async def catch_up(self, stream: Stream, piece: Piece, send: Send) -> bool:
        """Send what the log still has for the stream; False if that cannot be."""
        run = asyncio.get_running_loop().run_in_executor
        while piece.has_more and not stream.ended:
            try:
                piece = await run(self.slow, next_piece, stream)
            except (Gone, DatabaseError, InterfaceError) as error:
                logger.info("A stream ends in its backlog: %s", error)
                return False
            stream.position = piece.position
            try:
                async with asyncio.timeout(PIECE_TIMEOUT):
                    await send(body_message(piece.body, more=True))
            except TimeoutError:
                stream.cut()
                stream.end("gone")
                await asyncio.sleep(0)  # so that the server knows first
        return not stream.is_over

    def the_hub(self) -> Hub:
        """Return the hub, started with the first stream."""
        if self.hub is None:
            loop = asyncio.get_running_loop()
            self.hub = Hub(
                post=lambda frames: hand_over(loop, push_all, frames),
                end=lambda streams, why: hand_over(loop, end_all, streams, why),
            )
            threading.Thread(target=self.hub.run, name="hub", daemon=True).start()
        return self.hub

    # --- Life of the process --------------------------------------------------

    async def live(self, receive: Receive, send: Send) -> None:
        """Beat every stream's heart; end the streams when the process is told to."""
        await receive()
        loop = asyncio.get_running_loop()
        hear_signals(lambda: loop.call_soon_threadsafe(self.close))
        beating = asyncio.ensure_future(self.beat())
        await send({"type": "lifespan.startup.complete"})
        await receive()
        beating.cancel()
        self.close()
        if self.hub is not None:
            self.hub.stop()
        await send({"type": "lifespan.shutdown.complete"})

    def close(self) -> None:
        """End every stream, and those still to come: the process is going down."""
        self.is_closing = True
        end_all(self.streams, "restart")
        loop = asyncio.get_running_loop()
        loop.call_later(LINGER, cut_all, self.streams.copy(), self.streams)

    async def beat(self) -> None:
        """Write a comment on every stream now and then: proxies cut silent ones."""
        while True:
            ended = {stream for stream in self.streams if stream.is_over}
            await asyncio.sleep(HEARTBEAT_EVERY)
            cut_all(ended, self.streams)
            for stream in list(self.streams):
                stream.push(b":\n\n")
                await asyncio.sleep(0)


def next_piece(stream: Stream) -> Piece:
    """Return the next piece of a stream's backlog; raises Gone.

    In a thread of the pool but in no request: what a request does about its
    connection and its caller is done here.
    """
    close_old_connections()
    if signed_out([stream]):
        raise Gone("The session or token has ended.")
    return backlog(stream.user_id, stream.position)


def hand_over(loop: asyncio.AbstractEventLoop, callback: Callable, *args) -> None:
    """Have the event loop call back; from another thread."""
    with contextlib.suppress(RuntimeError):  # it is closed: the process is ending
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
    """End the stream when its client is gone."""
    while (await receive())["type"] != "http.disconnect":
        pass
    stream.end("gone")


def hear_signals(callback: Callable[[], Any]) -> None:
    """Call back on SIGTERM and SIGINT, before the server's own handler.

    A server ends its connections first and tells the application afterwards; open
    streams, which never end by themselves, would keep it waiting.
    """
    if threading.current_thread() is not threading.main_thread():
        return  # under autoreload the server hears no signals either
    for number in (signal.SIGTERM, signal.SIGINT):
        earlier = signal.getsignal(number)

        def handle(signum, frame, earlier=earlier) -> None:
            callback()
            if callable(earlier):
                earlier(signum, frame)

        signal.signal(number, handle)


# --- Between ASGI and WSGI ----------------------------------------------------


class Exchange:
    """One request through the WSGI application; runs in a thread of the pool."""

    def __init__(self, application: Application, environ: dict):
        self.application, self.environ = application, environ
        self.status, self.headers = 500, []
        self.finished = False
        self._chunks: Any = None

    def begin(self) -> bytes:
        """Call the application and return its first piece, mostly all there is."""
        result = self.application(self.environ, self._start_response)
        self._result, self._chunks = result, iter(result)
        return self.next()

    def next(self) -> bytes:
        """Return the next piece; ``finished`` tells whether it is the last one."""
        pieces, size = [], 0
        try:
            for chunk in self._chunks:
                pieces.append(chunk)
                size += len(chunk)
                if size >= CHUNK:
                    return b"".join(pieces)
        except BaseException:
            self._close()
            raise
        self._close()
        return b"".join(pieces)

    def header(self, name: bytes) -> str:
        return next((v.decode("latin-1") for n, v in self.headers if n == name), "")

    def close(self) -> None:
        """Give up what is left of the answer."""
        if not self.finished:
            self._close()

    def start(self, omit: bytes = b"") -> dict[str, Any]:
        headers = [item for item in self.headers if item[0] != omit]
        return {
            "type": "http.response.start",
            "status": self.status,
            "headers": headers,
        }

    def _start_response(self, status: str, headers: list, exc_info=None) -> None:
        self.status = int(status.split(" ", 1)[0])
        self.headers = [
            (name.lower().encode("latin-1"), value.strip().encode("latin-1"))
            for name, value in headers
        ]

    def _close(self) -> None:
        self.finished = True
        if hasattr(self._result, "close"):  # PEP 3333 leaves it to the application
            self._result.close()


async def read_body(scope: Scope, receive: Receive) -> bytes | int:
    """Return the request's body, or the status to refuse it with."""
    parts, size = [], 0
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(BODY_TIMEOUT):
            while True:
                message = await receive()
                if message["type"] == "http.disconnect":
                    return 400
                parts.append(message.get("body", b""))
                size += len(parts[-1])
                if size > settings.DATA_UPLOAD_MAX_MEMORY_SIZE:
                    return 413
                if not message.get("more_body"):
                    return b"".join(parts)
    return 408


async def refuse(environ: dict[str, Any], status: int, send: Send) -> None:
    """Answer a request that never arrived whole."""
    response = refusal(environ, status)
    headers = [
        (name.lower().encode("latin-1"), value.encode("latin-1"))
        for name, value in response.items()
    ]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send(body_message(response.content))


def refusal(environ: dict[str, Any], status: int) -> HttpResponse:
    """Return the answer, which asks nothing of Django but what all get: its id, a line
    in the log, a count."""
    detail, code = REFUSALS[status]
    body = to_json({"detail": detail, "code": code})
    headers = {"Content-Length": str(len(body)), "Connection": "close"}
    response = HttpResponse(body, "application/json", status, headers=headers)
    request = WSGIRequest(environ)
    with contextlib.suppress(Resolver404):
        request.resolver_match = resolve(request.path_info)
    return RequestMiddleware(lambda _: response)(request)


def transport_of(send: Send) -> asyncio.Transport | None:
    """Return the connection below, where the server (uvicorn) shows it."""
    return getattr(getattr(send, "__self__", None), "transport", None)


async def is_taken(send: Send, message: dict[str, Any]) -> bool:
    """Send a piece of a long answer; False, and cut off, if nobody takes it."""
    try:
        async with asyncio.timeout(PIECE_TIMEOUT):
            await send(message)
    except TimeoutError:
        if transport := transport_of(send):
            transport.abort()
        return False
    return not is_disconnected(send)


def is_disconnected(send: Send) -> bool:
    """Tell whether the client is gone, where the server (uvicorn) shows it."""
    return bool(getattr(getattr(send, "__self__", None), "disconnected", False))


def peer_of(scope: Scope, send: Send) -> tuple[str, int] | None:
    """Return who is at the other end of the connection, whatever its headers claim.

    For connections from its own machine uvicorn puts X-Forwarded-For there, however
    many proxies the settings trust.
    """
    transport = transport_of(send)
    peer = transport and transport.get_extra_info("peername")
    return peer[:2] if isinstance(peer, tuple) else scope.get("client")


def send_at_once(send: Send) -> None:
    """Switch Nagle's algorithm off for the connection, where the server did not.

    asyncio does so unless the listening socket was made without a protocol number,
    as uvicorn's is with several workers. Head and body then leave as two packets,
    the second of which waits 40 ms for the client's delayed acknowledgement.
    """
    transport = transport_of(send)
    connection = transport and transport.get_extra_info("socket")
    if connection is not None:
        with contextlib.suppress(OSError):
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def body_message(body: bytes, *, more: bool = False) -> dict[str, Any]:
    return {"type": "http.response.body", "body": body, "more_body": more}


def takes_long(scope: Scope) -> bool:
    """Tell whether a request may hash a password, reads much, or is the staff's."""
    path, query = path_of(scope), unquote_to_bytes(scope["query_string"])
    if b"search=" in query or any(int(n) > MOST_ROWS for n in SIZE.findall(query)):
        return True
    if path.startswith(("/admin/", "/api-auth/", "/api/schema/", "/metrics")):
        return True
    if path == "/api/users/me/export/":
        return True
    is_write = scope["method"] in {"POST", "PUT", "PATCH"}
    return is_write and path.startswith(("/api/auth/", "/api/users/"))


def path_of(scope: Scope) -> str:
    """Return the path below the one that the application is mounted at."""
    return scope["path"].removeprefix(scope.get("root_path", ""))


def environ_of(scope: Scope, body: bytes, offer: Offer) -> dict[str, Any]:
    """Return the WSGI environment (PEP 3333) of an ASGI request."""
    root_path = scope.get("root_path", "")
    server_host, server_port = scope.get("server") or ("localhost", 80)
    client_host, client_port = scope.get("client") or ("", 0)
    environ = {
        "REQUEST_METHOD": scope["method"],
        "SCRIPT_NAME": root_path.encode().decode("latin-1"),
        "PATH_INFO": path_of(scope).encode().decode("latin-1"),
        "QUERY_STRING": scope["query_string"].decode("latin-1"),
        "SERVER_PROTOCOL": f"HTTP/{scope['http_version']}",
        "SERVER_NAME": server_host,
        "SERVER_PORT": str(server_port),
        "REMOTE_ADDR": client_host,
        "REMOTE_PORT": str(client_port),
        "CONTENT_LENGTH": str(len(body)),
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": scope.get("scheme", "http"),
        "wsgi.input": io.BytesIO(body),
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": True,
        "wsgi.run_once": False,
        "chats.hold": offer,
        "chats.began": perf_counter(),
    }
    for raw_name, raw_value in scope["headers"]:
        name = raw_name.decode("latin-1").upper().replace("-", "_")
        if "_" in raw_name.decode("latin-1") or name == "CONTENT_LENGTH":
            continue  # X_Forwarded_For must not pass for X-Forwarded-For
        if name != "CONTENT_TYPE":
            name = f"HTTP_{name}"
        value = raw_value.decode("latin-1")
        if name in environ:
            value = f"{environ[name]}{';' if name == 'HTTP_COOKIE' else ','}{value}"
        environ[name] = value
    return environ
