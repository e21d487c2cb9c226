"""Reading the log for one person: who gets what, and pages of it."""

from dataclasses import dataclass
from uuid import UUID

from django.db.models import Exists, OuterRef, QuerySet

from chats.events import cursors
from chats.events.endings import Endings
from chats.events.rendering import Payload, render
from chats.models import Event, Participant, PastParticipant


@dataclass(frozen=True)
class Page:
    """Some of a person's events in order; ``position`` is where to go on."""

    payloads: list[Payload]
    position: int
    has_more: bool


def visible_to(user_id: UUID, after: int) -> QuerySet[Event]:
    """Return the events past ``after`` that reach this person, in order.

    Those of a conversation from the one by which they joined to the one by which
    they left, both included; what ``Endings`` hides is still among them.
    """
    present = Participant.objects.filter(
        user_id=user_id,
        conversation_id=OuterRef("conversation_id"),
        first_event_id__lte=OuterRef("pk"),
    )
    past = PastParticipant.objects.filter(
        user_id=user_id,
        conversation_id=OuterRef("conversation_id"),
        first_event_id__lte=OuterRef("pk"),
        last_event_id__gte=OuterRef("pk"),
    )
    reaching = Event.objects.filter(pk__gt=after).filter(Exists(present) | Exists(past))
    return reaching.order_by("pk")


def page(user_id: UUID, after: int, limit: int) -> Page:
    """Return up to ``limit`` of the person's events past ``after``.

    Raises Gone when some of them are no longer kept.
    """
    # Read before the events: what commits in between is then after the position.
    end = Event.objects.last_id()
    found = list(visible_to(user_id, after)[: limit + 1])
    cursors.require_kept(after, end)
    has_more, found = len(found) > limit, found[:limit]
    last = found[-1].pk if found else after
    payloads = render(found)
    endings = Endings(found, user_id=user_id)
    return Page(
        payloads=[
            payload
            for event, payload in zip(found, payloads, strict=True)
            if payload and not endings.hide(event, user_id)
        ],
        position=last if has_more else max(last, end),
        has_more=has_more,
    )
