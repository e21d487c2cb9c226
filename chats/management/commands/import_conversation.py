"""Restore a conversation from a file."""

from collections.abc import Iterator
from pathlib import Path

from django.core.management.base import BaseCommand, CommandError, CommandParser
from tqdm import tqdm

from chats.services.transfer import import_conversation
from chats.services.transfer_lines import MOST_BYTES, Line, parse_line
from chats.web.exceptions import ChatError


class Command(BaseCommand):
    help = (
        "Restore a conversation from a file of export_conversation: all of it or, if "
        "anything is wrong, nothing. Refused if the conversation already exists. "
        "Users are matched by their ids. Clients that follow events see it created. On "
        "SQLite other writers wait until it is done."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", type=Path, help="a file of export_conversation")
        parser.add_argument(
            "--create-missing",
            action="store_true",
            help="create users who do not exist here; they cannot sign in",
        )

    def handle(self, *args, file: Path, create_missing: bool, **options):
        quiet = options["verbosity"] == 0
        try:
            lines = read_lines(file, quiet=quiet)
            conversation, created = import_conversation(
                lines, create_missing=create_missing
            )
        except (ChatError, OSError, ValueError) as error:
            raise CommandError(str(error)) from error
        self.stdout.write(
            f"Conversation {conversation.pk}: {conversation.last_seq} messages, "
            f"{conversation.participant_count} participants; {created} users created."
        )


def read_lines(file: Path, *, quiet: bool) -> Iterator[Line]:
    """Yield the objects of a file, one line in memory at a time; raises ChatError."""
    size = file.stat().st_size
    bar = tqdm(total=size, unit="B", unit_scale=True, disable=quiet)
    with file.open("rb") as opened, bar:
        lines = iter(lambda: opened.readline(MOST_BYTES + 1), b"")
        for number, line in enumerate(lines, start=1):
            bar.update(len(line))
            yield parse_line(line, number)
