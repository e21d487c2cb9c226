"""Transactions that fail instead of waiting long for a lock or running for long."""

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
    """A statement reached its time limit and was cancelled."""


@contextmanager
def brief_transaction() -> Iterator[None]:
    """A transaction that waits at most ``LOCK_TIMEOUT`` for a lock.

    Use it for writes that a later call can make just as well. With the usual timeout
    a locked database would delay every call that otherwise only reads. Raises
    OperationalError when the lock is not free in time.
    """
    with sqlite_busy_timeout(LOCK_TIMEOUT), transaction.atomic():
        if connection.vendor != "sqlite":
            _run(f"SET LOCAL lock_timeout = {LOCK_TIMEOUT}")  # until the commit
        yield


@contextmanager
def sqlite_busy_timeout(milliseconds: int) -> Iterator[None]:
    """Wait at most this long for SQLite's write lock; no effect on PostgreSQL.

    Enter it before the transaction begins.
    """
    connection.ensure_connection()
    if connection.vendor != "sqlite":
        yield
        return
    [usual] = _run("PRAGMA busy_timeout").fetchone()
    _run(f"PRAGMA busy_timeout = {min(usual, milliseconds)}")
    try:
        yield
    finally:
        _run(f"PRAGMA busy_timeout = {usual}")


def _run(sql: str) -> Any:
    """Run a connection setting without Django's cursor, so it is not logged as a query.

    Needs an open connection.
    """
    with connection.wrap_database_errors:
        return connection.connection.execute(sql)


@contextmanager
def time_limit(milliseconds: int) -> Iterator[None]:
    """Cancel read statements that take longer than this, and raise OutOfTime.

    On SQLite the limit is for all statements in the block together, on PostgreSQL for
    each one. Statements after the block have no limit. For reading only: inside an
    outer transaction, everything done in the block is rolled back.
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
    """Set PostgreSQL's limit for one transaction.

    In an outer transaction only a rollback to a savepoint removes the limit again.
    Otherwise the transaction is committed: a rollback would make psycopg forget its
    prepared statements, and later calls would have to prepare them again.
    """
    was_in_transaction = connection.in_atomic_block
    with transaction.atomic():
        _run(f"SET LOCAL statement_timeout = {milliseconds}")
        yield
        transaction.set_rollback(was_in_transaction)


@contextmanager
def _interrupted(milliseconds: int) -> Iterator[None]:
    """Interrupt SQLite from another thread.

    A progress handler would have to wait for the interpreter every few rows, and would
    not be called during a single row, which may take long.
    """
    raw, over, lock = connection.connection, threading.Event(), threading.Lock()

    def watch() -> None:
        over.wait(milliseconds / 1000)
        while not over.wait(REPEAT):  # repeated: it has no effect between statements
            with lock:
                if not over.is_set():
                    raw.interrupt()

    threading.Thread(target=watch, name="time limit", daemon=True).start()
    try:
        yield
    finally:
        with lock:  # so that no later statement is interrupted
            over.set()
