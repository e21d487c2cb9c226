"""How far one page of a search looks, so that its cost has a bound.

What is rare an index finds, where the database has one. Else a search looks through the
rows of its list in the list's order. The first page ends after a few of them, full or
not, and each that follows with a longer stretch (docs/search.md). Where that takes too
long, which is where much text is looked through, a page ends after less.
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

# How many rows a page looks through: first a few, then no more than this.
FEW, MOST = 500, 20_000
INDEXED = 4_000  # of one's messages; of no more, to read all costs less than the index
CONVERSATIONS = 1_000
PARTICIPANTS = 10_000  # in the conversations of one page
# Milliseconds for all that a page tries; then it looks through the least there is.
PATIENCE = 90
LEAST = 50  # rows, and of their load:
LEAST_TEXT = 100_000  # characters; no row has more than a tenth of that
LEAST_PARTICIPANTS = 1_000
SECOND = timedelta(seconds=1)
LAST_SECOND = datetime.max.replace(microsecond=0, tzinfo=UTC) - SECOND
NONE = Value(0, IntegerField())
FIRST_ID, LAST_ID = UUID(int=0), UUID(int=2**128 - 1)  # nobody's
RowsOf = Callable[[list[UUID]], list[dict[str, Any]]]


def nowhere() -> None:
    """Find nothing by an index: there is none."""


@dataclass(frozen=True)
class Stretch:
    """The first of ``rows``: a few, then ``most``, or as many as weigh ``load``.

    0 are none to begin with, None is all. ``find`` gives the ids of all that is to be
    found anywhere, and maybe of more; or None. ``rows_of`` gives the rows of ids, those
    the reader may see, in no order; for lists without other filters: it costs less.

    Where the rows are not only the reader's own, ``is_public`` is off: it then begins
    and ends with whole seconds, so that it tells of no row when it was sent.

    ``own`` are those that the reader may see. ``burden`` is what a row adds to the cost
    of the search, and ``least`` how much of that a page can always bear.
    """

    rows: QuerySet
    few: int
    most: int | None
    find: Callable[[], list[UUID] | None] = nowhere
    rows_of: RowsOf | None = None
    weight: str = ""
    load: int = 0
    is_public: bool = True
    own: QuerySet | None = None  # all of them, if not given
    burden: Any = NONE
    least: int = 0

    def within(self, narrow: Callable[[QuerySet], QuerySet]) -> "Stretch":
        """Return this stretch of what a filter leaves."""
        own = None if self.own is None else narrow(self.own)
        return replace(self, rows=narrow(self.rows), own=own)

    def bearable(self, burdens: Sequence[int]) -> int:
        """Return how many of the next rows a page can always bear: at least one."""
        total = 0
        for count, burden in enumerate(burdens[:LEAST]):
            total += burden
            if count and total > self.least:
                return count
        return min(len(burdens), LEAST)

    def beginning(self, edge: list | None, *, descending: bool) -> list | None:
        """Return where to begin, for a page that begins past the edge: no later."""
        if self.is_public or not edge or not edge[0].microsecond:
            return edge
        return _without_row(*edge, descending=not descending)

    def edge(self, order: Sequence[str], rows: QuerySet, size: int) -> list | None:
        """Return the values of ``order`` at the last of so many rows.

        None, where the rows end before. ``rows`` are this stretch's, as the page
        sorts and begins them.
        """
        found = self._last([key.lstrip("-") for key in order], rows, size)
        if found is not None and not self.is_public:
            found = _without_row(*found, descending=order[0].startswith("-"))
        return found and list(found)

    def _last(self, names: list[str], rows: QuerySet, size: int) -> Sequence | None:
        """Return the last row of the stretch, if there is another behind it."""
        if not self.weight:
            both = list(rows.values_list(*names)[size - 1 : size + 1])
            return both[0] if len(both) == 2 else None
        last, carried, count = None, 0, 0
        for *values, weight in rows.values_list(*names, self.weight)[: size + 1]:
            if count == size or carried >= self.load:
                return last
            last, count, carried = values, count + 1, carried + weight
        return None


def _without_row(sent_at: datetime, _: UUID, *, descending: bool) -> list[Any]:
    """Return the far end of the second: all of it is looked through."""
    whole = whole_second(sent_at, up=not descending)
    return [whole, FIRST_ID if descending else LAST_ID]


def whole_second(moment: datetime, *, up: bool) -> datetime:
    """Round a time down, or up, but not beyond the calendar."""
    second = moment.replace(microsecond=0)
    return min(second, LAST_SECOND) + SECOND if up and second < moment else second


def among_messages(
    user: User, conversation_id: UUID | None, text: str, rows_of: RowsOf | None
) -> Stretch:
    """Return what a page looks through; all of the person's, where that is little.

    Across conversations else it is everybody's newest messages, of which only the
    person's own are read: to find the newest of one's own the database would have
    to gather and sort all of them.
    """
    mine = Message.objects.filter(conversation__participations__user=user).order_by()
    if conversation_id:
        find = partial(messages_with, text, user, conversation_id)
        of_one = mine.filter(conversation_id=conversation_id)
        return _of_text(of_one, FEW, MOST, find=find, rows_of=rows_of)
    places = places_of(user)
    find = partial(messages_in, text, user, places)
    depth = sum(last_seq for _, last_seq in places)
    if len(places) > CHAPTERS:
        depth = mine.values("seq")[: MOST + 1].count()
    if depth <= INDEXED:
        return _of_text(mine, 0, None)
    if depth <= MOST:
        return _of_text(mine, 0, None, find=find, rows_of=rows_of)
    return _of_text(
        Message.objects.all(),
        FEW,
        MOST,
        find=find,
        rows_of=rows_of,
        is_public=False,
        own=Message.objects.scanned_by(user),
    )


def _of_text(rows: QuerySet, few: int, most: int | None, **more: Any) -> Stretch:
    burden = Length("message_body")
    return Stretch(rows, few, most, burden=burden, least=LEAST_TEXT, **more)


def among_conversations(user: User) -> Stretch:
    """Return what a page looks through: fewer conversations where many take part."""
    mine = Conversation.objects.visible_to(user)
    return Stretch(
        mine,
        0,
        CONVERSATIONS,
        weight="participant_count",
        load=PARTICIPANTS,
        burden=F("participant_count"),
        least=LEAST_PARTICIPANTS,
    )


def among_people(text: str, *, with_email: bool) -> Stretch:
    """Return what a page looks through; with the e-mail where that is searched, too."""
    find = partial(people_with, text, with_email=with_email)
    return Stretch(User.objects.active(), FEW, MOST, find)


# --- Messages that are known by their ids ---------------------------------------


def messages_of(reader_id: UUID, ids: list[UUID]) -> list[Row]:
    """Return those that the reader may see and nobody has deleted, in no order."""
    return _MESSAGES.rows(reader_id=reader_id, message_ids=ids)


_MESSAGES = Prepared(
    lambda: (
        Message.objects.visible_to(Param("reader_id", models.UUIDField()))
        .filter(pk__in=Keys("message_ids", models.UUIDField()), deleted_at=None)
        .order_by()
        .values(*MessageSerializer.columns(for_reader=True))
    )
)
