"""Transactions that would rather fail than wait."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.db import connection, transaction

LOCK_TIMEOUT = 100  # milliseconds


@contextmanager
def brief_transaction() -> Iterator[None]:
    """A transaction that queues for a lock for 0.1 s, not for seconds.

    For what a later call can do as well: else a locked database would hold up, twice
    over, every call that only reads. Raises OperationalError.
    """
    connection.ensure_connection()
    if connection.vendor == "sqlite":
        with _sqlite_in_haste(), transaction.atomic():
            yield
        return
    with transaction.atomic():
        tell(f"SET LOCAL lock_timeout = {LOCK_TIMEOUT}")  # until the commit
        yield


@contextmanager
def _sqlite_in_haste() -> Iterator[None]:
    [usual] = tell("PRAGMA busy_timeout").fetchone()
    tell(f"PRAGMA busy_timeout = {min(usual, LOCK_TIMEOUT)}")
    try:
        yield
    finally:
        tell(f"PRAGMA busy_timeout = {usual}")


def tell(sql: str) -> Any:
    """Tell the connection something, past Django's cursor: it is no query."""
    with connection.wrap_database_errors:
        return connection.connection.execute(sql)
