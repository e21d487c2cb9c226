"""Reading the log for one person: who gets what, and pages of it."""

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

# How many of everybody's events are looked at before all of a person's conversations
# are. Clients that follow the log are seldom further behind.
SCANNED = 2_000
RENDERED = 500  # events whose rows are read at once, as many as the hub reads


@dataclass(frozen=True)
class Page:
    """Some of a person's events in order; ``position`` is where to go on."""

    payloads: list[Payload]
    position: int
    has_more: bool


def visible_to(user_id: UUID, after: int) -> QuerySet[Event]:
    """Return the events past ``after`` that reach this person, in order.

    Those of a conversation from the one by which they joined to the one by which
    they left, both included, without others' private ones; what ``Departures`` hides is
    still among them.
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
    """Return the first events past ``after`` that reach this person.

    ``end`` is the newest in the log. Whatever others did meanwhile, the cost is
    bounded: by ``SCANNED``, or by the person's conversations.
    """
    reaching = visible_to(user_id, after)
    found = list(reaching.filter(pk__lte=after + SCANNED)[:count])
    if len(found) == count or end <= after + SCANNED:
        return found
    # Sorted here: to the database a LIMIT may be a reason to walk the whole log.
    # Only to the end read before: what commits meanwhile is not within the bounds.
    few = reaching.filter(_bounds(user_id, after, count), pk__lte=end).order_by()
    return sorted(few, key=lambda event: event.pk)[:count]


def _bounds(user_id: UUID, after: int, count: int) -> Q:
    """Return bounds within which the first events are, and only few others.

    The first event of each span of participation tells which spans may have one of
    the first ``count``, and up to where; a span that has as many by itself, too.
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
    """Return the id of the n-th event past ``after`` of each of the person's spans.

    Spans that have fewer are left out.
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
    """Return up to ``limit`` of the person's events past ``after``, fewer if long.

    Raises Gone when some of them are no longer kept.
    """
    # Read before the events: what commits in between is then after the position.
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
    """Return what the person gets of the first events, and how many events that are:
    all, or as many as make a page of bounded size.

    Some at a time, since what they speak of may be long.
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
