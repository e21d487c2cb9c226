"""The beginning, the backlog and the end of a stream, which the hub does not send."""

from dataclasses import dataclass
from uuid import UUID

from chats.models import Event
from chats.realtime import cursors, log
from chats.realtime.rendering import event_frame, frame
from chats.web.exceptions import Gone

RETRY = 1000  # milliseconds until EventSource reconnects
# Events in one piece of the backlog. The first piece is small: most clients have missed
# little, and a client that has missed much soon receives something.
FIRST_PAGE, PAGE = 100, 500
# An event, not a comment: a page's script sees neither comments nor dead connections.
PING = frame("ping", {})

MEDIA_TYPE = "text/event-stream; charset=utf-8"
# These tell proxies not to buffer, compress or cache a stream.
HEADERS = {"X-Accel-Buffering": "no", "Cache-Control": "no-store, no-transform"}

# Why a stream ends, by the code in its last event.
REASONS = {
    "restart": "The server is restarting.",
    "signed_out": "The session or token has ended.",
    "slow": "The client reads too slowly: too many events were waiting.",
    "unavailable": "The missed events cannot be read at the moment.",
}


@dataclass(frozen=True)
class BacklogChunk:
    """A piece of a stream: its bytes, its last position, and whether more follows."""

    body: bytes
    position: int
    has_more: bool = False


def opening(user_id: UUID, after: int | None) -> BacklogChunk:
    """Return the first piece: of the backlog, or the current end of the log.

    A stream opened without a cursor begins with ``ready``, and one whose cursor is no
    longer kept with ``reset``. The id of both is the current cursor.
    """
    if after is None:
        return _beginning("ready")
    try:
        return _piece(user_id, after, FIRST_PAGE)
    except Gone:
        return _beginning("reset")


def backlog(user_id: UUID, after: int) -> BacklogChunk:
    """Return the next piece of the events after a position; raises Gone."""
    return _piece(user_id, after, PAGE)


def ending(code: str, retry: int, detail: str = "") -> bytes:
    """Return the last event of a stream; ``retry`` is in milliseconds."""
    payload = {"code": code, "detail": detail or REASONS[code]}
    return _with_retry(retry, frame("end", payload))


def _piece(user_id: UUID, after: int, limit: int) -> BacklogChunk:
    page = log.page(user_id, after, limit)
    frames = [event_frame(payload) for payload in page.payloads]
    cursor = cursors.encode(page.position)
    seen = page.payloads[-1]["id"] if page.payloads else cursors.encode(after)
    if cursor != seen:
        # Later events do not reach this user; the next resume can begin after them.
        frames.append(frame("ping", {}, cursor))
    # If more is waiting, a client that can only poll reconnects at once.
    retry = 0 if page.has_more else RETRY
    body = _with_retry(retry, b"".join(frames) or PING)
    return BacklogChunk(body, page.position, page.has_more)


def _beginning(event_type: str) -> BacklogChunk:
    position = Event.objects.last_id()
    cursor = cursors.encode(position)
    body = frame(event_type, {"cursor": cursor}, cursor)
    return BacklogChunk(_with_retry(RETRY, body), position)


def _with_retry(milliseconds: int, frames: bytes) -> bytes:
    """Prepend the time after which clients should reconnect."""
    return b"retry: %d\n" % milliseconds + frames
