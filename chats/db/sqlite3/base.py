"""Django's SQLite backend, which creates files that only their owner can read."""

import os
import sqlite3
from contextlib import suppress

from django.db.backends.sqlite3 import base


class DatabaseWrapper(base.DatabaseWrapper):
    """A connection to SQLite, which creates a missing file with mode 0600.

    SQLite itself would make the file as readable as the umask allows. The ``-wal`` and
    ``-shm`` files get the mode of the database. An existing file keeps its mode
    (chats.W010).
    """

    def get_new_connection(self, conn_params: dict) -> sqlite3.Connection:
        path = str(conn_params["database"])
        if path and not path.startswith((":memory:", "file:")):
            with suppress(OSError):  # SQLite then raises the error Django expects
                os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
        return super().get_new_connection(conn_params)
