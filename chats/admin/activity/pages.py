"""The figures and charts on the admin's front page.

The cost of each is limited, however large the tables are: it is one index lookup, or it
counts up to a bound. Each is shown only to staff who may see the rows it is about.
"""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID

from django.db.models import Count, F, Max, OuterRef, QuerySet, Subquery
from django.db.models.functions import Coalesce
from django.template.loader import render_to_string
from django.utils import timezone
from django.utils.formats import date_format

from chats.admin.activity.charts import LAST_DAYS, LAST_HOURS, Chart
from chats.admin.activity.counts import NEWEST, count_all, count_newest
from chats.admin.links import link_to, link_to_conversation, link_to_list
from chats.models import Conversation, Event, Message, SignInAttempts, User
from chats.models.users import ONLINE_FOR
from chats.services.sign_in import WINDOW
from chats.web import metrics

MOST_COUNTED = 10_000  # users or counters
LOOKED_AT = 10_000  # newest events that are searched for the busiest conversations
BUSIEST = 5
DAY = timedelta(days=1)


class Figure(NamedTuple):
    """A number with its name."""

    name: str
    number: str
    note: str = ""


def activity_for(staff: User) -> dict[str, Any]:
    """Return the figures and charts that a member of staff may see."""
    now = timezone.now()
    sees = {
        model._meta.model_name: staff.has_perm(f"chats.view_{model._meta.model_name}")
        for model in (User, Conversation, Message, Event, SignInAttempts)
    }
    return {
        "figures": list(_figures(sees, now)),
        "charts": _charts() if sees["message"] else [],
        "busiest": _busiest(now) if sees["conversation"] and sees["message"] else None,
        "people": _busiest_people(now) if sees["user"] and sees["message"] else None,
        "looked_at": f"{LOOKED_AT:,}",
    }


def _figures(sees: dict[str, bool], now: datetime) -> Iterator[Figure]:
    if sees["user"]:
        yield Figure("People online", _seen_within(ONLINE_FOR), "last minute")
        yield Figure("Active people", _seen_within(DAY), "last 24 hours")
    if sees["event"]:
        streams = metrics.open_streams.collect()[0].samples[0].value
        yield Figure("Open streams", f"{streams:,.0f}", "in this process")
        yield _oldest_event()
    if sees["signinattempts"]:
        yield _failed_sign_ins(now)


def _seen_within(span: timedelta) -> str:
    people = User.objects.seen_within(span)
    return _bounded(people.order_by().values("pk")[: MOST_COUNTED + 1].count())


def _bounded(count: int) -> str:
    return f"{count:,}" if count <= MOST_COUNTED else f"over {MOST_COUNTED:,}"


def _oldest_event() -> Figure:
    times = Event.objects.order_by("event_id").values_list("created_at", flat=True)
    oldest = times.first()
    shown = date_format(timezone.localtime(oldest), "j M Y") if oldest else "none"
    return Figure("Oldest event kept", shown, "older cursors are refused")


def _failed_sign_ins(now: datetime) -> Figure:
    """Return the highest of the current counters.

    Not their sum, because one attempt is in several counters: for the account, for the
    address, and for both.
    """
    running = SignInAttempts.objects.filter(
        # Counters end within a window; remembered sign-ins end much later.
        window_ends_at__gt=now,
        window_ends_at__lte=now + WINDOW,
        attempts__gt=0,
    )
    some = running.order_by("window_ends_at")[:MOST_COUNTED]
    found = some.aggregate(most=Max("attempts"), all=Count("pk"))
    minutes = WINDOW // timedelta(minutes=1)
    note = f"in {minutes} minutes, the highest of {found['all']:,} counters"
    return Figure("Failed sign-ins", f"{found['most'] or 0:,}", note)


def _charts() -> list[Chart]:
    counts = count_all(hours=LAST_DAYS.number * LAST_DAYS.hours)
    rest = "Older ones are still being counted."
    return [series.chart(counts, rest=rest) for series in (LAST_HOURS, LAST_DAYS)]


def chart_of_hours(messages: QuerySet) -> str:
    """Return a chart of a conversation's or a user's messages by hour, as HTML."""
    counts = count_newest(messages, hours=LAST_HOURS.number)
    chart = LAST_HOURS.chart(counts, rest=f"Only the last {NEWEST:,} count.")
    return render_to_string("admin/chats/chart_field.html", {"chart": chart})


def _busiest(now: datetime) -> list[tuple[str, str]]:
    """Return links to the busiest conversations of the last day, with their counts.

    They are found in the newest events. The messages are counted by ``seq``, which has
    no gaps.
    """
    since = now - DAY
    named = [pk for pk, _ in _most_named(since, "conversation_id")]
    first = Message.objects.filter(conversation=OuterRef("pk"), sent_at__gte=since)
    rows = (
        Conversation.objects.kept()
        .filter(pk__in=named)
        .alias(first=Subquery(first.order_by("sent_at").values("seq")[:1]))
        .annotate(sent=F("last_seq") - F("first") + 1)
        .filter(sent__gt=0)
        .order_by("-sent", "pk")
    )
    return [
        (
            link_to_conversation(row),
            link_to_list(f"{row.sent:,}", Message, conversation=row.pk),
        )
        for row in rows
    ]


def _busiest_people(now: datetime) -> list[tuple[str, str]]:
    """Return links to the users with the most messages in the newest events.

    Each comes with the number of these messages.
    """
    named = _most_named(now - DAY, "actor_id")
    people = User.objects.in_bulk([pk for pk, _ in named])
    return [
        (link_to(people[pk]), link_to_list(f"{times:,}", Message, sender=pk))
        for pk, times in named
        if pk in people
    ]


def _most_named(since: datetime, column: str) -> list[tuple[UUID, int]]:
    """Return the most frequent values of a column in the newest sends, with counts.

    They are grouped by an expression, because for an indexed column SQLite would read
    the whole log in the order of the index.
    """
    recent: QuerySet = Event.objects.filter(
        event_id__gt=Event.objects.last_id() - LOOKED_AT,
        created_at__gte=since,
        type=Event.Type.MESSAGE_CREATED,
    )
    named = recent.order_by().values(named=Coalesce(column, column))
    counted = named.annotate(times=Count("pk")).order_by("-times", "named")
    return list(counted.values_list("named", "times")[:BUSIEST])
