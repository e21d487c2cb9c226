"""How large an answer may become: a page ends by its bytes as well as by its rows.

A body of 10,000 characters is up to 60 kB of JSON, so the rows of a page alone bound
nothing. An answer is in memory as a whole, for as long as its client takes to read it.
"""

from collections.abc import Iterable
from typing import Any

from chats.web.encoding import to_json

PAGE_BYTES = 512 * 1024
# Of JSON, at most: a control character is written with six letters.
BYTES_A_CHARACTER = 6
LONG_TEXT = "message_body"  # how columns of such texts end
REST_OF_ROW = 1_024  # bytes: names of fields, ids, times
# Bytes of a participant shown of a conversation, and how many are shown.
PARTICIPANT, PREVIEW_SIZE = 320, 10


def fitting(rows: list[dict[str, Any]]) -> int:
    """Return how many of the first rows make a page: all, or one more than fit.

    Rows as ``QuerySet.values()`` gives them. Where their long texts are short, as they
    mostly are, only these are looked at: other texts have 200 characters at most.
    """
    columns = rows[0] if rows else {}
    names = [name for name in columns if name.endswith(LONG_TEXT)]
    characters = sum(len(row[name] or "") for name in names for row in rows)
    preview = PREVIEW_SIZE * PARTICIPANT if "participant_count" in columns else 0
    most = characters * BYTES_A_CHARACTER + len(rows) * (REST_OF_ROW + preview)
    if most <= PAGE_BYTES:
        return len(rows)
    return count_fitting(len(to_json(row)) + _shown(row) for row in rows)


def count_fitting(sizes: Iterable[int]) -> int:
    """Return how many of these sizes, in bytes, make a page."""
    total = count = 0
    for size in sizes:
        total, count = total + size, count + 1
        if total > PAGE_BYTES:
            break
    return count


def _shown(row: dict[str, Any]) -> int:
    """Return the size of what is read for a row later: a conversation's preview."""
    return min(row.get("participant_count", 0), PREVIEW_SIZE) * PARTICIPANT
