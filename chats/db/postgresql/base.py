"""Django's PostgreSQL backend, with faster times and detection of dead connections.

Django loads times in Python, only to replace the connection's time zone by UTC; that is
half the cost of reading a page of messages. The connection's time zone is UTC already,
so this backend uses psycopg's compiled loader.
"""

import select
import time
from datetime import UTC, tzinfo

import psycopg
from django.db.backends.postgresql import base
from psycopg.adapt import AdaptersMap
from psycopg.postgres import types
from psycopg.pq import Format
from psycopg.types.datetime import TimestamptzLoader

IDLE_UNCHECKED = 5.0  # seconds of idleness after which a connection is tested first

compiled = psycopg.adapters.get_loader(types["timestamptz"].oid, Format.TEXT)


class UtcLoader(TimestamptzLoader):
    """Creates instances of the compiled loader, which cannot be subclassed."""

    timezone: tzinfo = UTC  # Django compares it with the connection's time zone

    def __new__(cls, oid: int, context: object = None):
        return compiled(oid, context)


class DatabaseWrapper(base.DatabaseWrapper):
    """A connection to PostgreSQL whose times are in UTC.

    ``kept_cursor`` is a cursor of the driver, for statements whose results are read at
    once. Creating a cursor for each statement costs a tenth of a small one's time.
    """

    def get_connection_params(self) -> dict:
        params = super().get_connection_params()
        adapters = AdaptersMap(params["context"])
        adapters.register_loader("timestamptz", UtcLoader)
        return params | {"context": adapters}

    def get_new_connection(self, params: dict) -> psycopg.Connection:
        connection = super().get_new_connection(params)
        self.kept_cursor = connection.cursor()
        self._used_at = time.monotonic()
        self._socket = select.poll()
        self._socket.register(connection.fileno(), select.POLLIN)
        return connection

    def close_if_unusable_or_obsolete(self) -> None:
        """Close the connection too if it has died since it was last used.

        Django calls this before and after each request, ``close_old_connections``
        calls it elsewhere; the next statement then reconnects. A server that restarted
        or ended the connection has sent something to the socket; checking the socket
        takes a microsecond. A firewall drops connections silently, so a connection
        that was idle for a while is tested with a statement.
        """
        super().close_if_unusable_or_obsolete()
        if self.connection is None or self.in_atomic_block:
            return
        now = time.monotonic()
        # Unrequested data from the server usually means that it ends the connection.
        is_doubtful = now - self._used_at > IDLE_UNCHECKED or self._socket.poll(0)
        self._used_at = now
        if is_doubtful and not self.is_usable():
            self.close()

    def new_session(self) -> psycopg.Connection:
        """Open another connection, of the driver alone and in autocommit mode."""
        params = super().get_connection_params()
        for name in ("cursor_factory", "context"):
            params.pop(name, None)
        return psycopg.connect(**params, autocommit=True)
