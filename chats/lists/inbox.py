"""A reader's messages across their conversations, a page at a time."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from django.db.models import DateTimeField, F, Q, Subquery, Value
from django.db.models.functions import Coalesce

from chats.lists.keyset import Pages, after_key
from chats.models.conversations import Conversation
from chats.models.messages import EVER, Message, MessageQuerySet
from chats.models.participants import hour_of
from chats.models.users import User
from chats.serializers.rows import Row

NEVER = datetime.max.replace(tzinfo=UTC)
SPARE = 13  # conversations looked at, in addition to one for each row
LOOKS = 3  # at most, if conversations are left or read meanwhile
GROWTH = 16  # the factor by which to look at more, if those were too few

Head = tuple[UUID, datetime]  # a conversation, and when the first of its rows was sent


@dataclass(frozen=True)
class Inbox(Pages):
    """The pages of a reader's messages across their conversations, by time.

    Indexes sort the messages of one conversation by time, but not those of a reader. So
    a page looks for the newest message in each of their conversations, the latest
    active first, until all others must be older than the page. It then reads its rows
    from at most as many conversations as it has rows. The cost depends on how many
    conversations are looked at, never on what was said in them or elsewhere.
    """

    reader: User
    rows: MessageQuerySet  # what the pages are of, as ``visible_to`` the reader
    probe: MessageQuerySet  # with the same filters, ``of_opened`` conversations
    is_unread: bool = False  # whether the filters leave unread messages only
    since: datetime = EVER  # the filters leave nothing sent before

    model = Message

    @property
    def ordering(self) -> list[str]:
        return list(self.rows.query.order_by)

    def page(self, edge: list | None, *, backward: bool, limit: int) -> list[Row]:
        rows, probe, since = self.rows, self.probe, self.since
        if edge:
            falling = self.is_falling(backward=backward)
            after = after_key(self.names, edge, falling=falling)
            rows, probe = rows.filter(after), probe.filter(after)
            since = since if falling else max(since, edge[0])
        rows = rows.reverse() if backward else rows
        return replace(self, rows=rows, probe=probe, since=since)._first(limit)

    def _first(self, limit: int) -> list[Row]:
        """Return the first rows.

        If rows of a conversation are gone when they are read, because they were read
        or the conversation was left meanwhile, it looks again.
        """
        rows: list = []
        for _ in range(LOOKS):
            heads, newest = self._heads(limit)
            rows = list(self._rows_of(heads, newest, limit)) if heads else []
            if len(rows) == limit or len(heads) < limit:
                break
        return rows

    @property
    def _is_newest_first(self) -> bool:
        by_time_down = self.rows.query.order_by[0] == "-sent_at"
        return by_time_down == self.rows.query.standard_ordering

    def _heads(self, limit: int) -> tuple[list[Head], datetime]:
        """Return the conversations that may have some of the first rows, in order, and
        the newest time that was looked at.

        Newest first, conversations that are not looked at were last active before the
        last row. Oldest first nothing is known of them, so all are looked at.
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
        """Return the first rows of these conversations.

        No row is newer than ``newest``: what was sent after the look was not seen in
        all conversations.
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
        """Return the nearest time at which a conversation has its ``limit``-th row:
        none of the first rows, in any conversation, is after it.

        With this bound an index finds the rows of each conversation. It is one value
        for all: one that differed by conversation would be computed for each message.
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
