"""The most requested pages, by statements that are prepared once.

Each is also a query of a filter set, which handles requests that ask for more, or that
are wrong; a test compares the two.
"""

import re
from typing import Any
from uuid import UUID

from django.db import models
from django.http import QueryDict

from chats.db.prepared import Param, Prepared
from chats.db.uuids import UUID_REGEX
from chats.lists.keyset import Pages, after_key
from chats.models import Conversation, Message
from chats.models.participants import hour_of
from chats.serializers.conversations import ConversationSerializer
from chats.serializers.messages import MessageSerializer
from chats.serializers.rows import Row

MAX_SEQ = 2**63 - 1
KEY, SEQ, TIME = models.UUIDField(), models.BigIntegerField(), models.DateTimeField()
READER = Param("reader_id", KEY)  # in the place of a user
HOUR = Param("hour", models.IntegerField())

ANYTHING = re.compile(".*", re.DOTALL)
A_SEQ = re.compile("[0-9]{1,18}")
PAGING = {"page_size": ANYTHING, "cursor": ANYTHING}
NAMES = ("conversation_id", "conversation")  # of one parameter
RANGE = PAGING | {
    **dict.fromkeys(NAMES, re.compile(UUID_REGEX)),
    "after_seq": A_SEQ,
    "before_seq": A_SEQ,
    "ordering": re.compile("-?seq"),
}


def asks_for(asked: QueryDict, known: dict[str, re.Pattern]) -> bool:
    """Return whether all parameters are known and well-formed."""
    return all(
        name in known and known[name].fullmatch(value) for name, value in asked.items()
    )


# --- Messages of one conversation ----------------------------------------------


def _between(order: str) -> Prepared:
    return Prepared(
        lambda: (
            Message.objects.visible_to(READER)
            .order_by(order)
            .values(*MessageSerializer.columns(for_reader=True))
        ),
        of=lambda: Message.objects.filter(
            conversation_id=Param("conversation_id", KEY),
            seq__gt=Param("after", SEQ),
            seq__lt=Param("before", SEQ),
        ).order_by(order),
    )


_RISING, _FALLING = _between("seq"), _between("-seq")


class MessagePages(Pages):
    """The messages of one conversation between two ``seq``; none for outsiders."""

    model = Message

    def __init__(self, reader_id: UUID, asked: QueryDict):
        """``asked`` passes ``asks_for(asked, RANGE)`` and has one of ``NAMES``."""
        self.ordering = [asked.get("ordering", "-seq")]
        self._values: dict[str, Any] = {
            "reader_id": reader_id,
            "conversation_id": UUID(
                next(asked[name] for name in NAMES if name in asked)
            ),
            "after": int(asked.get("after_seq", -1)),
            "before": int(asked.get("before_seq", MAX_SEQ)),
        }

    def page(self, edge: list | None, *, backward: bool, limit: int) -> list[Row]:
        values = dict(self._values)
        is_rising = (self.ordering == ["seq"]) != backward
        if edge and is_rising:
            values["after"] = max(values["after"], *edge)
        elif edge:
            values["before"] = min(values["before"], *edge)
        statement = _RISING if is_rising else _FALLING
        return statement.rows(limit=limit, **values)


def message_pages(reader_id: UUID, asked: QueryDict) -> MessagePages | None:
    """Return the pages of a range of one conversation; None if more is asked for."""
    is_plain = sum(name in asked for name in NAMES) == 1 and asks_for(asked, RANGE)
    return MessagePages(reader_id, asked) if is_plain else None


# --- My conversations ----------------------------------------------------------


def _conversations(*, after_edge: bool, backward: bool) -> Prepared:
    def build() -> models.QuerySet:
        mine = Conversation.objects.visible_to(READER).latest_first()
        if after_edge:
            names = ["updated_at", "conversation_id"]
            edge = [Param("updated_at", TIME), Param("conversation_id", KEY)]
            after = after_key(names, edge, falling=not backward)
            side = "gte" if backward else "lte"
            mine = mine.filter(after, **{f"active_hour__{side}": HOUR})
        mine = mine.reverse() if backward else mine
        return mine.values(*ConversationSerializer.columns(for_reader=True))

    return Prepared(build)


_NEWEST = _conversations(after_edge=False, backward=False)
_OLDEST = _conversations(after_edge=False, backward=True)
_OLDER = _conversations(after_edge=True, backward=False)
_NEWER = _conversations(after_edge=True, backward=True)


class ConversationPages(Pages):
    """All conversations of a reader, latest activity first."""

    model = Conversation
    ordering = list(Conversation._meta.ordering)

    def __init__(self, reader_id: UUID):
        self._reader_id = reader_id

    def page(self, edge: list | None, *, backward: bool, limit: int) -> list[Row]:
        if not edge:
            statement = _OLDEST if backward else _NEWEST
            return statement.rows(limit=limit, reader_id=self._reader_id)
        updated_at, conversation_id = edge
        return (_NEWER if backward else _OLDER).rows(
            limit=limit,
            reader_id=self._reader_id,
            hour=hour_of(updated_at),
            updated_at=updated_at,
            conversation_id=conversation_id,
        )


def conversation_pages(reader_id: UUID, asked: QueryDict) -> ConversationPages | None:
    """Return the pages of all conversations; None if a filter is asked for."""
    return ConversationPages(reader_id) if asks_for(asked, PAGING) else None
