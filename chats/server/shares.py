"""Limits for one caller's share of a process: concurrent calls, and bytes in memory.

For the event loop's thread only, except ``has_room``.
"""

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

# Calls of one caller, each from the head of the request to the end of the response.
MOST_CALLS = 256
# If all callers together have this many, only those below FEW_CALLS get another one.
MOST_CALLS_OF_ALL = 4096
FEW_CALLS = 8
# Bytes of one caller. The limit applies to the announced bodies, and separately to the
# unread responses. One body or response is always admitted, so this does not limit the
# size of either.
MOST_BYTES = 2 * 1024 * 1024
# Bytes in memory for all callers, of bodies being received and of unread responses.
MOST_BYTES_OF_ALL = 32 * 1024 * 1024
# Refusals are delayed, because a client that retries at once costs as much as before.
REFUSE_EVERY = 0.02  # seconds between two refusals to one caller
REFUSE_AFTER = 1.0  # seconds before the first one
MOST_REFUSALS = 100  # delayed refusals of one caller


class Busy(Exception):
    """The caller, or all callers together, have too many calls in progress."""


class Held:
    """Memory used by a client: a body being received, or an unread response."""

    __slots__ = ("cut", "is_body", "share", "size")

    def __init__(self, share: "Share", cut: Callable[[], None], *, is_body: bool):
        self.share, self.cut, self.is_body = share, cut, is_body
        self.size = 0


class Share:
    """The calls and the memory of one caller."""

    def __init__(self, name: str):
        self.name = name
        self.calls = 0
        self.announced = 0  # bytes of bodies
        self.size = 0  # bytes in memory
        self.unread = 0  # of these, the bytes of responses
        self.held: dict[Held, None] = {}  # the oldest first
        self.waiting: list[asyncio.Future] = []
        self.refusals = 0
        self.next_refusal = 0.0

    @property
    def is_idle(self) -> bool:
        return not (self.calls or self.held or self.refusals)


class Shares:
    """The shares of all callers."""

    def __init__(
        self,
        *,
        on_room: Callable[[], None] = lambda: None,
        clock: Callable[[], float] = time.monotonic,
    ):
        """``on_room`` is called when a caller that had no room has some again."""
        self._on_room, self._clock = on_room, clock
        self._shares: dict[str, Share] = {}
        self.calls = 0
        self.size = 0

    def has_room(self, name: str) -> bool:
        """Return whether the caller's unread responses leave room for another one.

        Bodies do not count: they are freed once their calls have been answered. May be
        called in any thread.
        """
        share = self._shares.get(name)
        return share is None or share.unread <= MOST_BYTES

    @contextmanager
    def call_of(self, name: str) -> Iterator[Share]:
        """Count a call of the caller while it is in progress; raises Busy."""
        share = self._of(name)
        is_full = self.calls >= MOST_CALLS_OF_ALL and share.calls >= FEW_CALLS
        if is_full or share.calls >= MOST_CALLS:
            self._forget_if_idle(share)
            raise Busy
        share.calls += 1
        self.calls += 1
        try:
            yield share
        finally:
            share.calls -= 1
            self.calls -= 1
            self._forget_if_idle(share)

    # --- Refusals -------------------------------------------------------------

    async def delay_refusal(self, name: str) -> bool:
        """Wait until the caller may be sent another refusal, and return True.

        Returns False at once if too many are waiting: this one should not be sent.
        """
        share = self._of(name)
        if share.refusals >= MOST_REFUSALS:
            return False
        share.refusals += 1
        try:
            now = self._clock()
            earliest = share.next_refusal + REFUSE_EVERY
            share.next_refusal = max(now + REFUSE_AFTER, earliest)
            await asyncio.sleep(share.next_refusal - now)
        finally:
            share.refusals -= 1
            self._forget_if_idle(share)
        return True

    # --- Bytes ----------------------------------------------------------------

    async def announce(self, share: Share, size: int) -> None:
        """Wait until the caller may send another ``size`` bytes of body; count them.

        ``withdraw`` undoes this.
        """
        while share.announced and share.announced + size > MOST_BYTES:
            turn = asyncio.get_running_loop().create_future()
            share.waiting.append(turn)
            await turn
        share.announced += size

    def withdraw(self, share: Share, size: int) -> None:
        if not size:
            return
        share.announced -= size
        waiting, share.waiting = share.waiting, []
        for turn in waiting:  # in order; each checks the limit again
            if not turn.done():
                turn.set_result(None)

    @contextmanager
    def hold(
        self, name: str, size: int, cut: Callable[[], None], *, is_body: bool = False
    ) -> Iterator[Held]:
        """Count bytes of the caller in memory, until the block ends.

        If all callers together have too many, the caller with the most loses its
        oldest: its ``cut`` is called.
        """
        share = self._of(name)
        held = Held(share, cut, is_body=is_body)
        share.held[held] = None
        try:
            self.grow(held, size)
            yield held
        finally:
            self._drop(held)
            self._forget_if_idle(share)

    def grow(self, held: Held, size: int) -> None:
        """Count more bytes of ``held``, unless it was cut off."""
        if held not in held.share.held:
            return
        held.size += size
        self._count(held, size)
        if self.size > MOST_BYTES_OF_ALL:
            self._cut_heaviest()

    def _cut_heaviest(self) -> None:
        holders = (share for share in self._shares.values() if share.held)
        heaviest = max(holders, key=lambda share: share.size)
        oldest = next(iter(heaviest.held))
        self._drop(oldest)
        oldest.cut()

    def _drop(self, held: Held) -> None:
        share = held.share
        if share.held.pop(held, held) is held:  # it was cut off already
            return
        had_room = share.unread <= MOST_BYTES
        self._count(held, -held.size)
        if not had_room and share.unread <= MOST_BYTES:
            self._on_room()

    def _count(self, held: Held, size: int) -> None:
        held.share.size += size
        self.size += size
        if not held.is_body:
            held.share.unread += size

    # --- Shares ---------------------------------------------------------------

    def _of(self, name: str) -> Share:
        share = self._shares.get(name)
        if share is None:
            share = self._shares[name] = Share(name)
        return share

    def _forget_if_idle(self, share: Share) -> None:
        if share.is_idle and self._shares.get(share.name) is share:
            del self._shares[share.name]
