"""Appending events in the transaction of the change, waking readers after it."""

from django.db import transaction

from chats.db import wakeups
from chats.models import Event


def announce(*events: Event) -> None:
    """Append events to the log; they gain their ids. Call it last before the commit:
    it takes the log's lock, for which every other writer then waits."""
    Event.objects.append(*events)
    transaction.on_commit(wakeups.notify_new_events)
