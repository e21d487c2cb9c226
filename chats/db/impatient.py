"""Transactions that would rather fail than wait, or than take long."""

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.db import OperationalError, connection, transaction

LOCK_TIMEOUT = 100  # milliseconds
QUERY_CANCELED = "57014"
REPEAT = 0.01  # seconds between interruptions


class OutOfTime(Exception):
    """A statement was ended by its limit of time."""


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


@contextmanager
def time_limit(milliseconds: int) -> Iterator[None]:
    """End statements that read when they have taken this long; raises OutOfTime.

    On SQLite all of them together, on PostgreSQL each by itself. What runs within is
    undone, if it is in a transaction: nothing later has that limit.
    """
    connection.ensure_connection()
    is_sqlite = connection.vendor == "sqlite"
    try:
        with (_interrupted if is_sqlite else _canceled)(milliseconds):
            yield
    except OperationalError as error:
        if not _is_out_of_time(error.__cause__):
            raise
        raise OutOfTime from error


def _is_out_of_time(cause: BaseException | None) -> bool:
    if isinstance(cause, sqlite3.Error):
        return cause.sqlite_errorcode == sqlite3.SQLITE_INTERRUPT
    return getattr(cause, "sqlstate", "") == QUERY_CANCELED


@contextmanager
def _canceled(milliseconds: int) -> Iterator[None]:
    """Unlike a commit, a rollback has psycopg forget what it has prepared, which costs
    the calls that follow: so there is one only within another transaction."""
    was_in_transaction = connection.in_atomic_block
    with transaction.atomic():
        tell(f"SET LOCAL statement_timeout = {milliseconds}")
        yield
        transaction.set_rollback(was_in_transaction)


@contextmanager
def _interrupted(milliseconds: int) -> Iterator[None]:
    """By another thread. A progress handler would need the interpreter, and wait for
    it, every few rows; and one row may take long."""
    raw, over, lock = connection.connection, threading.Event(), threading.Lock()

    def watch() -> None:
        over.wait(milliseconds / 1000)
        while not over.wait(REPEAT):  # it may just have been between two statements
            with lock:
                if not over.is_set():
                    raw.interrupt()

    threading.Thread(target=watch, name="time limit", daemon=True).start()
    try:
        yield
    finally:
        with lock:  # nothing later is interrupted
            over.set()
