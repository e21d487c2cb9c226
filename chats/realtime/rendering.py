"""The payloads of events, rendered from the current rows, once for all readers.

They look like the REST API's responses, without the fields that differ by reader.
"""

from collections.abc import Hashable, Sequence
from typing import Any

from chats.models import Event
from chats.realtime import cursors
from chats.realtime.kinds import KINDS, Load
from chats.serializers.rows import Row
from chats.web.encoding import to_json

Payload = dict[str, Any]


def render(events: Sequence[Event]) -> list[Payload | None]:
    """Return the payload of each event, by one query for each kind of row.

    The payload is None if a row is gone: a message of a deleted conversation, a
    participant who left. The event of that change follows later in the log.
    """
    needed: dict[Load, set[Hashable]] = {}
    for event in events:
        for subject in KINDS[event.type].subjects.values():
            needed.setdefault(subject.load, set()).add(subject.key_of(event))
    found = {load: load(keys) for load, keys in needed.items()}
    return [_payload(event, found) for event in events]


def _payload(event: Event, found: dict[Load, dict[Hashable, Row]]) -> Payload | None:
    payload = {
        "id": cursors.encode(event.pk),
        "type": event.type,
        "conversation_id": event.conversation_id,
        "created_at": event.created_at,
        "actor_id": event.actor_id,
    }
    for name, subject in KINDS[event.type].subjects.items():
        row = found[subject.load].get(subject.key_of(event))
        if row is None:
            return None
        shown = subject.show(row)
        payload |= {name: shown} if name else shown
    return payload


def frame(event_type: str, data: Payload, event_id: str = "") -> bytes:
    """Return one Server-Sent Event (HTML standard, 9.2.6).

    The data is one line, because this JSON has no line breaks. There is no block
    without data, because some clients handle every block as a message.
    """
    head = f"id: {event_id}\n" if event_id else ""
    return f"{head}event: {event_type}\ndata: ".encode() + to_json(data) + b"\n\n"


def event_frame(payload: Payload) -> bytes:
    """Return the frame of a stored event, whose id is the cursor."""
    return frame(payload["type"], payload, payload["id"])
