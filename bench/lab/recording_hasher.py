"""A password hasher that records, in a file, each password that a server checks."""

import os

from django.contrib.auth.hashers import Argon2PasswordHasher

FILE = "BENCH_EVALUATED"  # the environment variable that names the file


class RecordingHasher(Argon2PasswordHasher):
    """Argon2 with its usual cost; each evaluation adds a line to the file."""

    def encode(self, password: str, salt: str) -> str:
        record(password)
        return super().encode(password, salt)

    def verify(self, password: str, encoded: str) -> bool:
        record(password)
        return super().verify(password, encoded)


def record(password: str) -> None:
    """Append the password in one write, because several processes share the file."""
    file = os.open(os.environ[FILE], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        os.write(file, f"{password}\n".encode())
    finally:
        os.close(file)
