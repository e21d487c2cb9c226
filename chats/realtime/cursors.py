"""Positions in the event log, as clients hold them.

A cursor is opaque to clients: the identity of the log, then the id of the last event
seen. There is one log now; with several, a cursor will hold a position in each.
"""

import re

from chats.models import EventLog
from chats.web.exceptions import ChatError, Gone

OF_ANOTHER_LOG = -1  # a position that no log keeps

_FORM = re.compile(r"(1|[0-9a-f]{16})-(0|[1-9][0-9]{0,17})", re.ASCII)


class Known:
    """The log's identity, as this process last read it; empty before it has.

    It changes only while the services are stopped (``manage.py renew_log``). One that
    ran on all the same finds out when it next reads a page of the log.
    """

    identity = ""


def encode(event_id: int) -> str:
    return f"{_identity()}-{event_id}"


def decode(cursor: str, *, field: str = "after") -> int:
    """Return the event id, or raise ChatError on ``field``.

    ``OF_ANOTHER_LOG`` for a cursor given out before the log was renewed.
    """
    match = _FORM.fullmatch(cursor)
    if not match:
        raise ChatError("Invalid cursor.", field=field)
    return int(match[2]) if match[1] == _identity() else OF_ANOTHER_LOG


def require_kept(event_id: int, end: int) -> None:
    """Raise Gone unless everything after this position is still in the log.

    ``end`` is the id of the newest event. Ask after reading, not before: what was
    pruned meanwhile is then noticed.

    A position past the end is gone too: the log it came from has been replaced,
    as by restoring a backup. So is any position when the log has just been renewed.
    """
    known = _identity()
    Known.identity, pruned_through = EventLog.state()
    is_renewed = Known.identity != known
    if is_renewed or event_id < pruned_through or event_id > end:
        raise Gone("This cursor is older than the events kept. Reload everything.")


def _identity() -> str:
    if not Known.identity:
        Known.identity, _ = EventLog.state()
    return Known.identity
