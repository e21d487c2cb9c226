"""The beginning of a stream: what a client gets before the hub takes over."""

from dataclasses import dataclass
from uuid import UUID

from chats.events import cursors, log
from chats.events.rendering import event_frame, frame
from chats.exceptions import Gone
from chats.models import Event

RETRY = 1000  # milliseconds until EventSource comes back
# Events in one piece of backlog. The first is small: most have missed little, and who
# has missed much sees the first of it soon.
FIRST_PAGE, PAGE = 100, 500


@dataclass(frozen=True)
class Piece:
    """Some of a stream: its bytes, where it ends, and whether more is waiting."""

    body: bytes
    position: int
    has_more: bool = False


def opening(user_id: UUID, after: int | None) -> Piece:
    """Return the first piece: the backlog, or where the log ends now.

    ``ready`` begins a stream opened without a cursor, ``reset`` one whose cursor
    is older than what is kept; the id of both is the present cursor.
    """
    if after is None:
        return _beginning("ready")
    try:
        return _piece(user_id, after, FIRST_PAGE)
    except Gone:
        return _beginning("reset")


def backlog(user_id: UUID, after: int) -> Piece:
    """Return the next piece of what came after a position; raises Gone."""
    return _piece(user_id, after, PAGE)


def _piece(user_id: UUID, after: int, limit: int) -> Piece:
    page = log.page(user_id, after, limit)
    # With more waiting a client that must poll comes back at once.
    body = _retry(0 if page.has_more else RETRY)
    body += b"".join(event_frame(payload) for payload in page.payloads)
    if page.position > after:
        # Others' events are no news, but the next resume begins behind them.
        body += f"id: {cursors.encode(page.position)}\n\n".encode()
    return Piece(body, page.position, page.has_more)


def _beginning(event_type: str) -> Piece:
    position = Event.objects.last_id()
    cursor = cursors.encode(position)
    body = frame(event_type, {"cursor": cursor}, cursor)
    return Piece(_retry(RETRY) + body, position)


def _retry(milliseconds: int) -> bytes:
    return f"retry: {milliseconds}\n\n".encode()
