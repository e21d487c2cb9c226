"""Delete expired sessions, tokens and counters of sign-in attempts."""

from django.core.management import call_command
from django.core.management.base import BaseCommand

from chats.services.sign_in import forget_expired


class Command(BaseCommand):
    help = (
        "Delete expired sessions and access tokens, and counters of sign-in attempts "
        "whose window is over. Safe on a live system; run it daily, for example "
        "from cron."
    )

    def handle(self, *args, **options) -> None:
        call_command("clearsessions")
        tokens, counters = forget_expired()
        self.stdout.write(f"{tokens} tokens and {counters} counters deleted.")
