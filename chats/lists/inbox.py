"""A person's messages across their conversations, a page at a time."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from django.db.models import DateTimeField, F, Q, Subquery, Value
from django.db.models.functions import Coalesce

from chats.models.conversations import Conversation
from chats.models.messages import EVER, Message, MessageQuerySet
from chats.models.participants import hour_of
from chats.models.users import User

NEVER = datetime.max.replace(tzinfo=UTC)
SPARE = 13  # conversations looked at besides one for each row
LOOKS = 3  # at most, where others leave or read conversations meanwhile
GROWTH = 16  # how many times more, when those were too few

Head = tuple[UUID, datetime]  # a conversation, and when the first of its rows was sent


@dataclass(frozen=True)
class Inbox:
    """What pagination takes for a queryset: sorted by time, filtered, sliced.

    Indexes sort the messages of one conversation by time, none those of a person. So
    a slice looks for the newest one in each of their conversations, the latest active
    first, until all others must be older than the slice; then it reads its rows, from
    no more conversations than there are rows. Its cost follows the conversations that
    are looked at, never what was said in them or elsewhere.
    """

    reader: User
    rows: MessageQuerySet  # what the slices are of, as ``visible_to`` the reader
    probe: MessageQuerySet  # with the same filters, ``of_opened`` conversations
    is_unread: bool = False  # whether the filters leave only what is unread
    since: datetime = EVER  # whether they leave nothing from before

    model = Message

    @property
    def query(self) -> Any:
        return self.rows.query

    def filter(self, *conditions: Q) -> "Inbox":
        rows, probe = self.rows.filter(*conditions), self.probe.filter(*conditions)
        return replace(self, rows=rows, probe=probe)

    def reverse(self) -> "Inbox":
        return replace(self, rows=self.rows.reverse())

    def sent_since(self, moment: datetime) -> "Inbox":
        """Say that the filters leave nothing from before a time."""
        return replace(self, since=max(self.since, moment))

    def __getitem__(self, part: slice) -> list:
        """Return the first rows.

        Where those of a conversation are gone by the time they are read, being read
        or left meanwhile, it looks again.
        """
        rows: list = []
        for _ in range(LOOKS):
            heads, newest = self._heads(part.stop)
            rows = list(self._rows_of(heads, newest, part.stop)) if heads else []
            if len(rows) == part.stop or len(heads) < part.stop:
                break
        return rows

    @property
    def _is_newest_first(self) -> bool:
        by_time_down = self.rows.query.order_by[0] == "-sent_at"
        return by_time_down == self.rows.query.standard_ordering

    def _heads(self, limit: int) -> tuple[list[Head], datetime]:
        """Return the conversations that may have a part in the first rows, in order,
        and the newest time that was looked at.

        Backwards in time, what is not looked at was last active before the last row.
        Forwards nothing is known of it, so all are looked at.
        """
        opened = self._opened()
        if not self._is_newest_first:
            opened = list(opened)
            newest = max((last for *_, last in opened), default=EVER)
            return sorted(_present(opened), key=_time_of), newest
        size = limit + SPARE
        while True:
            looked_at = list(opened[:size])
            heads = sorted(_present(looked_at), key=_time_of, reverse=True)
            is_enough = len(looked_at) < size or (
                len(heads) >= limit and heads[limit - 1][1] > looked_at[-1][2]
            )
            if is_enough:
                return heads, heads[0][1] if heads else EVER
            size *= GROWTH

    def _opened(self) -> Any:
        mine = Conversation.objects.visible_to(self.reader)
        mine = mine.unread() if self.is_unread else mine
        if self.since > EVER:
            mine = mine.filter(active_hour__gte=hour_of(self.since))
        order = "-sent_at" if self._is_newest_first else "sent_at"
        first = Subquery(self.probe.order_by(order).values("sent_at")[:1])
        opened = mine.alias(opened_id=F("participations__conversation_id"))
        return opened.latest_first().values_list("pk", first, "updated_at")

    def _rows_of(
        self, heads: list[Head], newest: datetime, limit: int
    ) -> MessageQuerySet:
        """Return the first rows of these conversations, in which they begin.

        None newer than what was looked at: what came in since was not seen everywhere.
        """
        down = self._is_newest_first
        end = EVER if down else NEVER
        if len(heads) >= limit:  # with all that are tied with the last one
            end = heads[limit - 1][1]
            heads = [h for h in heads if (h[1] >= end if down else h[1] <= end)]
        ids = [conversation_id for conversation_id, _ in heads]
        bound = Coalesce(
            self._nearest_end(ids, newest, end, limit), Value(end, DateTimeField())
        )
        rows = self.rows.filter(
            Q(**{f"sent_at__{'gte' if down else 'lte'}": bound}),
            Q(sent_at__lte=newest),
            opened_id__in=ids,
        )
        return rows[:limit]

    def _nearest_end(
        self, ids: list[UUID], newest: datetime, end: datetime, limit: int
    ) -> Subquery:
        """Return when the last of ``limit`` rows was sent in the conversation where
        that is nearest: past it there are none of the first rows, anywhere.

        So an index finds each conversation's share of them. One value for all: for a
        bound that differed by conversation it would be looked for at each message.
        """
        down = self._is_newest_first
        order = "-sent_at" if down else "sent_at"
        in_reach = self.probe.filter(
            Q(**{f"sent_at__{'gte' if down else 'lte'}": end}), Q(sent_at__lte=newest)
        )
        last = in_reach.order_by(order).values("sent_at")[limit - 1 : limit]
        ends = (
            Conversation.objects.visible_to(self.reader)
            .filter(pk__in=ids)
            .alias(opened_id=F("participations__conversation_id"))
            .annotate(end=Subquery(last))
            .filter(end__isnull=False)
        )
        return Subquery(ends.order_by("-end" if down else "end").values("end")[:1])


def _present(opened: Any) -> list[Head]:
    return [(key, time) for key, time, _ in opened if time is not None]


def _time_of(head: Head) -> datetime:
    return head[1]
