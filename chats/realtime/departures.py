"""Events that users who have left must not receive any more."""

from collections.abc import Sequence
from uuid import UUID

from django.db.models import BigIntegerField, UUIDField

from chats.db.prepared import Param, Prepared
from chats.models import Event, PastParticipant
from chats.realtime.kinds import Type, shows_message

COLUMNS = ("conversation_id", "user_id", "last_event_id")


class Departures:
    """The participations that ended after some events, and the later changes.

    Events are rendered from the rows as they are now. So a user who was removed after
    an event could see what changed after the removal. Of the events before the removal
    they receive only those that show nothing newer: unchanged messages, and removals.

    Create it after rendering, so that it includes every removal whose later changes may
    have been rendered.
    """

    def __init__(self, events: Sequence[Event], *, user_id: UUID | None = None):
        """Load the departures from the events' conversations, of one user or of all."""
        self._ends: dict[tuple[UUID, UUID], list[int]] = {}
        self._changed_at: dict[UUID, int] = {}
        if not events:
            return
        self._find_ends(events, user_id)
        if self._ends:
            self._find_changes(events)

    def is_hidden_from(self, event: Event, user_id: UUID) -> bool:
        """Return whether this user must not receive the event any more."""
        ends = self._ends.get((event.conversation_id, user_id), ())
        end = min((end for end in ends if end > event.pk), default=None)
        if end is None:
            return False
        if shows_message(event):
            return self._changed_at.get(event.message_id, 0) > end
        return event.type != Type.PARTICIPANT_REMOVED

    def _find_ends(self, events: Sequence[Event], user_id: UUID | None) -> None:
        after = events[0].pk
        conversation_ids = {event.conversation_id for event in events}
        if user_id is None and len(conversation_ids) == 1:
            past = _PAST.rows(conversation_id=min(conversation_ids), after=after)
        else:
            past = PastParticipant.objects.filter(
                conversation_id__in=conversation_ids, last_event_id__gt=after
            ).values(*COLUMNS)
            past = past if user_id is None else past.filter(user_id=user_id)
        for row in past:
            key = row["conversation_id"], row["user_id"]
            self._ends.setdefault(key, []).append(row["last_event_id"])

    def _find_changes(self, events: Sequence[Event]) -> None:
        left = {conversation_id for conversation_id, _ in self._ends}
        messages = {e.message_id for e in events if e.conversation_id in left}
        changes = Event.objects.filter(
            conversation_id__in=left, message_id__in=messages, pk__gt=events[0].pk
        )
        in_order = changes.order_by("pk").values_list("message_id", "pk")
        self._changed_at.update(in_order.exclude(type=Type.MESSAGE_CREATED))


# Runs for nearly every event: usually a batch is one event, just committed.
_PAST = Prepared(
    lambda: PastParticipant.objects.filter(
        conversation_id=Param("conversation_id", UUIDField()),
        last_event_id__gt=Param("after", BigIntegerField()),
    ).values(*COLUMNS)
)
