"""Limits for the open streams of a process: for each user, each address and in all."""

import threading
from collections import Counter
from uuid import UUID

from django.conf import settings

from chats.web.exceptions import Full, TooManyAttempts

RETRY_AFTER = 30  # seconds
KEPT_FREE = 10  # one in KEPT_FREE places is for users who have no stream yet


class StreamLimits:
    """The places for open streams in this process; any thread may call any method.

    The last tenth of the places is for users without a stream, at addresses with less
    than half of all places. So no user or address can take all of them.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._by_user: Counter[UUID] = Counter()
        self._by_address: Counter[str] = Counter()
        self.taken = 0

    def acquire(self, user_id: UUID, address: str) -> None:
        """Take a place.

        Raises TooManyAttempts if the user has too many streams, Full if no place is
        left for them.
        """
        with self._lock:
            own = self._by_user[user_id]
            if own >= settings.MAX_STREAMS_PER_USER:
                raise TooManyAttempts(
                    "Too many open streams. Close one first.",
                    retry_after=RETRY_AFTER,
                    code="too_many_streams",
                )
            if not self._has_room(own, self._by_address[address]):
                raise Full("Too many streams on this server.", retry_after=RETRY_AFTER)
            self._by_user[user_id] += 1
            self._by_address[address] += 1
            self.taken += 1

    def release(self, user_id: UUID, address: str) -> None:
        with self._lock:
            self.taken -= 1
            for counter, key in (
                (self._by_user, user_id),
                (self._by_address, address),
            ):
                counter[key] -= 1
                if not counter[key]:
                    del counter[key]

    def _has_room(self, own: int, at_address: int) -> bool:
        most = settings.MAX_STREAMS
        free = most - self.taken
        if free > most // KEPT_FREE:
            return True
        return free > 0 and not own and at_address < most / 2
