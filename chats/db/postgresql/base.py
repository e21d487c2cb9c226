"""Django's PostgreSQL backend: quicker with times, and it notices a dead connection.

Django's loader of times only puts UTC in place of the connection's time zone, in
Python: half of what reading a page of messages costs. Here psycopg's own, compiled one
is used: the connection's zone is UTC already.
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

IDLE_UNCHECKED = 5.0  # seconds without use, after which a connection is tried first

compiled = psycopg.adapters.get_loader(types["timestamptz"].oid, Format.TEXT)


class UtcLoader(TimestamptzLoader):
    """Stands for the compiled loader, which cannot be derived from."""

    timezone: tzinfo = UTC  # what Django compares with the connection's

    def __new__(cls, oid: int, context: object = None):
        return compiled(oid, context)


class DatabaseWrapper(base.DatabaseWrapper):
    """A connection to PostgreSQL whose times are in UTC.

    ``kept_cursor`` is the driver's, for statements whose results are read at once: to
    make one for each costs a tenth of a small statement.
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

        Django calls this before and after each request, and
        ``close_old_connections`` does elsewhere; the next statement then connects. A
        server that restarted, or was told to end the connection, has said so on the
        socket, which costs a microsecond to look at. A firewall says nothing: so a
        connection that was not used for a while is tried by a statement.
        """
        super().close_if_unusable_or_obsolete()
        if self.connection is None or self.in_atomic_block:
            return
        now = time.monotonic()
        # What the server sends unasked is, as a rule, that it ends.
        is_doubtful = now - self._used_at > IDLE_UNCHECKED or self._socket.poll(0)
        self._used_at = now
        if is_doubtful and not self.is_usable():
            self.close()

    def new_session(self) -> psycopg.Connection:
        """Connect once more, by the driver alone and in its own autocommit."""
        params = super().get_connection_params()
        for name in ("cursor_factory", "context"):
            params.pop(name, None)
        return psycopg.connect(**params, autocommit=True)
