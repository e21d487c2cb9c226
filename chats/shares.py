"""How much of a process one caller may have at a time: calls, and bytes in memory.

For the event loop's thread only.
"""

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

MOST_CALLS = 256  # of one caller, from the head of a request to the end of its answer
MOST_CALLS_OF_ALL = 4096
# Bytes of one caller, of bodies on their way in and of answers nobody has read yet.
# One body or answer is always let in, so this is no limit to the size of either.
MOST_BYTES = 2 * 1024 * 1024
MOST_BYTES_OF_ALL = 32 * 1024 * 1024
# Seconds between the refusals that one caller is sent. A refused client that comes
# back at once costs what it cost before; so it waits.
REFUSE_EVERY = 0.02
REFUSE_AFTER = 1.0  # seconds


class Busy(Exception):
    """The caller, or everybody together, has too many calls under way."""


class Unread:
    """An answer that waits in memory until its client reads it."""

    def __init__(self, size: int, cut: Callable[[], None]):
        self.size, self.cut = size, cut


class Share:
    """What one caller has under way."""

    def __init__(self, name: str):
        self.name = name
        self.calls = 0
        self.size = 0  # bytes
        self.unread: dict[Unread, None] = {}  # the oldest first
        self.waiting: list[asyncio.Future] = []
        self.next_refusal = 0.0

    @property
    def is_idle(self) -> bool:
        return not (self.calls or self.size or self.waiting)


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
        """Return whether the caller holds few enough bytes for one more answer.

        May be asked in any thread.
        """
        share = self._shares.get(name)
        return share is None or share.size <= MOST_BYTES

    @contextmanager
    def call_of(self, name: str) -> Iterator[Share]:
        """Count a call of the caller while it is under way; raises Busy."""
        share = self._shares.get(name)
        if share is None:
            share = self._shares[name] = Share(name)
        if share.calls >= MOST_CALLS or self.calls >= MOST_CALLS_OF_ALL:
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

    async def delay_refusal(self, name: str) -> None:
        """Wait until the caller may be sent one more refusal."""
        share = self._shares.setdefault(name, Share(name))
        now = self._clock()
        share.next_refusal = max(now + REFUSE_AFTER, share.next_refusal + REFUSE_EVERY)
        await asyncio.sleep(share.next_refusal - now)
        self._forget_if_idle(share)

    async def take_room(self, share: Share, size: int) -> None:
        """Wait until the caller may hold ``size`` bytes more, and count them.

        ``give_room_back`` takes the count back. Raises Busy if all callers together
        hold too many.
        """
        while share.size and share.size + size > MOST_BYTES:
            turn = asyncio.get_running_loop().create_future()
            share.waiting.append(turn)
            await turn
        if self.size + size > MOST_BYTES_OF_ALL:
            raise Busy
        self._add(share, size)

    def give_room_back(self, share: Share, size: int) -> None:
        if not size:
            return
        had_room = share.size <= MOST_BYTES
        self._add(share, -size)
        if not had_room and share.size <= MOST_BYTES:
            self._on_room()
        waiting, share.waiting = share.waiting, []
        for turn in waiting:  # they look again, the first one first
            if not turn.done():
                turn.set_result(None)

    @contextmanager
    def unread(self, share: Share, size: int, cut: Callable[[], None]) -> Iterator:
        """Count an answer while its client has not read it.

        When all of them are too many bytes, the oldest of the caller with the most is
        cut off.
        """
        answer = Unread(size, cut)
        share.unread[answer] = None
        self._add(share, size)
        try:
            self._cut_heaviest()
            yield
        finally:
            share.unread.pop(answer, None)
            self.give_room_back(share, size)

    def _cut_heaviest(self) -> None:
        if self.size <= MOST_BYTES_OF_ALL:
            return
        holders = (share for share in self._shares.values() if share.unread)
        heaviest = max(holders, key=lambda share: share.size)
        oldest = next(iter(heaviest.unread))
        del heaviest.unread[oldest]
        oldest.cut()

    def _add(self, share: Share, size: int) -> None:
        share.size += size
        self.size += size

    def _forget_if_idle(self, share: Share) -> None:
        is_refused = share.next_refusal > self._clock() + REFUSE_EVERY
        if share.is_idle and not is_refused and self._shares.get(share.name) is share:
            del self._shares[share.name]
