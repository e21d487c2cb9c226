"""Appending events in the transaction of the change, and waking readers after it."""

from django.db import transaction

from chats.db import wakeups
from chats.models import Event


def announce(*events: Event) -> None:
    """Append events to the log, which gives them their ids.

    Call it last before the commit: every other writer then waits for the log's lock.
    """
    Event.objects.append(*events)
    transaction.on_commit(wakeups.notify_new_events)
