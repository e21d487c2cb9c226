"""How much of a process one caller may have at a time: calls, and bytes in memory.

For the event loop's thread only, but for ``has_room``.
"""

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

MOST_CALLS = 256  # of one caller, from the head of a request to the end of its answer
# Beyond these, only callers with few calls get another one.
MOST_CALLS_OF_ALL = 4096
FEW_CALLS = 8
# Bytes of one caller: of the bodies that are announced, and of all that is in memory,
# bodies on their way in and answers that nobody has read yet. One body or answer is
# always let in, so this is no limit to the size of either.
MOST_BYTES = 2 * 1024 * 1024
MOST_BYTES_OF_ALL = 32 * 1024 * 1024
# Seconds between the refusals that one caller is sent, and how many may wait. A refused
# client that comes back at once costs what it cost before; so it waits.
REFUSE_EVERY = 0.02
REFUSE_AFTER = 1.0  # seconds
MOST_REFUSALS = 100


class Busy(Exception):
    """The caller, or everybody together, has too many calls under way."""


class Held:
    """What waits in memory for a client: a body to come, or an answer to be read."""

    __slots__ = ("cut", "is_body", "share", "size")

    def __init__(self, share: "Share", cut: Callable[[], None], *, is_body: bool):
        self.share, self.cut, self.is_body = share, cut, is_body
        self.size = 0


class Share:
    """What one caller has under way."""

    def __init__(self, name: str):
        self.name = name
        self.calls = 0
        self.announced = 0  # bytes of bodies
        self.size = 0  # bytes in memory
        self.unread = 0  # those of them that are not of bodies
        self.held: dict[Held, None] = {}  # the oldest first
        self.waiting: list[asyncio.Future] = []
        self.refusals = 0
        self.next_refusal = 0.0

    @property
    def is_idle(self) -> bool:
        return not (self.calls or self.held or self.refusals)


class Shares:
    """What all callers have under way."""

    def __init__(
        self,
        *,
        on_room: Callable[[], None] = lambda: None,
        clock: Callable[[], float] = time.monotonic,
    ):
        """``on_room`` is called when somebody has room again who had none."""
        self._on_room, self._clock = on_room, clock
        self._shares: dict[str, Share] = {}
        self.calls = 0
        self.size = 0

    def has_room(self, name: str) -> bool:
        """Return whether the caller has few enough bytes to read for another answer.

        Bodies are none of these: they go once their calls have been answered. May be
        asked in any thread.
        """
        share = self._shares.get(name)
        return share is None or share.unread <= MOST_BYTES

    @contextmanager
    def call_of(self, name: str) -> Iterator[Share]:
        """Count a call of the caller while it is under way; raises Busy."""
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
        """Wait until the caller may be sent one more refusal.

        False at once, if so many wait already that this one is not to be sent.
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
        """Wait until the caller may send a body of ``size`` bytes more, and count it.

        ``withdraw`` takes the count back.
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
        for turn in waiting:  # they look again, the first one first
            if not turn.done():
                turn.set_result(None)

    @contextmanager
    def hold(
        self, name: str, size: int, cut: Callable[[], None], *, is_body: bool = False
    ) -> Iterator[Held]:
        """Count bytes of the caller that wait in memory, for as long as they do.

        When those of all callers are too many, the oldest of the caller with the most
        is cut off, by its ``cut``.
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
        """Count more bytes of the same; those of what was cut off count no more."""
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
