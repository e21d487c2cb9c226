"""How many streams a process holds open, for each person and in all."""

import threading
from uuid import UUID

from django.conf import settings

from chats.exceptions import Full, TooManyAttempts

RETRY_AFTER = 30  # seconds


class Places:
    """The places for open streams in this process; taken in any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._by_person: dict[UUID, int] = {}
        self.taken = 0

    def take(self, user_id: UUID) -> None:
        """Take a place; raise TooManyAttempts for the person, Full for everybody."""
        with self._lock:
            own = self._by_person.get(user_id, 0)
            if own >= settings.MAX_STREAMS_PER_USER:
                raise TooManyAttempts(
                    "Too many open streams. Close one first.",
                    retry_after=RETRY_AFTER,
                    code="too_many_streams",
                )
            if self.taken >= settings.MAX_STREAMS:
                raise Full("Too many open streams here.", retry_after=RETRY_AFTER)
            self._by_person[user_id] = own + 1
            self.taken += 1

    def give_back(self, user_id: UUID) -> None:
        with self._lock:
            self.taken -= 1
            self._by_person[user_id] -= 1
            if not self._by_person[user_id]:
                del self._by_person[user_id]
