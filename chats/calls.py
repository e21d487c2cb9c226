"""One call: whose turn it is, what is refused before any work, how an answer leaves.

A request is read whole, handed to a thread, and its answer written by the event
loop: no slow client ever holds a thread.
"""

import asyncio
import re
from functools import partial
from time import perf_counter
from typing import Any, NamedTuple

from django.conf import settings
from django.db import connections

from chats.addresses import network_in
from chats.bridge import (
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
    is_disconnected,
    is_taken,
    is_unread,
    lane_of,
    pause_reading,
    read_body,
    start_message,
)
from chats.callers import Caller, Callers
from chats.framing import is_ambiguous
from chats.refusals import AMBIGUOUS, PASSING, Refused, answer_to
from chats.shares import Busy, Share, Shares
from chats.turns import ClientGone, FairPool

SMALL_BODY = 16 * 1024  # bytes; a request's body up to which nobody waits for room
# Who signs in, in the body of a request to do so.
LOGIN_NAME = re.compile(
    rb'(?:"(?:username|email)"\s*:\s*"|(?:^|&)username=)([^"&\\]{1,254})'
)


class Call(NamedTuple):
    """A request that was let in."""

    scope: Scope
    receive: Receive
    send: Send
    caller: Caller
    share: Share

    def is_gone(self) -> bool:
        return is_disconnected(self.send)


class Calls:
    """The calls of one process.

    Three small pools of threads: one for what is quick, one for what takes long (the
    admin, searches, exports), one for what hashes passwords. Each would hold up the
    others.
    """

    def __init__(self, application: Application):
        self.application = application
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
        try:
            if wait := self.callers.wait_of(caller):
                raise Refused(429, retry_after=wait)
            with self.shares.call_of(caller.key) as share:
                await self._exchange(Call(scope, receive, send, caller, share), offer)
        except Busy:
            await self._refuse(scope, send, caller, Refused(503), began)
        except Refused as refusal:
            await self._refuse(scope, send, caller, refusal, began)
        except ClientGone:
            return

    def close(self) -> None:
        for pool in self.pools.values():
            pool.shutdown()

    def _look_again(self) -> None:
        for pool in self.pools.values():
            pool.look_again()

    async def _exchange(self, call: Call, offer: Any) -> None:
        """Call the application, and send its answer on as it comes."""
        if size := body_size(call.scope):
            pause_reading(call.send)
            await self.shares.take_room(call.share, size)
        try:
            body = await read_body(call.receive)
            if is_ambiguous(call.scope["headers"]):  # read first: uvicorn answers too
                raise Refused(400, AMBIGUOUS)
            lane = lane_of(call.scope)
            environ = environ_of(call.scope, body)
            environ["chats.hold"], environ["chats.caller"] = offer, call.caller
            exchange = Exchange(self.application, environ)
            run = partial(self.pools[lane].run, turn_of(call, lane, body))
            del body, environ
            chunk = await run(exchange.begin, is_gone=call.is_gone)
        finally:
            self.shares.give_room_back(call.share, size)
        self.callers.learn(call.caller, exchange.status)
        offer.request_id = exchange.header(b"x-request-id")
        await self._deliver(call, exchange, chunk, run, offer.accepted is not None)

    async def _deliver(
        self, call: Call, exchange: Exchange, chunk: bytes, run, is_held: bool
    ) -> None:
        await call.send(exchange.start(omit=b"content-length" if is_held else b""))
        while not exchange.finished:
            if not await self._write(call, chunk, more=True):
                await run(exchange.close)  # else it were made for nobody
                return
            began = perf_counter()
            chunk = await run(exchange.next)
            # A long answer leaves half of the time to others: its thread computes, and
            # theirs would wait for the interpreter.
            await asyncio.sleep(perf_counter() - began)
        await self._write(call, chunk, more=is_held)

    async def _write(self, call: Call, chunk: bytes, *, more: bool) -> bool:
        """Send a part of an answer; return whether its client has taken it.

        A long one goes out in pieces, and counts against its caller meanwhile.
        """
        send, last = call.send, max(0, (len(chunk) - 1) // CHUNK)
        if not last:
            await send(body_message(chunk, more=more))
            if not is_unread(send):
                return not call.is_gone()
        with self.shares.unread(call.share, len(chunk), partial(cut, send)):
            if not last:
                return await is_taken(send)
            for number in range(last + 1):
                piece = chunk[number * CHUNK : (number + 1) * CHUNK]
                await send(body_message(piece, more=more or number < last))
                if not await is_taken(send):
                    return False
        return True

    async def _refuse(
        self, scope: Scope, send: Send, caller: Caller, refusal: Refused, began: float
    ) -> None:
        """Answer a request that gets no further; who sends too many waits for it."""
        if refusal.status in PASSING:
            await self.shares.delay_refusal(caller.key)
        environ = environ_of(scope, b"") | {"chats.began": began}
        response = answer_to(environ, refusal)
        await send(start_message(response.status_code, encoded(response.items())))
        await send(body_message(response.content))


def body_size(scope: Scope) -> int:
    """Return the bytes to make room for before a body is read; 0 for a small one."""
    size = content_length(scope)
    most = settings.DATA_UPLOAD_MAX_MEMORY_SIZE
    return min(size, most) if size > SMALL_BODY else 0


def turn_of(call: Call, lane: str, body: bytes) -> tuple[str, ...]:
    """Return whose turn the call waits for.

    Who signs in has no credential yet: of one address, each name has turns of its own.
    """
    if lane != "sign-in":
        return (call.caller.key,)
    name = LOGIN_NAME.search(body[:SMALL_BODY])
    return (call.caller.key, name[1].decode("latin-1").lower() if name else "")
