"""Searches that find their rows by an index, without scanning a list.

On PostgreSQL they use trigram indexes, which migration 0012 creates if it can. The
indexes are on expressions that only these statements contain. So the planner, which may
not know the search term, does not choose them for other queries. SQLite has no such
index, but it scans all users in a few milliseconds.
"""

import re
from collections.abc import Callable, Iterable
from functools import cache
from typing import Any
from uuid import UUID

from django.db import connection, models
from django.db.models import BooleanField, Func, Q, Value

from chats.db.impatient import OutOfTime, time_limit
from chats.db.prepared import Param, Prepared, execute
from chats.models.conversations import Conversation
from chats.models.text.characters import spellings
from chats.models.users import NAMES, User

Place = tuple[UUID, int]  # a conversation, and its last seq

NEWEST = 500  # newest messages that are tested for a common term
COMMON = 2  # a term is common if at least this many of them contain it
FOUND = 500  # most rows; a scan of the list meets more frequent terms soon enough
PATIENCE = 50  # milliseconds, after which a search scans its list instead
CHAPTERS = 500  # most chapters of all conversations of a user
CHAPTER = 2**16  # messages of a conversation that the index keeps together

# Three letters or digits in a row: without a trigram, the whole index would be read.
WORD = re.compile(r"[^\W_]{3}")
SIGMA = re.compile("[Σσς]")

# The condition on the chapter matches this index only: for the conversation's id the
# planner might choose another index. OFFSET 0 prevents a join, so the chapters are
# searched one by one, and a very frequent term reaches the LIMIT in the first of them.
MESSAGES = """
SELECT found.message_id
FROM unnest((SELECT %s::text[])) AS chapter
CROSS JOIN LATERAL (
    SELECT message_id FROM chats_message
    WHERE conversation_id::text || (seq >> 16)::text = chapter
    AND upper(message_body) || '' LIKE upper(%s)
    OFFSET 0
) AS found
LIMIT %s
"""
# OFFSET 0 makes sure that of messages the reader may not see, only the conversation and
# the time are read. Only whole seconds count, so that the behaviour of a search does
# not reveal when one of them was sent.
COMMON_ANYWHERE = """
SELECT count(*) FROM (
    SELECT message_body FROM (
        SELECT conversation_id FROM chats_participant WHERE user_id = %s
    ) AS mine
    JOIN (
        SELECT *, min(sent_at) OVER () AS first_sent_at FROM (
            SELECT conversation_id, sent_at, message_body FROM chats_message
            ORDER BY sent_at DESC, message_id DESC LIMIT %s
        ) AS newest
    ) AS message USING (conversation_id)
    WHERE sent_at >= date_trunc('second', first_sent_at) + interval '1 second'
    OFFSET 0
) AS readable
WHERE strpos(upper(message_body), upper(%s)) > 0
"""
COMMON_IN_ONE = """
SELECT count(*) FROM (
    SELECT message_body FROM chats_message WHERE conversation_id = %s
    ORDER BY seq DESC LIMIT %s
) AS message
WHERE strpos(upper(message_body), upper(%s)) > 0
"""
PEOPLE = """
SELECT user_id FROM chats_user
WHERE upper(username || E'\\n' || first_name || E'\\n' || last_name) LIKE upper(%s)
LIMIT %s
"""
PEOPLE_BY_EMAIL_TOO = """
SELECT user_id FROM chats_user
WHERE upper(username || E'\\n' || first_name || E'\\n' || last_name) LIKE upper(%s)
OR upper(email) || '' LIKE upper(%s)
LIMIT %s
"""


class Like(Func):
    """SQLite's LIKE, which for names costs a third of ``has_text``."""

    arg_joiner = " LIKE "
    template = "%(expressions)s ESCAPE '\\'"
    output_field = BooleanField()


@cache
def has_index(name: str) -> bool:
    """Return whether the database has the index, complete; checked once a process."""
    if connection.vendor != "postgresql":
        return False
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT FROM pg_index WHERE indexrelid = to_regclass(%s) AND indisvalid",
            [name],
        )
        return cursor.fetchone() is not None


def places_of(reader: User) -> list[Place]:
    """Return the reader's conversations, at most ``CHAPTERS`` + 1 of them."""
    rows = _PLACES.rows(limit=CHAPTERS + 1, reader_id=reader.pk)
    return [(row["pk"], row["last_seq"]) for row in rows]


def messages_with(text: str, reader: User, conversation_id: UUID) -> list[UUID] | None:
    """Return the messages with ``text`` in one conversation of the reader's.

    Returns [] if it is not theirs, and None as ``messages_in``.
    """
    mine = Conversation.objects.visible_to(reader).filter(pk=conversation_id)
    places = mine.order_by().values_list("pk", "last_seq")
    return _in(places, text, COMMON_IN_ONE, conversation_id)


def messages_in(text: str, reader: User, places: Iterable[Place]) -> list[UUID] | None:
    """Return the messages with ``text`` in these conversations of the reader's.

    Returns None if a scan of the list is needed instead: if there is no index, if the
    text has no trigram, if several of the newest messages contain it, if there are too
    many rows or conversations, or if this takes too long.

    No message that the reader may not see is searched, so the duration reveals nothing
    about such messages.
    """
    return _in(places, text, COMMON_ANYWHERE, reader.pk)


def _in(
    places: Iterable[Place], text: str, common: str, key: UUID
) -> list[UUID] | None:
    """Search these conversations; ``common`` is the statement for ``_is_common``."""
    if not _is_indexed(text) or not has_index("message_search"):
        return None
    chapters = [
        f"{place}{number}"
        for place, last_seq in places
        for number in range(last_seq // CHAPTER + 1)
    ]
    if not chapters:
        return []
    if len(chapters) > CHAPTERS or _is_common(common, key, text):
        return None
    return _ids(MESSAGES, chapters, _pattern(text))


def _is_common(statement: str, key: UUID, text: str) -> bool:
    """Return whether the text is frequent enough for a scan of the list to fill pages.

    Also True if the newest messages are too long to be searched in time: the pages then
    end early, by their size.
    """
    try:
        with time_limit(PATIENCE // 2):
            params = [key, NEWEST, text]
            [found] = execute(statement, params, lambda cursor: cursor.fetchone())
    except OutOfTime:
        return True
    return found >= COMMON


def people_with(text: str, *, with_email: bool) -> list[UUID] | None:
    """Return the users, inactive ones included, with ``text`` in a searched field.

    The result may include others, which the caller must filter out: the names are
    searched as one text, and some different letters count as equal. Returns None as
    ``messages_in``; on PostgreSQL also for text that may be stored in several forms.
    """
    if connection.vendor == "sqlite":
        return _among_all_people(text, (*NAMES, "email") if with_email else NAMES)
    is_one = len(spellings(text)) == 1
    if not (is_one and _is_indexed(text) and has_index("user_search")):
        return None
    if with_email:
        return _ids(PEOPLE_BY_EMAIL_TOO, _pattern(text), _pattern(text))
    return _ids(PEOPLE, _pattern(text))


def _among_all_people(text: str, names: Iterable[str]) -> list[UUID] | None:
    patterns = [Value(_pattern(spelling)) for spelling in spellings(text)]
    has_text = [Like(name, pattern) for name in names for pattern in patterns]
    found = User.objects.order_by().filter(Q(*has_text, _connector=Q.OR))
    return _in_time(lambda: list(found.values_list("pk", flat=True)[: FOUND + 1]))


def _is_indexed(text: str) -> bool:
    """Return whether the indexes are sure to find all rows with this text.

    Trigrams are made from lower-case words, and a sigma is a different letter at the
    end of a word.
    """
    return bool(WORD.search(text)) and not SIGMA.search(text)


def _pattern(text: str) -> str:
    return f"%{connection.ops.prep_for_like_query(text)}%"


def _ids(statement: str, *values: Any) -> list[UUID] | None:
    """Return the ids that the statement finds, or None if too many or too slow."""
    params = [*values, FOUND + 1]
    return _in_time(lambda: execute(statement, params, lambda c: [k for (k,) in c]))


def _in_time(read: Callable[[], list[UUID]]) -> list[UUID] | None:
    """Return the ids that ``read`` returns, or None if too many or too slow."""
    try:
        with time_limit(PATIENCE):
            ids = read()
    except OutOfTime:
        return None
    return ids if len(ids) <= FOUND else None


_PLACES = Prepared(
    lambda: (
        Conversation.objects.filter(
            participations__user=Param("reader_id", models.UUIDField())
        )
        .order_by()
        .values("pk", "last_seq")
    )
)
