"""How far one page of a search looks, so that its cost has a bound.

A search looks through the rows of its list in the list's order, a stretch of them a
page: what is common fills the page early, what is rare ends it at the stretch's
edge, from where the next page goes on. No index of words: it would cost each send
more than the send itself writes (docs/search.md).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db.models import QuerySet

from chats.models import Conversation, Message, User

# How many rows a page looks through: first a few, where what is common is found,
# then no more than this.
MESSAGES = (1_000, 20_000)
PEOPLE = (1_000, 20_000)
CONVERSATIONS = (100, 1_000)
PARTICIPANTS = 20_000  # in the conversations of one page
SECOND = timedelta(seconds=1)
FIRST_ID, LAST_ID = UUID(int=0), UUID(int=2**128 - 1)  # nobody's


@dataclass(frozen=True)
class Stretch:
    """The first of ``rows``: as many as one of ``sizes``, or weigh ``load``.

    Where the rows are not only the reader's own, ``is_public`` is off: the edge then
    names a time and no row.
    """

    rows: QuerySet
    sizes: tuple[int, ...]
    weight: str = ""
    load: int = 0
    is_public: bool = True

    def edges(self, order: Sequence[str], rows: QuerySet) -> Iterator[list | None]:
        """Yield the values of ``order`` at the last row for each size.

        None, where the rows end before. ``rows`` are this stretch's, as the page
        sorts and begins them.
        """
        names = [key.lstrip("-") for key in order]
        for size in self.sizes:
            found = self._last(names, rows, size)
            if found is not None and not self.is_public:
                found = _without_row(*found, descending=order[0].startswith("-"))
            yield found and list(found)

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
    second = sent_at.replace(microsecond=0)
    if descending:
        return [second, FIRST_ID]
    return [second + SECOND if second < sent_at else second, LAST_ID]


def among_messages(user: User, conversation_id: UUID | None) -> Stretch | None:
    """Return what a page looks through; None for all of the person's, being few.

    Across conversations that is everybody's newest messages, of which only the
    person's own are read: to find the newest of one's own the database would have
    to gather and sort all of them.
    """
    mine = Message.objects.visible_to(user).order_by()
    if conversation_id:
        return Stretch(mine.filter(conversation_id=conversation_id), MESSAGES)
    few = MESSAGES[-1]
    if mine.values("seq")[: few + 1].count() <= few:
        return None
    return Stretch(Message.objects.all(), MESSAGES, is_public=False)


def among_conversations(user: User) -> Stretch:
    """Return what a page looks through: fewer conversations where many take part."""
    mine = Conversation.objects.visible_to(user)
    return Stretch(mine, CONVERSATIONS, weight="participant_count", load=PARTICIPANTS)


def among_people() -> Stretch:
    return Stretch(User.objects.active(), PEOPLE)
