"""Invalidate every earlier cursor, as after restoring a backup."""

from django.core.management.base import BaseCommand

from chats.models import EventLog


class Command(BaseCommand):
    help = (
        "Give the event log a new identity. Run it after restoring a backup, while the "
        "services are stopped: clients have seen events that are gone, and would miss "
        "new events with the same numbers. Every client with an older cursor must "
        "reload everything once. Deletes nothing."
    )

    def handle(self, *args, **options) -> None:
        identity = EventLog.renew()
        self.stdout.write(f"The log is now {identity}: older cursors are invalid.")
