"""Delete audit entries that are older than their retention."""

from datetime import timedelta

from django.conf import settings
from django.core.management.base import BaseCommand, CommandParser
from django.utils import timezone
from tqdm import tqdm

from chats.management.arguments import DAYS
from chats.models import AuditEntry
from chats.services.pacing import in_turns


class Command(BaseCommand):
    help = (
        "Delete audit entries older than AUDIT_RETENTION_DAYS. Works in small "
        "transactions, so it is safe on a live system and may be interrupted; run it "
        "daily, for example from cron."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--days",
            type=DAYS,
            metavar="DAYS",
            default=settings.AUDIT_RETENTION_DAYS,
            help="how many days to keep, from 1 to 3650 (default: "
            "AUDIT_RETENTION_DAYS, now %(default)s)",
        )

    def handle(self, *args, days: int, **options) -> None:
        before = timezone.now() - timedelta(days=days)
        deleted = 0
        with tqdm(unit="entry", disable=options["verbosity"] == 0) as bar:
            prune = AuditEntry.objects.prune_batch
            for step in in_turns(lambda: prune(before, 1000)):
                deleted += step
                bar.update(step)
        self.stdout.write(f"{deleted} audit entries deleted.")
