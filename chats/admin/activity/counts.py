"""The number of messages sent in each hour.

A past hour is counted once and stored in a table; the current hour is counted each
time. A request counts the newest hours first, for a limited time, and leaves the rest
to the next request.
"""

from collections import Counter
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from time import perf_counter
from typing import NamedTuple

from django.db import OperationalError
from django.db.models import QuerySet
from django.utils import timezone

from chats.db.impatient import brief_transaction
from chats.models import HourlyCount, Message
from chats.models.participants import hour_of, this_hour

PATIENCE = 0.2  # seconds that a request may count
# After this, all messages of an hour are committed: a send waits at most 5 seconds.
SETTLED = timedelta(minutes=1)
NEWEST = 10_000  # messages of one conversation or person


class Counts(NamedTuple):
    """Message counts by hour, up to ``present``, and complete from ``since`` on."""

    by_hour: Counter[int]
    since: int
    present: int


def count_all(hours: int) -> Counts:
    """Count all messages of the last hours, including the current one."""
    now = timezone.now()
    present, settled = hour_of(now), hour_of(now - SETTLED)
    since = present - hours + 1
    kept = HourlyCount.objects.filter(hour__gte=since)
    by_hour = Counter(dict(kept.values_list("hour", "messages")))
    new, end = [], perf_counter() + PATIENCE
    for hour in range(present, max(since, _first_hour()) - 1, -1):
        if hour in by_hour:
            continue
        if new and perf_counter() > end:
            since = hour + 1
            break
        by_hour[hour] = _count(hour)
        if hour < settled:
            new.append(HourlyCount(hour=hour, messages=by_hour[hour]))
    if new:
        # If the database is busy, the next request stores them.
        with suppress(OperationalError), brief_transaction():
            HourlyCount.objects.bulk_create(new, ignore_conflicts=True)
    return Counts(by_hour, since, present)


def _first_hour() -> int:
    times = Message.objects.order_by("sent_at").values_list("sent_at", flat=True)
    return hour_of(times.first() or timezone.now())


def _count(hour: int) -> int:
    sent = Message.objects.filter(sent_at__gte=start_of(hour))
    return sent.filter(sent_at__lt=start_of(hour + 1)).count()


def count_newest(messages: QuerySet, hours: int) -> Counts:
    """Count the newest of ``messages``, of a conversation or a user, by hour."""
    present = this_hour()
    since = present - hours + 1
    newest = messages.filter(sent_at__gte=start_of(since)).order_by("-sent_at")
    times = list(newest.values_list("sent_at", flat=True)[:NEWEST])
    if len(times) == NEWEST:
        since = hour_of(times[-1]) + 1
    return Counts(Counter(map(hour_of, times)), since, present)


def start_of(hour: int) -> datetime:
    return datetime.fromtimestamp(hour * 3600, UTC)
