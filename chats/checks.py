"""System checks of the configuration, numbered, each with a hint.

How many processes serve is known where uvicorn is told by WEB_CONCURRENCY.
"""

import os
import sqlite3

from django.conf import settings
from django.core import checks
from django.core.checks import CheckMessage, Tags, register
from django.db import connections

# Before it, two processes that write in WAL mode can corrupt the file
# (https://sqlite.org/wal.html, "The WAL-Reset Bug").
SQLITE_SAFE_FROM = (3, 51, 3)


@register()
def check_shared_cache(app_configs, **kwargs) -> list[CheckMessage]:
    """W001: several processes without a shared cache count throttles apart."""
    if processes() < 2 or settings.REDIS_URL:
        return []
    return [
        checks.Warning(
            "Several processes serve without a shared cache: each counts throttles "
            "for itself, so callers get a multiple of the rates.",
            hint="Set REDIS_URL, or divide the THROTTLE_ rates.",
            id="chats.W001",
        )
    ]


@register()
def check_sqlite_version(app_configs, **kwargs) -> list[CheckMessage]:
    """W002: an SQLite with the WAL bug, written by several processes."""
    if processes() < 2 or not settings.USES_SQLITE:
        return []
    if sqlite3.sqlite_version_info >= SQLITE_SAFE_FROM:
        return []
    return [
        checks.Warning(
            f"SQLite {sqlite3.sqlite_version} can corrupt the database when several "
            "processes write.",
            hint="Run one process, use PostgreSQL, or use SQLite 3.51.3 or later.",
            id="chats.W002",
        )
    ]


@register(Tags.database)
def check_durability(app_configs, databases=None, **kwargs) -> list[CheckMessage]:
    """W003: PostgreSQL that acknowledges commits before they are on disk."""
    found = []
    for alias in databases or ():
        if connections[alias].vendor != "postgresql":
            continue
        with connections[alias].cursor() as cursor:
            for name in ("fsync", "synchronous_commit"):
                cursor.execute("SELECT current_setting(%s)", [name])
                if cursor.fetchone()[0] == "off":
                    found.append(_not_durable(name))
    return found


def _not_durable(name: str) -> CheckMessage:
    return checks.Warning(
        f"PostgreSQL has {name} off: messages that were acknowledged can be lost when "
        "the machine fails.",
        hint=f"Set {name} = on in postgresql.conf.",
        id="chats.W003",
    )


def processes() -> int:
    """Return how many processes serve, as far as the environment says."""
    value = os.environ.get("WEB_CONCURRENCY", "1")
    return int(value) if value.isdecimal() else 1
