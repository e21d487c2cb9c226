"""Write a conversation to a file."""

import sys
from contextlib import ExitStack, suppress
from pathlib import Path
from uuid import UUID

from django.core.management.base import BaseCommand, CommandError, CommandParser
from tqdm import tqdm

from chats.encoding import to_json
from chats.exceptions import NotFound
from chats.management.snapshots import snapshot
from chats.models import AuditEntry
from chats.services.audit import record
from chats.services.transfer import export_conversation


class Command(BaseCommand):
    help = (
        "Write a conversation as lines of JSON, for import_conversation to restore: "
        "title, participants and their read cursors, messages with their numbers, ids "
        "and times. Of people, ids and names only. One consistent state, however long "
        "it takes; nobody waits for it."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("conversation_id", type=UUID, help="which conversation")
        parser.add_argument(
            "--output", type=Path, help="the file; it must not exist (default: stdout)"
        )

    def handle(self, *args, conversation_id: UUID, output: Path | None, **options):
        quiet = options["verbosity"] == 0
        try:
            with ExitStack() as stack:
                out = self.stdout._out if output is None else None
                out = out or stack.enter_context(output.open("x", encoding="utf-8"))
                stack.enter_context(snapshot())
                lines = export_conversation(conversation_id)
                for line in tqdm(lines, unit="line", disable=quiet, file=sys.stderr):
                    out.write(to_json(line).decode() + "\n")
        except (NotFound, OSError) as error:
            if output and isinstance(error, NotFound):
                with suppress(OSError):
                    output.unlink()
            raise CommandError(str(error)) from error
        action = AuditEntry.Action.CONVERSATION_EXPORTED
        record(action, actor=None, conversation_id=conversation_id)
