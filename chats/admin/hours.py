"""What one conversation or one person said in the last hours: a chart on their page."""

from collections import Counter
from datetime import datetime, timedelta

from django.db.models import F, OuterRef, Subquery
from django.template.loader import render_to_string
from django.utils import timezone
from django.utils.formats import date_format

from chats.admin.charts import Chart, Value
from chats.models import Conversation, Message, User

HOUR = timedelta(hours=1)
HOURS = 24
MOST_COUNTED = 10_000  # messages of a person


def hours_of_conversation(conversation: Conversation) -> str:
    """Draw a conversation's messages by the hour, however many there are.

    Each hour is a look into an index (``message_time``), since ``seq`` has no gaps:
    those before the first message of an hour are as many as its number says.
    """
    starts = _starts(timezone.now())
    own = Message.objects.filter(conversation=OuterRef("pk")).order_by("sent_at")
    firsts = {
        f"first_{number}": Subquery(own.filter(sent_at__gte=start).values("seq")[:1])
        for number, start in enumerate(starts)
    }
    row = Conversation.objects.filter(pk=conversation.pk).values(
        **firsts, last=F("last_seq")
    )
    found = row.get()
    counts: list[int] = []
    following = found["last"] + 1
    for number in reversed(range(HOURS)):
        first = found[f"first_{number}"] or following
        counts.append(following - first)
        following = first
    return _draw(starts, counts[::-1], starts[0])


def hours_of_person(person: User) -> str:
    """Draw a person's messages by the hour: the newest ``MOST_COUNTED`` of them."""
    starts = _starts(timezone.now())
    # message_sender
    newest = Message.objects.filter(sender=person, sent_at__gte=starts[0])
    times = newest.order_by("-sent_at").values_list("sent_at", flat=True)
    found = list(times[:MOST_COUNTED])
    counts = Counter(time.replace(minute=0, second=0, microsecond=0) for time in found)
    since = found[-1] if len(found) == MOST_COUNTED else starts[0]
    return _draw(starts, [counts[start] for start in starts], since)


def _starts(now: datetime) -> list[datetime]:
    """Return when the last hours began, the present one included."""
    this_hour = now.replace(minute=0, second=0, microsecond=0)
    return [this_hour - back * HOUR for back in reversed(range(HOURS))]


def _draw(starts: list[datetime], counts: list[int], since: datetime) -> str:
    """Draw the hours; those that begin before ``since`` are not counted to the end."""
    values = [
        Value(
            date_format(start, "j F, H:i"),
            date_format(start, "H:i") if number % 3 == 2 else "",
            count,
            is_whole=start >= since,
        )
        for number, (start, count) in enumerate(zip(starts, counts, strict=True))
    ]
    title = f"Messages per hour, last {HOURS} hours (UTC)"
    chart = Chart("hours", title, values, rest=f"Only the last {MOST_COUNTED:,} count.")
    return render_to_string("admin/chats/chart_field.html", {"chart": chart})
