"""What a search finds without going through its list.

On PostgreSQL by indexes of trigrams, which migration 0012 makes if it can. They are of
expressions that no other query has: so the planner, which may not know the term, takes
them for these statements only. SQLite has no such index, but it looks through all
people in a few milliseconds.
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

NEWEST = 500  # messages, among which a term that comes up so often is common:
COMMON = 2
FOUND = 500  # rows; what is said more often, a search comes by in its list
PATIENCE = 50  # milliseconds, after which a search goes through its list instead
CHAPTERS = 500  # of one's conversations, in all
CHAPTER = 2**16  # messages

# Three letters or digits in a row: without a trigram all of an index is gone through.
WORD = re.compile(r"[^\W_]{3}")
SIGMA = re.compile("[Σσς]")

# A chapter is known to the index alone: by the conversation's id, another might be
# taken. They are asked one by one, not joined, which is what OFFSET is for: so a
# term said all the time is known for that from the first of them.
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
# Of others' messages only conversation and time are looked at: hence the OFFSET. Of
# whole seconds only, so that what a page does tells of none of them when it was sent.
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
    """SQLite's LIKE: of names it costs a third of what ``has_text`` does."""

    arg_joiner = " LIKE "
    template = "%(expressions)s ESCAPE '\\'"
    output_field = BooleanField()


@cache
def has_index(name: str) -> bool:
    """Tell whether the database has the index, whole; a process asks once."""
    if connection.vendor != "postgresql":
        return False
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT FROM pg_index WHERE indexrelid = to_regclass(%s) AND indisvalid",
            [name],
        )
        return cursor.fetchone() is not None


def places_of(reader: User) -> list[Place]:
    """Return the person's conversations, or so many of them that they are too many."""
    rows = _PLACES.rows(limit=CHAPTERS + 1, reader_id=reader.pk)
    return [(row["pk"], row["last_seq"]) for row in rows]


def messages_with(text: str, reader: User, conversation_id: UUID) -> list[UUID] | None:
    """Return the messages with ``text`` in a conversation, if it is the person's."""
    mine = Conversation.objects.visible_to(reader).filter(pk=conversation_id)
    places = mine.order_by().values_list("pk", "last_seq")
    return _in(places, text, COMMON_IN_ONE, conversation_id)


def messages_in(text: str, reader: User, places: Iterable[Place]) -> list[UUID] | None:
    """Return the messages with ``text`` in these conversations of the person's.

    None where that is not known: without an index, when the text has no trigram, when
    the newest messages have it several times, with too many rows or conversations, or
    when it takes too long.

    No row of others is read, so none tells of itself by how long this takes.
    """
    return _in(places, text, COMMON_ANYWHERE, reader.pk)


def _in(
    places: Iterable[Place], text: str, common: str, key: UUID
) -> list[UUID] | None:
    """The same, with the statement that tells whether the text is common."""
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
    """Tell whether the newest messages promise that pages fill without an index.

    Or whether they are too much text to tell: then the pages will end early.
    """
    try:
        with time_limit(PATIENCE // 2):
            params = [key, NEWEST, text]
            [found] = execute(statement, params, lambda cursor: cursor.fetchone())
    except OutOfTime:
        return True
    return found >= COMMON


def people_with(text: str, *, with_email: bool) -> list[UUID] | None:
    """Return the people, also inactive, with ``text`` in what a search looks at.

    And maybe others: the names are looked at as one, or other letters as the same.
    None as above; on PostgreSQL also for text that may be stored in several forms.
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
    """Tell whether the indexes are sure to have what has this text.

    Trigrams are of lower case, word by word: a sigma is another one at a word's end.
    """
    return bool(WORD.search(text)) and not SIGMA.search(text)


def _pattern(text: str) -> str:
    return f"%{connection.ops.prep_for_like_query(text)}%"


def _ids(statement: str, *values: Any) -> list[UUID] | None:
    """Return the ids that the statement finds; None if too many, or not in time."""
    params = [*values, FOUND + 1]
    return _in_time(lambda: execute(statement, params, lambda c: [k for (k,) in c]))


def _in_time(read: Callable[[], list[UUID]]) -> list[UUID] | None:
    """Return the ids that are read; None if too many, or not in time."""
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
