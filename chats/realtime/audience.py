"""Who is listening in this process, and from which event on they get what."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from uuid import UUID

from chats.models import Participant, PastParticipant
from chats.models.credentials import Credential
from chats.models.participants import Span


class Subscription:
    """One open stream as the hub sees it; ``position`` is the hub thread's alone."""

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

        ``"behind"``: read the backlog once more, then join again.
        """
        raise NotImplementedError


@dataclass(eq=False)
class Listener:
    """Somebody listening here; ``spans`` has each conversation's first event."""

    user_id: UUID
    streams: set[Subscription] = field(default_factory=set)
    spans: dict[UUID, int] = field(default_factory=dict)


def spans_of(user_ids: Iterable[UUID], after: int) -> dict[UUID, list[Span]]:
    """Return each person's spans of participation that reach past ``after``."""
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
    """The people listening, found by id and by conversation.

    Kept in step with the log: it changes with the events as they are dispatched,
    so what it says is true at the hub's position.
    """

    def __init__(self) -> None:
        self.people: dict[UUID, Listener] = {}
        self._by_conversation: dict[UUID, set[Listener]] = {}

    def recipients(self, conversation_id: UUID, event_id: int) -> list[Listener]:
        """Return those whom this event reaches."""
        return [
            person
            for person in self._by_conversation.get(conversation_id, ())
            if person.spans[conversation_id] <= event_id
        ]

    def participants_listening(self, conversation_id: UUID) -> set[Listener]:
        return self._by_conversation.get(conversation_id, set())

    def open_span(self, user_id: UUID, span: Span) -> None:
        """Note that a person takes part from an event on, if they listen here."""
        person = self.people.get(user_id)
        if person is not None:
            self._attach(person, span)

    def close_span(self, user_id: UUID, conversation_id: UUID) -> None:
        person = self.people.get(user_id)
        if person is not None and person.spans.pop(conversation_id, None) is not None:
            self._detach(person, conversation_id)

    def close_conversation(self, conversation_id: UUID) -> None:
        for person in self._by_conversation.pop(conversation_id, ()):
            del person.spans[conversation_id]

    def add(self, stream: Subscription, spans: list[Span], position: int) -> None:
        """Add a stream whose person's spans were just loaded.

        A span that ended after ``position`` is still open here: the event that
        ends it is yet to be dispatched. A person who listens already is in step.
        """
        person = self.people.get(stream.user_id)
        if person is None:
            person = self.people[stream.user_id] = Listener(stream.user_id)
            for span in spans:
                if span.last > position:
                    self._attach(person, span)
        person.streams.add(stream)

    def remove(self, stream: Subscription) -> None:
        """Forget a stream, and its person with the last one; unknown is harmless."""
        person = self.people.get(stream.user_id)
        if person is None:
            return
        person.streams.discard(stream)
        if person.streams:
            return
        del self.people[stream.user_id]
        for conversation_id in person.spans:
            self._detach(person, conversation_id)

    def streams(self) -> list[Subscription]:
        return [stream for person in self.people.values() for stream in person.streams]

    def _attach(self, person: Listener, span: Span) -> None:
        earlier = person.spans.get(span.conversation_id, span.first)
        person.spans[span.conversation_id] = min(earlier, span.first)
        self._by_conversation.setdefault(span.conversation_id, set()).add(person)

    def _detach(self, person: Listener, conversation_id: UUID) -> None:
        people = self._by_conversation[conversation_id]
        people.discard(person)
        if not people:
            del self._by_conversation[conversation_id]
