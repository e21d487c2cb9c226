"""Presence, and the recheck of credentials: a few batched queries at intervals.

Presence is read from the database, so every process sees the users of all processes.
"""

from collections.abc import Iterable, Iterator
from contextlib import suppress
from datetime import datetime, timedelta
from uuid import UUID

from django.db import OperationalError, transaction
from django.utils import timezone

from chats.db.clocks import SKEW
from chats.db.impatient import sqlite_busy_timeout
from chats.models import Participant, User
from chats.models.credentials import chunks, valid
from chats.realtime.audience import Audience, Subscription
from chats.realtime.rendering import frame

EVERY = 3.0  # seconds between checks
REFRESH_EVERY = 25  # seconds; less than ONLINE_FOR, with a margin for a slow turn
LOCK_WAIT = 10  # milliseconds


class Watch:
    """Detects users who came online or went offline since the last check."""

    def __init__(self) -> None:
        self._online: dict[UUID, datetime] | None = None

    def changes_for(self, audience: Audience) -> list[tuple[Subscription, bytes]]:
        """Return presence frames for listeners who share a conversation with them."""
        before, self._online = self._online, _online()
        if before is None:
            return []
        changed = before.keys() ^ self._online.keys()
        frames: list[tuple[Subscription, bytes]] = []
        for user_id, sharing in _sharing(changed, audience):
            data = frame(
                "presence",
                {
                    "user_id": user_id,
                    "is_online": user_id in self._online,
                    "last_seen_at": (self._online.get(user_id) or before[user_id]),
                },
            )
            frames += [(s, data) for listener in sharing for s in listener.streams]
        return frames


def _online() -> dict[UUID, datetime]:
    seen = User.objects.active().online().order_by()
    return dict(seen.values_list("user_id", "last_seen_at"))


def _sharing(changed: Iterable[UUID], audience: Audience) -> Iterator[tuple]:
    """Yield each changed user with the other listeners who share a conversation."""
    for chunk in chunks(changed):
        sharing: dict[UUID, set] = {}
        found = Participant.objects.filter(user_id__in=chunk).order_by()
        for user_id, conversation_id in found.values_list("user_id", "conversation_id"):
            listeners = audience.participants_listening(conversation_id)
            sharing.setdefault(user_id, set()).update(listeners)
        for user_id, listeners in sharing.items():
            yield user_id, {each for each in listeners if each.user_id != user_id}


def refresh(user_ids: Iterable[UUID]) -> None:
    """Record that users with open streams are still online, by one update for many.

    Events wait while the hub's thread does this, so it must not wait for locks. Users
    whose rows are locked are recorded at a later check.
    """
    now = timezone.now()
    recent = (now - timedelta(seconds=REFRESH_EVERY), now + SKEW)
    for chunk in chunks(user_ids):
        people = User.objects.active().filter(pk__in=chunk)
        people = people.exclude(last_seen_at__range=recent)
        if ids := list(people.order_by().values_list("pk", flat=True)):
            with (
                suppress(OperationalError),
                sqlite_busy_timeout(LOCK_WAIT),
                transaction.atomic(),
            ):
                _note_seen(ids, now)


def _note_seen(user_ids: list[UUID], now: datetime) -> None:
    people = User.objects.active().filter(pk__in=user_ids).order_by("pk")
    free = people.select_for_update(no_key=True, skip_locked=True)
    ids = list(free.values_list("pk", flat=True))
    User.objects.filter(pk__in=ids).update(last_seen_at=now)


def signed_out(streams: list[Subscription]) -> list[Subscription]:
    """Return the streams whose session, token or user is no longer valid."""
    still_valid = valid(stream.credential for stream in streams)
    return [stream for stream in streams if stream.credential not in still_valid]
