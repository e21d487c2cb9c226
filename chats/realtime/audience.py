"""Who is listening in this process, and from which event on they get what."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from uuid import UUID

from chats.models import Participant, PastParticipant
from chats.models.credentials import Credential


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


Span = tuple[UUID, int, int | None]  # conversation, first event, last event


def spans_of(user_ids: Iterable[UUID], after: int) -> dict[UUID, list[Span]]:
    """Return each person's spans of participation that reach past ``after``."""
    ids = list(user_ids)
    spans: dict[UUID, list[Span]] = {user_id: [] for user_id in ids}
    present = Participant.objects.filter(user_id__in=ids).order_by()
    for user_id, *span in present.values_list(
        "user_id", "conversation_id", "first_event_id"
    ):
        spans[user_id].append((*span, None))
    past = PastParticipant.objects.filter(user_id__in=ids, last_event_id__gt=after)
    for user_id, *span in past.values_list(
        "user_id", "conversation_id", "first_event_id", "last_event_id"
    ):
        spans[user_id].append(tuple(span))
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

    def open_span(self, user_id: UUID, conversation_id: UUID, first: int) -> None:
        """Note that a person takes part from this event on, if they listen here."""
        person = self.people.get(user_id)
        if person is not None:
            self._attach(person, conversation_id, first)

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
            for conversation_id, first, last in spans:
                if last is None or last > position:
                    self._attach(person, conversation_id, first)
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

    def _attach(self, person: Listener, conversation_id: UUID, first: int) -> None:
        earlier = person.spans.get(conversation_id, first)
        person.spans[conversation_id] = min(earlier, first)
        self._by_conversation.setdefault(conversation_id, set()).add(person)

    def _detach(self, person: Listener, conversation_id: UUID) -> None:
        people = self._by_conversation[conversation_id]
        people.discard(person)
        if not people:
            del self._by_conversation[conversation_id]
