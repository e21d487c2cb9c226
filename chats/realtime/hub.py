"""The hub: one reader of the log per process, for any number of streams.

One thread reads new events once, renders each once, and passes the same bytes to every
stream that may receive them. All methods are for that thread only, except those in the
section "From any thread".
"""

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import NamedTuple
from uuid import UUID

from django.db import DatabaseError, InterfaceError, close_old_connections, connection
from django.db.models import BigIntegerField, QuerySet

from chats.db import wakeups
from chats.db.prepared import Param, Prepared
from chats.models import Event, Participant, PastParticipant
from chats.models.participants import Span
from chats.realtime import presence
from chats.realtime.audience import Audience, Listener, Subscription, spans_of
from chats.realtime.departures import Departures
from chats.realtime.kinds import Type, only_reader_of
from chats.realtime.other_processes import NotificationListener, OtherWriters
from chats.realtime.rendering import event_frame, frame, render
from chats.web import metrics

logger = logging.getLogger(__name__)

BATCH = 500  # events read at once
RECENT = 5_000  # events kept in memory for clients that reconnect
RECENT_BYTES = 8 * 1024 * 1024  # of all their frames
IDLE_AFTER = 60.0  # seconds without a stream until the hub stops reading
TIMER = 1.0  # seconds between reads of the log without a notification
CREDENTIALS_EVERY = 2.5  # seconds; a stream ends at most 5 s after its session
OUTAGE_PAUSE = 0.5  # seconds between attempts while the database is unavailable

Post = Callable[[list[tuple[Subscription, bytes]]], None]
End = Callable[[list[Subscription], str], None]


class RecentEvent(NamedTuple):
    """A recently dispatched event.

    ``frame`` is empty if the event's rows were gone. It is None if the event was not
    rendered, because it reached no listener.
    """

    event_id: int
    conversation_id: UUID
    only_reader: UUID | None
    frame: bytes | None


class Hub:
    """Follows the log for the streams of one process.

    ``post`` passes a batch of frames to the shell's thread; each stream gets its frames
    in the order of the batch. ``end`` passes a batch of streams to close.
    """

    def __init__(self, post: Post, end: End, *, clock=time.monotonic):
        self._post, self._end, self._clock = post, end, clock
        self._notified = threading.Event()
        self._stopped = False
        # Each with True for a join.
        self._joins_and_leaves: deque[tuple[Subscription, bool]] = deque()
        self._joiners: dict[Subscription, None] = {}  # an ordered set
        self._typing: deque[tuple[UUID, UUID]] = deque()
        self.audience = Audience()
        self.position: int | None = None  # the last event dispatched; None when idle
        self._newer = Prepared(_newer)
        # Events that were read but not dispatched yet, each with its recipients.
        self._undispatched: list[tuple[Event, list[Listener]]] = []
        self._recent: deque[RecentEvent] = deque()
        self._recent_size = 0  # bytes
        self._recent_after = 0  # all events after this one are in _recent
        self._active_until = 0.0
        self._due: dict[str, float] = {}
        self._others = OtherWriters()
        self._listener = NotificationListener(self)
        self._watch = presence.Watch()

    # --- From any thread ------------------------------------------------------

    def notify_new_events(self) -> None:
        """Make the hub read the log now."""
        self._notified.set()

    def notify_typing(self, conversation_id: UUID, user_id: UUID) -> None:
        """Make the hub tell the other participants that a user is typing."""
        self._typing.append((conversation_id, user_id))
        self._notified.set()

    def join(self, stream: Subscription) -> None:
        """Push every event after ``stream.position`` to the stream, in order.

        If the events up to the hub's position are no longer all in memory, the stream
        ends as "behind".
        """
        self._joins_and_leaves.append((stream, True))
        self._notified.set()

    def leave(self, stream: Subscription) -> None:
        """Remove the stream for good."""
        self._joins_and_leaves.append((stream, False))
        self._notified.set()

    def stop(self) -> None:
        """Make the thread end."""
        self._stopped = True
        self._notified.set()

    # --- The thread -----------------------------------------------------------

    def run(self) -> None:
        """Take turns until stopped; during a database outage, wait for its end."""
        detach = wakeups.attach(self)
        self._listener.start()
        while not self._stopped:
            self._notified.wait(self._longest_wait())
            was_notified = self._notified.is_set()
            self._notified.clear()
            if self.position is None:  # the hub may have been idle for long
                close_old_connections()
            try:
                self.turn(was_notified=was_notified)
            except (DatabaseError, InterfaceError) as error:
                metrics.database_unavailable.inc()
                logger.warning("The event hub is waiting for the database: %s", error)
                connection.close()
                self._notified.wait(OUTAGE_PAUSE)
                self._notified.set()
            except Exception:
                logger.exception("The event hub restarts: its streams will resume")
                self._start_anew()
        detach()
        self._listener.stop()
        connection.close()

    def turn(self, *, was_notified: bool = True) -> None:
        """Do all waiting work, new events first, so that the audience is up to date."""
        self._note_joins_and_leaves()
        if self._joiners:
            self._active_until = self._clock() + IDLE_AFTER
        if not self._is_active():
            self.position = None
            metrics.hub_position.set(0)
            self._typing.clear()
            return
        if self.position is None:
            self._wake_up()
        if self._is_due("log", TIMER) or was_notified or self._others.have_written():
            self._read_log()
            for conversation_id, user_id in self._others.typing():
                self._typing.append((conversation_id, user_id))
        self._admit_joiners()
        self._pass_typing_on()
        if self._is_due("credentials", CREDENTIALS_EVERY):
            self._end(presence.signed_out(self.audience.streams()), "signed out")
        if self._is_due("presence", presence.EVERY):
            self._pass_presence()

    def _is_active(self) -> bool:
        return bool(self.audience.listeners) or self._clock() < self._active_until

    def _longest_wait(self) -> float | None:
        """Return the most seconds to wait for a notification; None: no limit."""
        if not self._is_active():
            return None
        return min(TIMER, self._others.poll_every)

    def _is_due(self, what: str, every: float) -> bool:
        now = self._clock()
        if now < self._due.get(what, 0.0):
            return False
        self._due[what] = now + every
        return True

    def _wake_up(self) -> None:
        self._others.skip()
        self.position = self._recent_after = Event.objects.last_id()
        self._recent.clear()
        self._recent_size = 0
        self._undispatched = []
        metrics.hub_position.set(self.position)

    def _start_anew(self) -> None:
        self._end([*self.audience.streams(), *self._joiners], "restart")
        self._joiners.clear()
        self.audience = Audience()
        self.position = None

    def _note_joins_and_leaves(self) -> None:
        """Process the queue of joins and leaves; a stream may have done both."""
        while self._joins_and_leaves:
            stream, is_joining = self._joins_and_leaves.popleft()
            if is_joining:
                self._joiners[stream] = None
            else:
                self._joiners.pop(stream, None)
                self.audience.remove(stream)

    # --- Events ---------------------------------------------------------------

    def _read_log(self) -> None:
        while True:
            if not self._undispatched:
                newer = self._newer.rows(position=self.position)
                self._follow([Event(**row) for row in newer])
            count = len(self._undispatched)
            if count:
                self._dispatch()
            if count < BATCH:
                return

    def _follow(self, events: Sequence[Event]) -> None:
        """Determine the recipients of each event, and update the audience.

        The result is kept until the events are dispatched. After an outage in between,
        this must not run again: it would no longer find the users whom these events
        removed.
        """
        newcomers = self._newcomers(events)
        for event in events:
            self._open_spans(event, newcomers)
            found = self.audience.recipients(event.conversation_id, event.pk)
            if only_reader := only_reader_of(event):
                found = [each for each in found if each.user_id == only_reader]
            self._undispatched.append((event, found))
            self._close_spans(event)

    def _dispatch(self) -> None:
        """Render the events that have recipients, and post their frames."""
        wanted = [event for event, recipients in self._undispatched if recipients]
        rendered = zip(wanted, render(wanted), strict=True)
        departures = Departures(wanted)
        rendered_frames = {
            event.pk: event_frame(payload) if payload else b""
            for event, payload in rendered
        }
        frames: list[tuple[Subscription, bytes]] = []
        for event, recipients in self._undispatched:
            data = rendered_frames.get(event.pk)
            self._remember(event, data)
            for listener in recipients:
                is_hidden = departures.is_hidden_from(event, listener.user_id)
                frames += _frames_for(listener, event.pk, b"" if is_hidden else data)
        self.position = self._undispatched[-1][0].pk
        metrics.hub_position.set(self.position)
        metrics.events_dispatched.inc(len(self._undispatched))
        self._undispatched = []
        if frames:
            self._post(frames)

    def _newcomers(self, events: Sequence[Event]) -> list[tuple[UUID, Span]]:
        """Return the first participants of the conversations these events created.

        Participants who have left since are included: they receive the events up to
        that.
        """
        created = {
            event.conversation_id: event.pk
            for event in events
            if event.type == Type.CONVERSATION_CREATED
        }
        if not created:
            return []
        joined_by_them = {
            "conversation_id__in": created,
            "first_event_id__in": created.values(),
        }
        columns = ("user_id", "conversation_id", "first_event_id")
        # In this order, so that a user who leaves in between is found twice, not
        # missed.
        present = list(
            Participant.objects.filter(**joined_by_them)
            .order_by()
            .values_list(*columns)
        )
        past = PastParticipant.objects.filter(
            **joined_by_them, last_event_id__gt=min(created.values())
        )
        found = present + list(past.values_list(*columns))
        return [(user_id, Span(*span)) for user_id, *span in found]

    def _open_spans(self, event: Event, newcomers: list) -> None:
        if event.type == Type.CONVERSATION_CREATED:
            for user_id, span in newcomers:
                if span.conversation_id == event.conversation_id:
                    self.audience.open_span(user_id, span)
        elif event.type == Type.PARTICIPANT_ADDED:
            joined = Span(event.conversation_id, event.pk)
            self.audience.open_span(event.user_id, joined)

    def _close_spans(self, event: Event) -> None:
        if event.type == Type.PARTICIPANT_REMOVED:
            self.audience.close_span(event.user_id, event.conversation_id)
        elif event.type == Type.CONVERSATION_DELETED:
            self.audience.close_conversation(event.conversation_id)

    def _remember(self, event: Event, data: bytes | None) -> None:
        self._recent.append(
            RecentEvent(event.pk, event.conversation_id, only_reader_of(event), data)
        )
        self._recent_size += len(data or b"")
        while len(self._recent) > RECENT or self._recent_size > RECENT_BYTES:
            oldest = self._recent.popleft()
            self._recent_size -= len(oldest.frame or b"")
            self._recent_after = oldest.event_id

    # --- Streams --------------------------------------------------------------

    def _admit_joiners(self) -> None:
        if not self._joiners:
            return
        oldest = min(stream.position for stream in self._joiners)
        spans = spans_of({stream.user_id for stream in self._joiners}, oldest)
        for stream in list(self._joiners):
            self._admit(stream, spans[stream.user_id])
            del self._joiners[stream]

    def _admit(self, stream: Subscription, spans: list[Span]) -> None:
        missed = self._frames_missed_by(stream, spans)
        if missed is None:
            self._end([stream], "behind")
            return
        stream.position = max(stream.position, self.position)
        self.audience.add(stream, spans, self.position)
        if missed:
            self._post([(stream, missed)])

    def _frames_missed_by(
        self, stream: Subscription, spans: list[Span]
    ) -> bytes | None:
        """Return the frames between the stream's position and the hub's.

        Returns None if they are not all in memory. Also if the user has left a
        conversation since the stream's position: frames may have been rendered later.
        """
        if stream.position < self._recent_after:
            return None
        if any(not span.is_open and span.last > stream.position for span in spans):
            return None
        missed: list[bytes] = []
        for event in reversed(self._recent):
            if event.event_id <= stream.position:
                break
            if event.only_reader not in {None, stream.user_id}:
                continue
            if not _is_within(spans, event):
                continue
            if event.frame is None:
                return None
            missed.append(event.frame)
        return b"".join(reversed(missed))

    # --- Typing and presence, which are not stored as events ------------------

    def _pass_typing_on(self) -> None:
        frames: list[tuple[Subscription, bytes]] = []
        while self._typing:
            conversation_id, user_id = self._typing.popleft()
            payload = {"conversation_id": conversation_id, "user_id": user_id}
            data = frame("typing", payload)
            for listener in self.audience.participants_listening(conversation_id):
                if listener.user_id != user_id:
                    frames += [(stream, data) for stream in listener.streams]
        if frames:
            self._post(frames)

    def _pass_presence(self) -> None:
        presence.refresh(self.audience.listeners)
        frames = self._watch.changes_for(self.audience)
        if frames:
            self._post(frames)


def _newer() -> QuerySet[Event]:
    newer = Event.objects.filter(pk__gt=Param("position", BigIntegerField()))
    return newer.order_by("pk")[:BATCH]


def _frames_for(
    listener: Listener, event_id: int, data: bytes
) -> list[tuple[Subscription, bytes]]:
    """Return the frame for each of the listener's streams that is before the event."""
    frames = []
    for stream in listener.streams:
        if stream.position < event_id:
            stream.position = event_id
            if data:
                frames.append((stream, data))
    return frames


def _is_within(spans: list[Span], event: RecentEvent) -> bool:
    return any(
        span.is_open
        and span.conversation_id == event.conversation_id
        and span.first <= event.event_id
        for span in spans
    )
