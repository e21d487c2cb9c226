"""Delete events that are older than their retention."""

from datetime import timedelta

from django.conf import settings
from django.core.management.base import BaseCommand, CommandParser
from django.utils import timezone
from tqdm import tqdm

from chats.management.arguments import BATCH, DAYS
from chats.services.pacing import in_turns
from chats.services.pruning import prunable_through, prune_batch


class Command(BaseCommand):
    help = (
        "Delete events older than EVENT_RETENTION_DAYS from the log. Messages are not "
        "touched. Clients whose cursor is older than the events that are kept must "
        "reload everything. Works in small transactions, so it is safe on a live "
        "system and may be interrupted; run it daily, for example from cron."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--days",
            type=DAYS,
            metavar="DAYS",
            default=settings.EVENT_RETENTION_DAYS,
            help="how many days to keep, from 1 to 3650 (default: "
            "EVENT_RETENTION_DAYS, now %(default)s)",
        )
        parser.add_argument(
            "--batch",
            type=BATCH,
            metavar="EVENTS",
            default=1000,
            help="events to delete in one transaction, from 1 to 100000 (default: "
            "%(default)s)",
        )

    def handle(self, *args, days: int, batch: int, **options) -> None:
        end, count = prunable_through(timezone.now() - timedelta(days=days))
        deleted = 0
        with tqdm(total=count, unit="event", disable=options["verbosity"] == 0) as bar:
            for step in in_turns(lambda: prune_batch(end, batch)):
                deleted += step
                bar.update(step)
        self.stdout.write(f"{deleted} events deleted; the log begins after {end}.")
