"""Erase what is left of deleted conversations."""

from django.core.management.base import BaseCommand
from tqdm import tqdm

from chats.services.erasing import erase_batch
from chats.services.pacing import in_turns


class Command(BaseCommand):
    help = (
        "Erase what is left of deleted conversations. A server does this itself after "
        "each deletion; this command erases what a server had not finished when it "
        "stopped. Works in small transactions, so it is safe on a live system and may "
        "be interrupted; run it daily, for example from cron."
    )

    def handle(self, *args, **options) -> None:
        deleted = 0
        with tqdm(unit="row", disable=options["verbosity"] == 0) as bar:
            for step in in_turns(erase_batch):
                deleted += step
                bar.update(step)
        self.stdout.write(f"{deleted} rows deleted.")
