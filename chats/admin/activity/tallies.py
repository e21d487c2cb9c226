"""How many messages were sent in each hour and day: counted once, then remembered."""

from datetime import datetime, timedelta
from typing import NamedTuple

from django.core.cache import cache

from chats.models import Message
from chats.web.throttles import ask_cache

KEY = "admin:tallies"
REMEMBERED = timedelta(days=31)
# Past this, all that is sent has been committed: a send waits 5 seconds at most.
SETTLED = timedelta(minutes=1)
BUDGET = 20_000  # rows of an index that one page counts: a few ms

Span = tuple[datetime, datetime]


class Tally(NamedTuple):
    """What was sent in a span, as far as ``until``, up to which it is counted."""

    count: int
    until: datetime


class Tallies:
    """Counts for spans of time, of which no page pays for more than ``BUDGET`` rows.

    A span is counted from its beginning; a page that has spent its budget leaves the
    rest to the next one. What is counted is in the cache: the past is not counted
    again, and of the present only what is new. Two pages at once may each count the
    same, and one's result be lost, which costs another count. Without a cache each
    page counts what it can.
    """

    def __init__(self, now: datetime, budget: int = BUDGET):
        self._now, self._left = now, budget
        stored = ask_cache(lambda: cache.get(KEY)) or {}
        self._known = {span: Tally(*tally) for span, tally in stored.items()}

    def count(self, span: Span) -> Tally:
        """Return what was sent in the span; its ``until`` is the end if that is all."""
        known = self._known.get(span) or Tally(0, span[0])
        if known.until >= span[1]:
            return known
        settled = min(span[1], self._now - SETTLED)
        self._known[span] = known = self._advance(known, settled)
        return known if known.until < settled else self._advance(known, span[1])

    def remember(self) -> None:
        """Keep what has been counted for the pages to come."""
        since = self._now - REMEMBERED
        tallies = self._known.items()
        # As plain tuples, which another release can read, too.
        kept = {span: tuple(tally) for span, tally in tallies if span[0] >= since}
        ask_cache(lambda: cache.set(KEY, kept, REMEMBERED.total_seconds()))

    def _advance(self, known: Tally, end: datetime) -> Tally:
        """Count on to ``end``, or as far as the budget goes."""
        if known.until >= end or self._left <= 0:
            return known
        rows = Message.objects.filter(sent_at__gte=known.until).order_by("sent_at")
        within = rows.filter(sent_at__lt=end)
        found = within.order_by().values("pk")[: self._left + 1].count()
        if found > self._left:
            end = within.values_list("sent_at", flat=True)[self._left]
            found = rows.filter(sent_at__lt=end).count()
        self._left -= found
        return Tally(known.count + found, end)
