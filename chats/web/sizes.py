"""The size limit of a page, in bytes, besides the limit of its rows.

A message body of 10,000 characters is up to 60 kB of JSON, so the number of rows alone
does not limit the size. The whole response is in memory until the client has read it.
"""

from collections.abc import Iterable
from typing import Any

from chats.web.encoding import to_json

PAGE_BYTES = 512 * 1024
# The most in JSON, where a control character is written as \u0001.
BYTES_A_CHARACTER = 6
LONG_TEXT = "message_body"  # the end of the names of columns with long text
REST_OF_ROW = 1_024  # bytes, for names of fields, ids and times
# Bytes of a participant in a conversation's preview, and most participants in one.
PARTICIPANT, PREVIEW_SIZE = 320, 10


def fitting(rows: list[dict[str, Any]]) -> int:
    """Return how many of the rows make a page: all, or one more than fit.

    The rows are those of ``QuerySet.values()``. An upper bound is computed first, from
    the lengths of the long texts; other texts have at most 200 characters. Only if the
    bound exceeds a page is each row encoded and measured.
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
    """Return how many of these sizes, in bytes, make a page.

    The size that exceeds ``PAGE_BYTES`` is included, so a page is never empty.
    """
    total = count = 0
    for size in sizes:
        total, count = total + size, count + 1
        if total > PAGE_BYTES:
            break
    return count


def _shown(row: dict[str, Any]) -> int:
    """Return the size of the participants' preview, which is loaded later."""
    return min(row.get("participant_count", 0), PREVIEW_SIZE) * PARTICIPANT
