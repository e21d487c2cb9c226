"""The beginning and the end of a stream: what does not come from the hub."""

from dataclasses import dataclass
from uuid import UUID

from chats.models import Event
from chats.realtime import cursors, log
from chats.realtime.rendering import event_frame, frame
from chats.web.exceptions import Gone

RETRY = 1000  # milliseconds until EventSource comes back
# Events in one piece of backlog. The first is small: most have missed little, and who
# has missed much sees the first of it soon.
FIRST_PAGE, PAGE = 100, 500
# A browser shows a page's script neither comments nor that a connection is dead.
PING = frame("ping", {})

MEDIA_TYPE = "text/event-stream; charset=utf-8"
# Of a stream's answer: no proxy may hold it back, compress it or keep it.
HEADERS = {"X-Accel-Buffering": "no", "Cache-Control": "no-store, no-transform"}

# Why a stream ends, by the code that its last event has.
REASONS = {
    "restart": "The server is restarting.",
    "signed_out": "The session or token has ended.",
    "slow": "The client reads too slowly: too many events were waiting.",
    "unavailable": "The missed events cannot be read at the moment.",
}


@dataclass(frozen=True)
class BacklogChunk:
    """Some of a stream: its bytes, where it ends, and whether more is waiting."""

    body: bytes
    position: int
    has_more: bool = False


def opening(user_id: UUID, after: int | None) -> BacklogChunk:
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


def backlog(user_id: UUID, after: int) -> BacklogChunk:
    """Return the next piece of what came after a position; raises Gone."""
    return _piece(user_id, after, PAGE)


def ending(code: str, retry: int, detail: str = "") -> bytes:
    """Return the last event of a stream, with the milliseconds until coming back."""
    words = {"code": code, "detail": detail or REASONS[code]}
    return _with_retry(retry, frame("end", words))


def _piece(user_id: UUID, after: int, limit: int) -> BacklogChunk:
    page = log.page(user_id, after, limit)
    frames = [event_frame(payload) for payload in page.payloads]
    cursor = cursors.encode(page.position)
    seen = page.payloads[-1]["id"] if page.payloads else cursors.encode(after)
    if cursor != seen:
        # Others' events are no news, but the next resume begins behind them.
        frames.append(frame("ping", {}, cursor))
    # With more waiting a client that must poll comes back at once.
    retry = 0 if page.has_more else RETRY
    body = _with_retry(retry, b"".join(frames) or PING)
    return BacklogChunk(body, page.position, page.has_more)


def _beginning(event_type: str) -> BacklogChunk:
    position = Event.objects.last_id()
    cursor = cursors.encode(position)
    body = frame(event_type, {"cursor": cursor}, cursor)
    return BacklogChunk(_with_retry(RETRY, body), position)


def _with_retry(milliseconds: int, frames: bytes) -> bytes:
    """Have the first frame say when to come back, should the connection end."""
    return b"retry: %d\n" % milliseconds + frames
