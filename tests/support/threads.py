"""Work in other threads, each with a database connection of its own."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager

from django.db import connections, transaction

PATIENCE = 10  # seconds until a test that waits has failed


def in_thread(call: Callable, *args) -> Future:
    """Run ``call`` in a thread with a database connection of its own."""

    def run():
        try:
            return call(*args)
        finally:
            connections.close_all()

    pool = ThreadPoolExecutor(1)
    future = pool.submit(run)
    pool.shutdown(wait=False)
    return future


def at_once(*calls: Callable) -> list:
    """Run the calls in threads that start together; return their results."""
    barrier = threading.Barrier(len(calls))

    def run(call: Callable):
        barrier.wait(timeout=60)
        return call()

    return [future.result() for future in [in_thread(run, call) for call in calls]]


@contextmanager
def open_transaction(work: Callable) -> Iterator[None]:
    """Do some work in a transaction that is committed at the end of the block."""
    done, may_commit = threading.Event(), threading.Event()

    def hold() -> None:
        with transaction.atomic():
            work()
            done.set()
            assert may_commit.wait(PATIENCE)

    holding = in_thread(hold)
    try:
        assert done.wait(PATIENCE)
        yield
    finally:
        may_commit.set()
        holding.result(PATIENCE)
