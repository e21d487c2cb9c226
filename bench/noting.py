"""A password hasher that notes, in a file, each password that a server looks at."""

import os

from django.contrib.auth.hashers import Argon2PasswordHasher

FILE = "BENCH_EVALUATED"  # the environment variable that names the file


class NotingHasher(Argon2PasswordHasher):
    """Argon2, at its usual cost; one line of the file for each evaluation."""

    def encode(self, password: str, salt: str) -> str:
        note(password)
        return super().encode(password, salt)

    def verify(self, password: str, encoded: str) -> bool:
        note(password)
        return super().verify(password, encoded)


def note(password: str) -> None:
    """Append the password in one write: several processes share the file."""
    file = os.open(os.environ[FILE], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        os.write(file, f"{password}\n".encode())
    finally:
        os.close(file)
