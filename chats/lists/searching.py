"""How far one page of a search looks, so that its cost has a bound.

An index, if the database has one, finds what is rare. Otherwise a search scans the rows
of its list in the list's order. The first page ends after a few rows, full or not, and
each later page scans a longer range (docs/search.md). A page that takes too long, which
is one of much text, ends after fewer rows.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any
from uuid import UUID

from django.db import models
from django.db.models import F, IntegerField, QuerySet, Value
from django.db.models.functions import Length

from chats.db.prepared import Keys, Param, Prepared
from chats.models import Conversation, Message, User
from chats.models.search_index import (
    CHAPTERS,
    messages_in,
    messages_with,
    people_with,
    places_of,
)
from chats.serializers.messages import MessageSerializer
from chats.serializers.rows import Row

FIRST, REST = 500, 20_000  # rows that the first page scans, and each later one
INDEXED = 4_000  # messages of one's own; to read fewer is cheaper than an index
CONVERSATIONS = 1_000
PARTICIPANTS = 10_000  # in the conversations of one page
# Milliseconds for all that a page tries; then it scans the least.
PATIENCE = 90
LEAST = 50  # rows, and of their cost:
LEAST_TEXT = 100_000  # characters; no row has more than a tenth of that
LEAST_PARTICIPANTS = 1_000
SECOND = timedelta(seconds=1)
LAST_SECOND = datetime.max.replace(microsecond=0, tzinfo=UTC) - SECOND
NO_COST = Value(0, IntegerField())
FIRST_ID, LAST_ID = UUID(int=0), UUID(int=2**128 - 1)  # nobody's
RowsOf = Callable[[list[UUID]], list[dict[str, Any]]]


def no_index() -> None:
    """Find nothing: there is no index to ask."""


@dataclass(frozen=True)
class ScanLimit:
    """How many of ``rows`` a page scans: first ``first``, on later pages ``rest``.

    With ``first`` = 0 every page scans ``rest``; with ``rest`` = None it scans all. A
    page also ends after rows that cost ``max_cost`` together, if that is given;
    ``cost`` is the expression of what a row costs. Whatever the time, a page can afford
    ``least_cost``.

    ``find`` asks an index: it returns the ids of everything to be found, and perhaps of
    more, or None. ``rows_of`` returns the rows of ids that the reader may see, in no
    order; it costs less, and is for lists without other filters.

    ``own`` are the rows that the reader may see, if ``rows`` are everybody's. The range
    then begins and ends with whole seconds, so that it does not reveal when a row of
    others was sent.
    """

    rows: QuerySet
    first: int
    rest: int | None
    find: Callable[[], list[UUID] | None] = no_index
    rows_of: RowsOf | None = None
    cost: Any = NO_COST
    max_cost: int = 0
    least_cost: int = 0
    own: QuerySet | None = None

    @property
    def is_of_everybody(self) -> bool:
        return self.own is not None

    def narrowed(self, narrow: Callable[[QuerySet], QuerySet]) -> "ScanLimit":
        """Return the same limit for the rows that a filter leaves."""
        own = narrow(self.own) if self.is_of_everybody else None
        return replace(self, rows=narrow(self.rows), own=own)

    def affordable(self, costs: Sequence[int]) -> int:
        """Return how many of the next rows any page can afford: at least one."""
        total = 0
        for count, cost in enumerate(costs[:LEAST]):
            total += cost
            if count and total > self.least_cost:
                return count
        return min(len(costs), LEAST)

    def beginning(self, edge: list | None, *, falling: bool) -> list | None:
        """Return where a page after this edge begins to scan: at it, or before it."""
        if not self.is_of_everybody or not edge or not edge[0].microsecond:
            return edge
        return _without_row(*edge, falling=not falling)

    def end(
        self, names: list[str], rows: QuerySet, size: int, *, falling: bool
    ) -> list | None:
        """Return the values of ``names`` at the last row of a range of ``size`` rows.

        None, if the rows end before. ``rows`` are those of this limit after a page's
        edge, in the page's order.
        """
        found = self._last(names, rows, size)
        if found is not None and self.is_of_everybody:
            found = _without_row(*found, falling=falling)
        return found and list(found)

    def _last(self, names: list[str], rows: QuerySet, size: int) -> Sequence | None:
        """Return the last row of the range, if there is another one after it."""
        if not self.max_cost:
            both = list(rows.values_list(*names)[size - 1 : size + 1])
            return both[0] if len(both) == 2 else None
        last, total, count = None, 0, 0
        for *values, cost in rows.values_list(*names, self.cost)[: size + 1]:
            if count == size or total >= self.max_cost:
                return last
            last, count, total = values, count + 1, total + cost
        return None


def _without_row(sent_at: datetime, _: UUID, *, falling: bool) -> list[Any]:
    """Return the far end of the second: all of it is scanned."""
    whole = whole_second(sent_at, up=not falling)
    return [whole, FIRST_ID if falling else LAST_ID]


def whole_second(moment: datetime, *, up: bool) -> datetime:
    """Round a time down, or up, but not past the end of the calendar."""
    second = moment.replace(microsecond=0)
    return min(second, LAST_SECOND) + SECOND if up and second < moment else second


def among_messages(
    user: User, conversation_id: UUID | None, text: str, rows_of: RowsOf | None
) -> ScanLimit:
    """Return the limit of a search for messages; all are scanned if the user has few.

    If they have many, everybody's newest messages are scanned, of which only their own
    are read: to find the newest of their own, the database would have to collect and
    sort all of them.
    """
    mine = Message.objects.filter(conversation__participations__user=user).order_by()
    if conversation_id:
        find = partial(messages_with, text, user, conversation_id)
        of_one = mine.filter(conversation_id=conversation_id)
        return _of_text(of_one, FIRST, REST, find=find, rows_of=rows_of)
    places = places_of(user)
    find = partial(messages_in, text, user, places)
    depth = sum(last_seq for _, last_seq in places)
    if len(places) > CHAPTERS:
        depth = mine.values("seq")[: REST + 1].count()
    if depth <= INDEXED:
        return _of_text(mine, 0, None)
    if depth <= REST:
        return _of_text(mine, 0, None, find=find, rows_of=rows_of)
    return _of_text(
        Message.objects.all(),
        FIRST,
        REST,
        find=find,
        rows_of=rows_of,
        own=Message.objects.scanned_by(user),
    )


def _of_text(rows: QuerySet, first: int, rest: int | None, **more: Any) -> ScanLimit:
    cost = Length("message_body")
    return ScanLimit(rows, first, rest, cost=cost, least_cost=LEAST_TEXT, **more)


def among_conversations(user: User) -> ScanLimit:
    """Return the limit for conversations: fewer, if they have many participants."""
    return ScanLimit(
        Conversation.objects.visible_to(user),
        first=0,
        rest=CONVERSATIONS,
        cost=F("participant_count"),
        max_cost=PARTICIPANTS,
        least_cost=LEAST_PARTICIPANTS,
    )


def among_people(text: str, *, with_email: bool) -> ScanLimit:
    """Return the limit for users, whose e-mails are searched if asked for."""
    find = partial(people_with, text, with_email=with_email)
    return ScanLimit(User.objects.active(), FIRST, REST, find)


# --- Messages whose ids are known ----------------------------------------------


def messages_of(reader_id: UUID, ids: list[UUID]) -> list[Row]:
    """Return the rows that the reader may see and that are not deleted, in no order."""
    return _MESSAGES.rows(reader_id=reader_id, message_ids=ids)


_MESSAGES = Prepared(
    lambda: (
        Message.objects.visible_to(Param("reader_id", models.UUIDField()))
        .filter(pk__in=Keys("message_ids", models.UUIDField()), deleted_at=None)
        .order_by()
        .values(*MessageSerializer.columns(for_reader=True))
    )
)
