"""Reading the log for one user: the events that reach them, in pages."""

from collections.abc import Iterable
from dataclasses import dataclass
from uuid import UUID

from django.db.models import (
    BigIntegerField,
    Exists,
    Expression,
    F,
    OuterRef,
    Q,
    QuerySet,
    Subquery,
    Value,
)
from django.db.models.functions import Greatest

from chats.models import Event, Participant, PastParticipant
from chats.models.participants import OPEN_END, Span
from chats.realtime import cursors
from chats.realtime.departures import Departures
from chats.realtime.kinds import private_types
from chats.realtime.rendering import Payload, render
from chats.web.encoding import to_json
from chats.web.sizes import PAGE_BYTES

# How many events of all users are scanned before the user's conversations are searched
# one by one. Clients that follow the log are rarely further behind.
SCANNED = 2_000
RENDERED = 500  # events whose rows are loaded at once, as many as in the hub


@dataclass(frozen=True)
class Page:
    """Events for one user, in order; the next page begins after ``position``."""

    payloads: list[Payload]
    position: int
    has_more: bool


def visible_to(user_id: UUID, after: int) -> QuerySet[Event]:
    """Return the events after ``after`` that reach this user, in order.

    In each conversation these are the events from the user's joining to their leaving,
    both included, without other users' private events. Events that ``Departures`` hides
    are still included.
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
    if private := private_types():
        reaching = reaching.filter(~Q(type__in=private) | Q(user_id=user_id))
    return reaching.order_by("pk")


def first_of(user_id: UUID, after: int, count: int, *, end: int) -> list[Event]:
    """Return the first ``count`` events after ``after`` that reach this user.

    ``end`` is the id of the newest event. The cost is limited by ``SCANNED``, or
    otherwise by the number of the user's conversations; other users' activity cannot
    raise it.
    """
    reaching = visible_to(user_id, after)
    found = list(reaching.filter(pk__lte=after + SCANNED)[:count])
    if len(found) == count or end <= after + SCANNED:
        return found
    # Sorted here, because with a LIMIT the database may choose to scan the whole log.
    # Only up to ``end``, because the bounds do not cover events committed since.
    few = reaching.filter(_bounds(user_id, after, count), pk__lte=end).order_by()
    return sorted(few, key=lambda event: event.pk)[:count]


def _bounds(user_id: UUID, after: int, count: int) -> Q:
    """Return a condition that contains the first ``count`` events and few others.

    The first event of each span of participation shows which spans can contain one of
    them, and an upper limit for the ids. A span that has ``count`` events by itself
    gives another upper limit.
    """
    first_ids = _nth_events(user_id, after, place=0)
    spans = sorted(first_ids, key=first_ids.__getitem__)[:count]
    ids = {span.conversation_id for span in spans}
    ends = [*_nth_events(user_id, after, place=count - 1, within=ids).values()]
    if len(spans) == count:
        ends.append(first_ids[spans[-1]])
    whole = {
        span.conversation_id for span in spans if span.first <= after and span.is_open
    }
    bounds = Q(conversation_id__in=whole)
    for span in spans:
        if span.conversation_id not in whole:
            inside = (span.first, span.last)
            bounds |= Q(conversation_id=span.conversation_id, pk__range=inside)
    return Q(pk__lte=min(ends, default=OPEN_END)) & bounds


def _nth_events(
    user_id: UUID, after: int, *, place: int, within: Iterable[UUID] | None = None
) -> dict[Span, int]:
    """Return, for each of the user's spans, the id of an event in it.

    It is the event at index ``place`` of those after ``after``. Spans that have fewer
    are left out.
    """

    def with_event(rows: QuerySet, last: Expression) -> QuerySet:
        events = Event.objects.filter(
            conversation_id=OuterRef("conversation_id"),
            pk__gte=Greatest(Value(after + 1), OuterRef("first_event_id")),
            pk__lte=OuterRef("last"),
        )
        ids = events.order_by("pk").values("pk")[place : place + 1]
        rows = rows.filter(user_id=user_id).annotate(last=last).order_by()
        rows = rows if within is None else rows.filter(conversation_id__in=within)
        names = ("conversation_id", "first_event_id", "last")
        return rows.values_list(*names, Subquery(ids))

    past = PastParticipant.objects.filter(last_event_id__gt=after)
    present = with_event(Participant.objects.all(), Value(OPEN_END, BigIntegerField()))
    found = present.union(with_event(past, F("last_event_id")), all=True)
    return {Span(*span): event_id for *span, event_id in found if event_id}


def page(user_id: UUID, after: int, limit: int) -> Page:
    """Return the user's next events after ``after``: ``limit``, or fewer if long.

    Raises Gone if some of them are no longer kept.
    """
    # Read before the events, so that later commits are after the page's position.
    end = Event.objects.last_id()
    found = first_of(user_id, after, limit + 1, end=end)
    cursors.require_kept(after, end)
    has_more, found = len(found) > limit, found[:limit]
    payloads, count = _rendered(found, user_id)
    has_more = has_more or count < len(found)
    last = found[count - 1].pk if found else after
    position = last if has_more else max(last, end)
    return Page(payloads, position, has_more)


def _rendered(events: list[Event], user_id: UUID) -> tuple[list[Payload], int]:
    """Return the payloads for the user, and the number of events they are from.

    These are all events, or as many as make a page of limited size. The events are
    rendered in batches, because their rows may be long.
    """
    payloads, count, size = [], 0, 0
    for start in range(0, len(events), RENDERED):
        some = events[start : start + RENDERED]
        rendered, departures = render(some), Departures(some, user_id=user_id)
        for event, payload in zip(some, rendered, strict=True):
            count += 1
            if not payload or departures.is_hidden_from(event, user_id):
                continue
            payloads.append(payload)
            size += len(to_json(payload))
            if size > PAGE_BYTES:
                return payloads, count
    return payloads, count
