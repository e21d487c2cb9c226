"""Long reads that block nobody."""

from collections.abc import Iterator
from contextlib import contextmanager

from django.db import DEFAULT_DB_ALIAS, connections, transaction

MAPPED = 2**31  # bytes of the file, at most


@contextmanager
def snapshot(using: str = DEFAULT_DB_ALIAS) -> Iterator[None]:
    """Make all reads in the block see one state of the database.

    It does not block writers, nor they it. Keep it short: until it ends, the database
    keeps the old versions of changed rows. In a transaction, it is that transaction.
    """
    if connections[using].in_atomic_block:
        yield
    elif connections[using].vendor == "sqlite":
        yield from _on_sqlite(using)
    else:
        with transaction.atomic(using), connections[using].cursor() as cursor:
            cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
            yield


def _on_sqlite(using: str) -> Iterator[None]:
    """Begin without the write lock, which ``atomic`` takes with our settings.

    Meanwhile the file is mapped into memory: random reads need no system call for each
    page, and take half the time.
    """
    with connections[using].cursor() as cursor:
        cursor.execute(f"PRAGMA mmap_size = {MAPPED}")
        cursor.execute("BEGIN DEFERRED")
        try:
            yield
        finally:
            cursor.execute("ROLLBACK")
            cursor.execute("PRAGMA mmap_size = 0")
