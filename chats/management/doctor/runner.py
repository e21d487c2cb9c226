"""Running the invariants over the whole database, a range of ids at a time."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import connection, models

from chats.management.doctor.invariants import (
    CONVERSATIONS,
    EVENTS,
    SPANS,
    Check,
    Scope,
)
from chats.management.doctor.people import LOG, PEOPLE
from chats.management.doctor.snapshots import snapshot
from chats.models import Event, EventLog

CHECKS = (*CONVERSATIONS, *EVENTS, *SPANS, *PEOPLE, *LOG)
FIRST_ID, LAST_ID = UUID(int=0), UUID(int=2**128 - 1)
# Clocks of nodes may differ: the time of the log's beginning, once it is pruned, is
# uncertain by at most this.
CLOCKS_APART = timedelta(minutes=5)

Report = Callable[[Check, str], None]


def size_of(scope: Scope) -> int:
    """Return the number of rows to check."""
    table, _ = scope.value
    return _one(f"SELECT COUNT(*) FROM {table}") if table else 1


def examine(scope: Scope, batch: int, report: Report) -> Iterator[int]:
    """Run the scope's checks over ranges of ``batch`` rows; yield the rows of each.

    All checks of a range read one snapshot, so a concurrent change is seen by all of
    them or by none, and causes no false alarm. The ranges cover all possible ids, also
    those of missing rows.
    """
    checks = [check for check in CHECKS if check.scope is scope]
    low = FIRST_ID
    while low != LAST_ID:
        with snapshot():
            high, rows = _range(scope, low, batch)
            facts = facts_of(low, high)
            for check in checks:
                for finding in find(check, facts):
                    report(check, finding)
        low = high
        yield rows


def find(check: Check, facts: dict[str, Any]) -> Iterator[str]:
    sql = check.sql if isinstance(check.sql, str) else check.sql[connection.vendor]
    with connection.cursor() as cursor:
        cursor.execute(sql, facts)
        for row in cursor:
            yield check.finding.format(*map(_shown, row))


def facts_of(low: UUID, high: UUID) -> dict[str, Any]:
    """Return the facts of a range and of the log: see ``invariants``."""
    pruned = EventLog.pruned_through()
    in_order = Event.objects.order_by("event_id")
    since = in_order.values_list("created_at", flat=True).first()
    if since is None:
        since = datetime(9999 if pruned else 1, 1, 2, tzinfo=UTC)
    elif pruned:
        since += CLOCKS_APART
    field = models.DateTimeField()
    return {
        "low": _stored(low),
        "high": _stored(high),
        "pruned": pruned,
        "newest": Event.objects.last_id(),
        "since": field.get_db_prep_value(since, connection),
    }


def _range(scope: Scope, low: UUID, batch: int) -> tuple[UUID, int]:
    """Return the end of the range that begins after ``low``, and its size."""
    table, key = scope.value
    if not table:
        return LAST_ID, 1
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT {key} FROM {table} WHERE {key} > %s ORDER BY {key} LIMIT %s",
            [_stored(low), batch],
        )
        ids = cursor.fetchall()
    return (_shown(ids[-1][0]) if len(ids) == batch else LAST_ID), len(ids)


def _stored(value: UUID) -> Any:
    return models.UUIDField().get_db_prep_value(value, connection)


def _shown(value: Any) -> Any:
    """Return an id as a UUID, which SQLite stores as 32 digits."""
    is_id = isinstance(value, str) and len(value) == 32
    return UUID(value) if is_id else value


def _one(sql: str) -> Any:
    with connection.cursor() as cursor:
        cursor.execute(sql)
        return cursor.fetchone()[0]
