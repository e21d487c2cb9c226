"""The users with open streams in this process, and the events that reach each."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from uuid import UUID

from chats.models import Participant, PastParticipant
from chats.models.credentials import Credential
from chats.models.participants import Span


class Subscription:
    """An open stream as the hub sees it; only the hub's thread uses ``position``."""

    __slots__ = ("credential", "position", "user_id")

    def __init__(self, position: int, credential: Credential):
        self.user_id = credential.user_id
        self.position = position
        self.credential = credential

    def push(self, frame: bytes) -> None:
        """Queue a frame for the client; called in the shell's thread."""
        raise NotImplementedError

    def end(self, reason: str) -> None:
        """Close the stream; called in the shell's thread.

        For ``"behind"`` the shell reads the backlog again and then rejoins.
        """
        raise NotImplementedError


@dataclass(eq=False)
class Listener:
    """A user with open streams; ``spans`` has the first event of each conversation."""

    user_id: UUID
    streams: set[Subscription] = field(default_factory=set)
    spans: dict[UUID, int] = field(default_factory=dict)


def spans_of(user_ids: Iterable[UUID], after: int) -> dict[UUID, list[Span]]:
    """Return each user's spans of participation that include events after ``after``."""
    ids = list(user_ids)
    spans: dict[UUID, list[Span]] = {user_id: [] for user_id in ids}
    present = Participant.objects.filter(user_id__in=ids).order_by()
    for user_id, *span in present.values_list(
        "user_id", "conversation_id", "first_event_id"
    ):
        spans[user_id].append(Span(*span))
    past = PastParticipant.objects.filter(user_id__in=ids, last_event_id__gt=after)
    for user_id, *span in past.values_list(
        "user_id", "conversation_id", "first_event_id", "last_event_id"
    ):
        spans[user_id].append(Span(*span))
    return spans


class Audience:
    """The listeners of this process, by user and by conversation.

    It follows the log: dispatched events change it, so it is correct for the hub's
    position.
    """

    def __init__(self) -> None:
        self.listeners: dict[UUID, Listener] = {}
        self._by_conversation: dict[UUID, set[Listener]] = {}

    def recipients(self, conversation_id: UUID, event_id: int) -> list[Listener]:
        """Return the listeners that this event reaches."""
        return [
            listener
            for listener in self._by_conversation.get(conversation_id, ())
            if listener.spans[conversation_id] <= event_id
        ]

    def participants_listening(self, conversation_id: UUID) -> set[Listener]:
        return self._by_conversation.get(conversation_id, set())

    def open_span(self, user_id: UUID, span: Span) -> None:
        """Record that a user takes part from an event on, if they listen here."""
        listener = self.listeners.get(user_id)
        if listener is not None:
            self._attach(listener, span)

    def close_span(self, user_id: UUID, conversation_id: UUID) -> None:
        listener = self.listeners.get(user_id)
        if listener and listener.spans.pop(conversation_id, None) is not None:
            self._detach(listener, conversation_id)

    def close_conversation(self, conversation_id: UUID) -> None:
        for listener in self._by_conversation.pop(conversation_id, ()):
            del listener.spans[conversation_id]

    def add(self, stream: Subscription, spans: list[Span], position: int) -> None:
        """Add a stream and, if its user is new here, the user's spans.

        The spans were just loaded from the database, which may be ahead of the hub. A
        span that ended after ``position`` is still open here: the event that ends it
        has not been dispatched yet.
        """
        listener = self.listeners.get(stream.user_id)
        if listener is None:
            listener = self.listeners[stream.user_id] = Listener(stream.user_id)
            for span in spans:
                if span.last > position:
                    self._attach(listener, span)
        listener.streams.add(stream)

    def remove(self, stream: Subscription) -> None:
        """Remove a stream, and with the last one its user; ignore unknown streams."""
        listener = self.listeners.get(stream.user_id)
        if listener is None:
            return
        listener.streams.discard(stream)
        if listener.streams:
            return
        del self.listeners[stream.user_id]
        for conversation_id in listener.spans:
            self._detach(listener, conversation_id)

    def streams(self) -> list[Subscription]:
        return [
            stream
            for listener in self.listeners.values()
            for stream in listener.streams
        ]

    def _attach(self, listener: Listener, span: Span) -> None:
        earlier = listener.spans.get(span.conversation_id, span.first)
        listener.spans[span.conversation_id] = min(earlier, span.first)
        self._by_conversation.setdefault(span.conversation_id, set()).add(listener)

    def _detach(self, listener: Listener, conversation_id: UUID) -> None:
        listeners = self._by_conversation[conversation_id]
        listeners.discard(listener)
        if not listeners:
            del self._by_conversation[conversation_id]
