"""Notices of writes by other processes, for the hub.

PostgreSQL sends notifications. SQLite has a number that changes with every commit of
another connection, and which is polled. Both only reduce latency: the hub also reads
the log by a timer.
"""

import logging
import threading
from typing import TYPE_CHECKING
from uuid import UUID

import psycopg
from django.conf import settings
from django.db import DatabaseError, connection
from django.db.models import BigIntegerField

from chats.db.prepared import Param, Prepared
from chats.db.wakeups import PROCESS_ID
from chats.models import TypingSignal
from chats.models.events import TYPING_CHANNEL, WAKE_CHANNEL

if TYPE_CHECKING:
    from chats.realtime.hub import Hub

logger = logging.getLogger(__name__)

POLL_EVERY = 0.02  # seconds between reads of SQLite's counter
RECONNECT_EVERY = 1.0  # seconds
CONNECT_TIMEOUT = 5  # seconds


class OtherWriters:
    """Detects commits of other connections to SQLite; for the hub's thread."""

    def __init__(self) -> None:
        self._version: int | None = None
        self._last_signal = 0

    @property
    def poll_every(self) -> float:
        return POLL_EVERY if connection.vendor == "sqlite" else RECONNECT_EVERY

    def skip(self) -> None:
        """Ignore everything committed so far."""
        newest = TypingSignal.objects.order_by("-pk").values_list("pk", flat=True)
        self._last_signal = newest.first() or 0
        self.have_written()

    def have_written(self) -> bool:
        """Return whether anything was committed since the last call."""
        if connection.vendor != "sqlite":
            return False
        with connection.cursor() as cursor:
            cursor.execute("PRAGMA data_version")
            version = cursor.fetchone()[0]
        changed, self._version = version != self._version, version
        return changed

    def typing(self) -> list[tuple[UUID, UUID]]:
        """Return the new typing signals of other processes: conversation and user."""
        if connection.vendor != "sqlite":
            return []
        signals = _SIGNALS.rows(last=self._last_signal)
        if signals:
            self._last_signal = signals[-1]["id"]
        return [
            (signal["conversation_id"], signal["user_id"])
            for signal in signals
            if signal["process_id"] != PROCESS_ID
        ]


# Runs at each turn of the hub that reads the log.
_SIGNALS = Prepared(
    lambda: (
        TypingSignal.objects.filter(pk__gt=Param("last", BigIntegerField()))
        .values()
        .order_by("pk")
    )
)


def _own_session() -> psycopg.Connection:
    """Return a dedicated session, not through a pooler, which would share it."""
    direct = settings.DATABASE_DIRECT_URL
    if not direct:
        return connection.new_session()
    return psycopg.connect(direct, connect_timeout=CONNECT_TIMEOUT, autocommit=True)


class NotificationListener:
    """Waits for PostgreSQL's notifications, with its own connection and thread."""

    def __init__(self, hub: "Hub"):
        self._hub = hub
        self._stopped = threading.Event()

    def start(self) -> None:
        if connection.vendor == "postgresql":
            threading.Thread(target=self._run, name="listener", daemon=True).start()

    def stop(self) -> None:
        self._stopped.set()

    def _run(self) -> None:
        """Listen until stopped; reconnect if the connection is lost."""
        while not self._stopped.is_set():
            try:
                self._listen()
            except (psycopg.Error, DatabaseError, ValueError, IndexError) as error:
                logger.warning("Listening for events failed, retrying: %s", error)
                self._stopped.wait(RECONNECT_EVERY)

    def _listen(self) -> None:
        with _own_session() as listening:
            for channel in (WAKE_CHANNEL, TYPING_CHANNEL):
                listening.execute(f"LISTEN {channel}")
            self._hub.notify_new_events()  # for events committed before LISTEN
            while not self._stopped.is_set():
                for notice in listening.notifies(timeout=RECONNECT_EVERY):
                    self._hear(notice)

    def _hear(self, notice: psycopg.Notify) -> None:
        writer, *words = notice.payload.split()
        if writer == PROCESS_ID:
            return  # this process was notified directly
        if notice.channel == TYPING_CHANNEL:
            self._hub.notify_typing(UUID(words[0]), UUID(words[1]))
        else:
            self._hub.notify_new_events()
