"""Correct what participants' rows say about their conversations."""

from django.core.management.base import BaseCommand
from tqdm import tqdm

from chats.models import Conversation
from chats.services.repair import repair_batch

BATCH = 500  # conversations locked at once


class Command(BaseCommand):
    help = (
        "Compare each participant's row with its conversation (the hour of activity, "
        "whether something is unread) and correct differences: after an upgrade during "
        "which an older release kept running, or after rows were written by hand. "
        "Works in small transactions, so it is safe on a live system, and may be "
        "repeated."
    )

    def handle(self, *args, **options) -> None:
        after, mended = None, 0
        count = Conversation.objects.count()
        with tqdm(total=count, disable=options["verbosity"] == 0) as bar:
            while True:
                after, step = repair_batch(after, BATCH)
                mended += step
                if after is None:
                    break
                bar.update(BATCH)
        self.stdout.write(f"{mended} rows corrected.")
