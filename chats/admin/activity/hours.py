"""What one conversation or one person said in the last hours: a chart on their page."""

from collections import Counter
from collections.abc import Mapping
from datetime import datetime

from django.db.models import F, OuterRef, Subquery
from django.template.loader import render_to_string
from django.utils import timezone

from chats.admin.activity.charts import LAST_HOURS
from chats.models import Conversation, Message, User

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
    counts: dict[datetime, int] = {}
    following = found["last"] + 1
    for number, start in reversed(list(enumerate(starts))):
        first = found[f"first_{number}"] or following
        counts[start] = following - first
        following = first
    return _draw(counts, starts[-1], whole_since=starts[0])


def hours_of_person(person: User) -> str:
    """Draw a person's messages by the hour: the newest ``MOST_COUNTED`` of them."""
    starts = _starts(timezone.now())
    # message_sender
    newest = Message.objects.kept().filter(sender=person, sent_at__gte=starts[0])
    times = newest.order_by("-sent_at").values_list("sent_at", flat=True)
    found = list(times[:MOST_COUNTED])
    counts = Counter(map(_hour_of, found))
    since = found[-1] if len(found) == MOST_COUNTED else starts[0]
    return _draw(counts, starts[-1], whole_since=since)


def _starts(now: datetime) -> list[datetime]:
    """Return when the last hours began, the present one included."""
    return LAST_HOURS.starts(_hour_of(now))


def _hour_of(time: datetime) -> datetime:
    return time.replace(minute=0, second=0, microsecond=0)


def _draw(
    counts: Mapping[datetime, int], newest: datetime, *, whole_since: datetime
) -> str:
    """Draw the hours; those that begin earlier are not counted to the end."""
    chart = LAST_HOURS.chart(
        newest,
        lambda start: (counts[start], start >= whole_since),
        rest=f"Only the last {MOST_COUNTED:,} are counted.",
    )
    return render_to_string("admin/chats/chart_field.html", {"chart": chart})
