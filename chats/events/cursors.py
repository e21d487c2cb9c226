"""Positions in the event log, as clients hold them.

A cursor is opaque to clients: the number of the log, then the id of the last event
seen. There is one log now; with several, a cursor will hold a position in each.
"""

import re

from chats.exceptions import ChatError, Gone
from chats.models import EventLog

_FORM = re.compile(r"1-(0|[1-9][0-9]{0,17})", re.ASCII)


def encode(event_id: int) -> str:
    return f"1-{event_id}"


def decode(cursor: str, *, field: str = "after") -> int:
    """Return the event id, or raise ChatError on ``field``."""
    match = _FORM.fullmatch(cursor)
    if not match:
        raise ChatError("Invalid cursor.", field=field)
    return int(match[1])


def require_kept(event_id: int, end: int) -> None:
    """Raise Gone unless everything after this position is still in the log.

    ``end`` is the id of the newest event. Ask after reading, not before: what was
    pruned meanwhile is then noticed.

    A position past the end is gone too: the log it came from has been replaced,
    as by restoring a backup.
    """
    if event_id < EventLog.pruned_through() or event_id > end:
        raise Gone("This cursor is older than what is kept. Load anew.")
