"""Long work in short transactions, with pauses for others between them."""

from collections.abc import Callable, Iterator
from time import perf_counter, sleep

SHARE = 3  # the pause after a transaction, as a multiple of its duration
LONGEST = 1.0  # seconds


def in_turns(step: Callable[[], int]) -> Iterator[int]:
    """Repeat a short transaction until it does nothing; yield what each one did."""
    while True:
        began = perf_counter()
        if not (done := step()):
            return
        pause_after(began)
        yield done


def pause_after(began: float) -> None:
    """Leave the database to others for a while, after work that began at a time.

    SQLite's writers do not queue: one that begins again at once keeps out the others,
    which try only every few milliseconds.
    """
    sleep(min(SHARE * (perf_counter() - began), LONGEST))
