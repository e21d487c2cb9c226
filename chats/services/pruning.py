"""Deleting old events, a few at a time."""

from datetime import datetime

from django.db import transaction
from django.utils import timezone

from chats.db.clocks import SKEW
from chats.models import Event, EventLog, PastParticipant


def prunable_through(before: datetime) -> tuple[int, int]:
    """Return the id of the last event older than ``before``, and the number to delete.

    Ids are in commit order and times nearly so: everything before the first event that
    is certainly younger can be deleted. So an event that a wrong clock dated long ago
    does not take younger ones with it, and one dated in the future keeps no older ones.
    """
    in_order = Event.objects.order_by("event_id").values_list("event_id", flat=True)
    possible = (before, timezone.now() + SKEW)
    younger = in_order.filter(created_at__range=possible).first()
    old = in_order.filter(created_at__lt=before)
    if younger:
        old = in_order.filter(event_id__lt=younger)
    end = old.last() or EventLog.pruned_through()
    return end, Event.objects.filter(event_id__lte=end).count()


@transaction.atomic
def prune_batch(end: int, size: int) -> int:
    """Delete the oldest ``size`` events up to ``end``; return their number.

    The beginning of the log moves in the same transaction: a reader whose cursor is
    before it gets an error, never a log with a gap.
    """
    oldest = Event.objects.filter(event_id__lte=end).order_by("event_id")
    ids = list(oldest.values_list("event_id", flat=True)[:size])
    if not ids:
        return 0
    EventLog.objects.get_or_create(pk=1)
    # Never back: another process may have pruned further.
    further = EventLog.objects.filter(pruned_through_id__lt=ids[-1])
    further.update(pruned_through_id=ids[-1])
    Event.objects.filter(event_id__lte=ids[-1]).delete()
    PastParticipant.objects.filter(last_event_id__lte=ids[-1]).delete()
    return len(ids)
