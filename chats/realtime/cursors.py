"""Cursors: positions in the event log, for clients.

A cursor is opaque to clients. It has the identity of the log and the id of the last
event seen. There is one log now; with several, a cursor would have a position in each.
"""

import re

from chats.models import EventLog
from chats.web.exceptions import ChatError, Gone

OF_ANOTHER_LOG = -1  # a position that no log keeps

_FORM = re.compile(r"(1|[0-9a-f]{16})-(0|[1-9][0-9]{0,17})", re.ASCII)


# The log's identity as this process last read it; empty before the first time. It
# changes only while the services are stopped (``manage.py renew_log``). A process that
# kept running notices the change when it next reads a page of the log.
_log_identity = ""


def encode(event_id: int) -> str:
    return f"{_identity()}-{event_id}"


def decode(cursor: str, *, field: str = "after") -> int:
    """Return the event id; raise ChatError on ``field`` if the cursor is malformed.

    Returns ``OF_ANOTHER_LOG`` for a cursor from before the log was renewed.
    """
    match = _FORM.fullmatch(cursor)
    if not match:
        raise ChatError("Invalid cursor.", field=field)
    return int(match[2]) if match[1] == _identity() else OF_ANOTHER_LOG


def require_kept(event_id: int, end: int) -> None:
    """Raise Gone unless all events after this position are still in the log.

    ``end`` is the id of the newest event. Call this after reading events, not before,
    so that pruning in the meantime is noticed.

    A position after ``end`` is gone too: its log was replaced, for example by restoring
    a backup. So is any position if the log has just been renewed.
    """
    global _log_identity
    known = _identity()
    _log_identity, pruned_through = EventLog.state()
    is_renewed = _log_identity != known
    if is_renewed or event_id < pruned_through or event_id > end:
        raise Gone("This cursor is older than the events kept. Reload everything.")


def _identity() -> str:
    global _log_identity
    if not _log_identity:
        _log_identity, _ = EventLog.state()
    return _log_identity
