"""Django's SQLite backend, whose new files only their owner can read."""

import os
import sqlite3
from contextlib import suppress

from django.db.backends.sqlite3 import base


class DatabaseWrapper(base.DatabaseWrapper):
    """A connection to SQLite; a file that is not there yet is created with mode 0600.

    SQLite itself would make it readable to whoever the umask lets. Its ``-wal`` and
    ``-shm`` get the mode of the file. One that exists keeps its mode (chats.W010).
    """

    def get_new_connection(self, conn_params: dict) -> sqlite3.Connection:
        path = str(conn_params["database"])
        if path and not path.startswith((":memory:", "file:")):
            with suppress(OSError):  # SQLite says what is wrong, as Django expects it
                os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
        return super().get_new_connection(conn_params)
