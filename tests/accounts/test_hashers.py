"""Password hashing: stored as Django does, in a thread that steps back."""

import os
import sys
import threading

import pytest
from django.contrib.auth.hashers import Argon2PasswordHasher, check_password

from chats.services import hashers
from chats.services.hashers import NICENESS, LowPriorityArgon2Hasher


@pytest.fixture
def _argon2(settings):
    settings.PASSWORD_HASHERS = ["chats.services.hashers.LowPriorityArgon2Hasher"]


@pytest.mark.usefixtures("_argon2")
def test_hash_opens_to_its_password_only():
    hasher = LowPriorityArgon2Hasher()
    encoded = hasher.encode("correct horse", hasher.salt())

    assert encoded.startswith("argon2$argon2id$")
    assert hasher.decode(encoded)["parallelism"] == 1
    assert check_password("correct horse", encoded)
    assert not check_password("correct house", encoded)


@pytest.mark.usefixtures("_argon2")
def test_hash_of_djangos_own_still_opens():
    own = Argon2PasswordHasher()

    assert check_password("correct horse", own.encode("correct horse", own.salt()))


@pytest.mark.skipif(sys.platform != "linux", reason="a process has one priority")
def test_hashing_steps_back_and_nobody_else_does():
    def niceness() -> int:
        return os.getpriority(os.PRIO_PROCESS, threading.get_native_id())

    before = niceness()

    assert hashers._thread.submit(niceness).result() == min(before + NICENESS, 19)
    assert niceness() == before
