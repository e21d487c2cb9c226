"""Hashing of passwords, which takes a processor for long, behind everything else."""

import os
import sys
from concurrent.futures import ThreadPoolExecutor

from django.contrib.auth.hashers import Argon2PasswordHasher

NICENESS = 10  # a tenth of the time that others get, if they want all of it


def _step_back() -> None:
    """Give this thread, and those it starts, what processor time nobody else wants."""
    if sys.platform == "linux":  # where each thread has a priority of its own
        os.nice(NICENESS)


# One a process: another hash at once would only take longer, and 100 MiB more.
_thread = ThreadPoolExecutor(1, "hashing", initializer=_step_back)


class LowPriorityArgon2Hasher(Argon2PasswordHasher):
    """Django's Argon2, on one lane, in a thread that steps back for all others.

    Argon2 runs without the interpreter's lock but wants a processor for a tenth of
    a second, and with Django's eight lanes all of them. A thread that has stepped
    back cannot come forward again, so it does nothing but hash: one that also
    served the request would hold up others while it held a lock.
    """

    parallelism = 1

    def encode(self, password: str, salt: str) -> str:
        return _thread.submit(super().encode, password, salt).result()

    def verify(self, password: str, encoded: str) -> bool:
        return _thread.submit(super().verify, password, encoded).result()
