"""System checks of the settings, numbered, each with a hint.

The number of processes is known if uvicorn gets it from WEB_CONCURRENCY.
"""

import os
import sqlite3
from contextlib import suppress

from django.conf import settings
from django.core import checks
from django.core.checks import CheckMessage, Tags, register
from django.db import Error, connection, connections
from django.db.migrations.recorder import MigrationRecorder

from chats.models.search_index import has_index

# Before it, two connections that write in WAL mode can corrupt the file, be they of
# one process or of two
# (https://sqlite.org/wal.html, "The WAL-Reset Bug").
SQLITE_SAFE_FROM = (3, 51, 3)


@register()
def check_shared_cache(app_configs, **kwargs) -> list[CheckMessage]:
    """W001: several processes without a shared cache count throttles separately."""
    if processes() < 2 or settings.REDIS_URL:
        return []
    return [
        checks.Warning(
            "Several processes run without a shared cache: each counts throttles "
            "separately, so callers get a multiple of the rates.",
            hint="Set REDIS_URL, or divide the THROTTLE_ rates.",
            id="chats.W001",
        )
    ]


@register()
def check_sqlite_version(app_configs, **kwargs) -> list[CheckMessage]:
    """W002: an SQLite with the WAL bug, written over several connections."""
    if not settings.USES_SQLITE or (processes() < 2 and settings.WEB_THREADS < 2):
        return []
    if sqlite3.sqlite_version_info >= SQLITE_SAFE_FROM:
        return []
    return [
        checks.Warning(
            f"SQLite {sqlite3.sqlite_version} can corrupt the database when several "
            "processes or threads write.",
            hint="Run one process with WEB_THREADS=1, use PostgreSQL, or use SQLite "
            "3.51.3 or later.",
            id="chats.W002",
        )
    ]


# What each setting of PostgreSQL protects when the machine fails.
DURABILITY = {
    "fsync": "acknowledged messages can be lost and the database corrupted",
    "full_page_writes": "a half-written page can corrupt the database",
    "synchronous_commit": "acknowledged messages can be lost",
}


@register(Tags.database)
def check_durability(app_configs, databases=None, **kwargs) -> list[CheckMessage]:
    """W003: PostgreSQL may lose acknowledged writes in a crash.

    A database that does not answer is not reported: readyz does that.
    """
    found = []
    for alias in databases or ():
        if connections[alias].vendor == "postgresql":
            with suppress(Error):
                found += [_not_durable(name) for name in _switched_off(alias)]
    return found


def _switched_off(alias: str) -> list[str]:
    with connections[alias].cursor() as cursor:
        cursor.execute(
            "SELECT name FROM pg_settings WHERE name = ANY(%s) AND setting = 'off'"
            " ORDER BY name",
            [list(DURABILITY)],
        )
        return [name for (name,) in cursor.fetchall()]


def _not_durable(name: str) -> CheckMessage:
    return checks.Warning(
        f"PostgreSQL has {name} off: {DURABILITY[name]} if the machine fails.",
        hint=f"Set {name} = on in postgresql.conf.",
        id="chats.W003",
    )


@register(Tags.database)
def check_search_index(app_configs, databases=None, **kwargs) -> list[CheckMessage]:
    """W005: ``migrate`` could not create the indexes for searches."""
    if not databases or connection.vendor != "postgresql":
        return []
    missing = []
    with suppress(Error):
        if _is_applied("0012_search_index"):
            names = ("message_search", "user_search")
            missing = [name for name in names if not has_index.__wrapped__(name)]
    return [
        checks.Warning(
            f"The index {name} is missing or incomplete: searches for rare words are "
            "slow.",
            hint="docs/search.md explains how to create it.",
            id="chats.W005",
        )
        for name in missing
    ]


def _is_applied(name: str) -> bool:
    return ("chats", name) in MigrationRecorder(connection).applied_migrations()


def processes() -> int:
    """Return the number of processes, as far as the environment has it."""
    value = os.environ.get("WEB_CONCURRENCY", "1")
    return int(value) if value.isdecimal() else 1
