"""Password hashing, which needs a processor for long, at a low priority."""

import os
import sys
from concurrent.futures import ThreadPoolExecutor

from django.contrib.auth.hashers import Argon2PasswordHasher

NICENESS = 10  # a tenth of the processor time of others, if they need all of it


def _step_back() -> None:
    """Give this thread, and those it starts, the lowest priority of the process."""
    if sys.platform == "linux":  # the only system where threads have priorities
        os.nice(NICENESS)


# One a process: two hashes at once would each take longer, and 100 MiB more.
_thread = ThreadPoolExecutor(1, "hashing", initializer=_step_back)


class LowPriorityArgon2Hasher(Argon2PasswordHasher):
    """Django's Argon2, with one lane, in a thread of low priority.

    Argon2 releases the interpreter's lock but needs a processor for a tenth of a
    second, and with Django's eight lanes all of them. A thread cannot raise its
    priority again, so this one does nothing but hash. One that also served requests
    would delay others while it held a lock.
    """

    parallelism = 1

    def encode(self, password: str, salt: str) -> str:
        return _thread.submit(super().encode, password, salt).result()

    def verify(self, password: str, encoded: str) -> bool:
        return _thread.submit(super().verify, password, encoded).result()
