"""Calls: their order, their early refusal, and the sending of their responses.

A request is read completely and then handed to a thread; the event loop sends the
response. So a slow client never occupies a thread.
"""

import asyncio
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from time import perf_counter
from typing import Any, NamedTuple

from django.conf import settings
from django.db import connections

from chats.server.bridge import (
    CHUNK,
    Application,
    Exchange,
    Receive,
    Scope,
    Send,
    body_message,
    content_length,
    cut,
    encoded,
    environ_of,
    hang_up,
    has_hung_up,
    is_disconnected,
    is_taken,
    is_unread,
    pause_reading,
    read_body,
    start_message,
)
from chats.server.framing import is_ambiguous
from chats.server.refusals import AMBIGUOUS, PASSING, Refused, answer_to
from chats.server.routes import Routes
from chats.server.shares import Busy, Share, Shares
from chats.server.turns import ClientGone, FairPool
from chats.web.addresses import network_in
from chats.web.callers import Caller, Callers
from chats.web.middleware import PROBES

SOON = 0.05  # seconds within which hardly any client disconnects
LONGEST_PAUSE = 0.5  # seconds between two pieces of a long response
SMALL_BODY = 16 * 1024  # bytes; smaller bodies do not wait for memory
# Finds the username or e-mail in the body of a sign-in request.
LOGIN_NAME = re.compile(
    rb'(?:"(?:username|email)"\s*:\s*"|(?:^|&)username=)([^"&\\]{1,254})'
)


class Call(NamedTuple):
    """A request that was admitted."""

    scope: Scope
    receive: Receive
    send: Send
    caller: Caller
    share: Share
    began: float

    def is_gone(self) -> bool:
        """Return whether the client has left; its socket is checked after a wait."""
        is_late = perf_counter() - self.began > SOON
        return is_disconnected(self.send) or (is_late and has_hung_up(self.send))

    @property
    def cut(self) -> Callable[[], None]:
        return partial(cut, self.send)


class Calls:
    """The calls of one process.

    There are three small thread pools: for quick calls, for slow ones (the admin,
    searches, exports) and for those that hash passwords. So none delays the others.
    """

    def __init__(self, application: Application):
        self.application, self.routes = application, Routes()
        self.callers = Callers(network_in)
        self.shares = Shares(on_room=self._look_again)
        self.pools = {
            lane: FairPool(
                settings.WEB_THREADS,
                lane,
                may_begin=self.shares.has_room,
                at_end=connections.close_all,
            )
            for lane in ("quick", "slow", "sign-in")
        }

    async def answer(
        self, scope: Scope, receive: Receive, send: Send, offer: Any
    ) -> None:
        """Answer one request, or refuse it."""
        caller = self.callers.identify(scope["client"], scope["headers"])
        began = perf_counter()
        is_probe = scope["path"] in PROBES
        name = f"{caller.key} probes" if is_probe else caller.key
        try:
            if not is_probe and not is_preflight(scope):
                self._require_allowance(caller)
            with self.shares.call_of(name) as share:
                call = Call(scope, receive, send, caller, share, began)
                await self._exchange(call, offer)
        except Busy:
            await self._refuse(scope, send, name, Refused(503), began)
        except Refused as refusal:
            refusal.__traceback__ = None  # its frames would keep the body in memory
            await self._refuse(scope, send, name, refusal, began)
        except ClientGone:
            await hang_up(send)

    def close(self) -> None:
        for pool in self.pools.values():
            pool.shutdown()

    def _look_again(self) -> None:
        for pool in self.pools.values():
            pool.look_again()

    def _require_allowance(self, caller: Caller) -> None:
        if wait := self.callers.wait_of(caller):
            raise Refused(429, retry_after=wait)

    async def _exchange(self, call: Call, offer: Any) -> None:
        """Call the application, and pass on its response as it arrives."""
        size = body_size(call.scope)
        if size:
            pause_reading(call.send)
            await self.shares.announce(call.share, size)
        try:
            with self._counted(call, size) as count:
                body = await read_body(call.receive, count)
                # Only after the body is read, because uvicorn may answer first.
                if is_ambiguous(call.scope["headers"]):
                    raise Refused(400, AMBIGUOUS)
                lane = self.routes.lane_of(call.scope)
                environ = environ_of(call.scope, body)
                environ["chats.hold"], environ["chats.caller"] = offer, call.caller
                exchange = Exchange(self.application, environ)
                run = partial(self.pools[lane].run, turn_of(call, lane, body))
                del body, environ
                chunk = await run(exchange.begin, is_gone=call.is_gone)
        finally:
            self.shares.withdraw(call.share, size)
        self.callers.learn(call.caller)
        offer.request_id = exchange.header(b"x-request-id")
        await self._deliver(call, exchange, chunk, run, offer.accepted is not None)

    @contextmanager
    def _counted(self, call: Call, size: int) -> Iterator[Callable[[int], None]]:
        """Count the bytes of a long body until the application has answered."""
        if not size:
            yield lambda size: None
            return
        name = call.share.name
        with self.shares.hold(name, 0, call.cut, is_body=True) as held:
            yield partial(self.shares.grow, held)

    async def _deliver(
        self, call: Call, exchange: Exchange, chunk: bytes, run, is_held: bool
    ) -> None:
        if is_unread(call.send):  # the previous response, if requests are pipelined
            with self.shares.hold(call.share.name, len(chunk), call.cut):
                await is_taken(call.send)
        await call.send(exchange.start(omit=b"content-length" if is_held else b""))
        while not exchange.finished:
            if not await self._write(call, chunk, more=True):
                await run(exchange.close)  # nobody would read the rest
                return
            began = perf_counter()
            chunk = await run(exchange.next)
            # A long response pauses for half of the time: while its thread computes,
            # other threads have to wait for the interpreter.
            await asyncio.sleep(min(perf_counter() - began, LONGEST_PAUSE))
        await self._write(call, chunk, more=is_held)

    async def _write(self, call: Call, chunk: bytes, *, more: bool) -> bool:
        """Send a part of a response; return whether the client is there and reads.

        A long part is sent in pieces, and counts against its caller until it is read.
        """
        send, last = call.send, max(0, (len(chunk) - 1) // CHUNK)
        if not last:
            await send(body_message(chunk, more=more))
            if not is_unread(send):
                return not is_disconnected(send)
        with self.shares.hold(call.share.name, len(chunk), call.cut):
            if not last:
                return await is_taken(send)
            for number in range(last + 1):
                piece = chunk[number * CHUNK : (number + 1) * CHUNK]
                await send(body_message(piece, more=more or number < last))
                if not await is_taken(send):
                    return False
        return True

    async def _refuse(
        self, scope: Scope, send: Send, name: str, refusal: Refused, began: float
    ) -> None:
        """Refuse a request; delay the refusal if the caller sends too many."""
        if refusal.status in PASSING:
            pause_reading(send)  # the body is not needed
            is_sent = await self.shares.delay_refusal(name)
            if not is_sent and await hang_up(send):
                return
        environ = environ_of(scope, b"") | {"chats.began": began}
        response = answer_to(environ, refusal)
        await send(start_message(response.status_code, encoded(response.items())))
        await send(body_message(response.content))


def is_preflight(scope: Scope) -> bool:
    """Return whether the request is a CORS preflight."""
    asked = b"access-control-request-method"
    return scope["method"] == "OPTIONS" and any(n == asked for n, _ in scope["headers"])


def body_size(scope: Scope) -> int:
    """Return the bytes to reserve before reading the body; 0 for a small body."""
    size = content_length(scope)
    most = settings.DATA_UPLOAD_MAX_MEMORY_SIZE
    return min(size, most) if size > SMALL_BODY else 0


def turn_of(call: Call, lane: str, body: bytes) -> tuple[str, ...]:
    """Return the key under which the call waits for its turn.

    Users who sign in have no credential yet. So within one address, each username has
    turns of its own.
    """
    if lane != "sign-in":
        return (call.caller.key,)
    name = LOGIN_NAME.search(body[:SMALL_BODY])
    return (call.caller.key, name[1].decode("latin-1").lower() if name else "")
