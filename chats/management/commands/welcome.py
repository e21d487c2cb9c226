"""Print the addresses of a server's pages."""

from django.core.management.base import BaseCommand, CommandParser

from chats.management.arguments import web_address
from chats.management.demo.welcome import welcome


class Command(BaseCommand):
    help = (
        "Print the addresses of a server's pages, and which database and cache the "
        "settings choose, without connecting to them. make run prints it at the start."
    )
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "url", type=web_address, help="the server's address: http://localhost:8000"
        )

    def handle(self, *args, url: str, **options) -> None:
        self.stdout.write(welcome(url.rstrip("/")))
