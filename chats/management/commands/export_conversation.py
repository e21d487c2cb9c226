"""Write a conversation to a file."""

import os
import secrets
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from uuid import UUID

from django.core.management.base import BaseCommand, CommandError, CommandParser
from tqdm import tqdm

from chats.management.doctor.snapshots import snapshot
from chats.models import AuditEntry
from chats.services.audit import record
from chats.services.transfer import export_conversation
from chats.web.encoding import to_json
from chats.web.exceptions import NotFound


class Command(BaseCommand):
    help = (
        "Write a conversation as lines of JSON, for import_conversation to restore: "
        "title, participants and their read cursors, messages with their numbers, ids "
        "and times. Of users, only ids and names are written. The export is one "
        "consistent state, however long it takes, and blocks nobody."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("conversation_id", type=UUID, help="the conversation's id")
        parser.add_argument(
            "--output",
            type=Path,
            help="the file, which must not exist yet (default: stdout)",
        )

    def handle(self, *args, conversation_id: UUID, output: Path | None, **options):
        quiet = options["verbosity"] == 0
        place = writing_to(output) if output else nullcontext(self.write_bytes)
        try:
            with place as write, snapshot():
                lines = export_conversation(conversation_id)
                for line in tqdm(lines, unit="line", disable=quiet, file=sys.stderr):
                    write(to_json(line) + b"\n")
        except (NotFound, OSError, ValueError) as error:
            raise CommandError(str(error)) from error
        action = AuditEntry.Action.CONVERSATION_EXPORTED
        record(action, actor=None, conversation_id=conversation_id)

    def write_bytes(self, data: bytes) -> None:
        """Write to standard output, in UTF-8 whatever the encoding of the terminal."""
        out = self.stdout._out
        if binary := getattr(out, "buffer", None):
            binary.write(data)
        else:
            out.write(data.decode())


@contextmanager
def writing_to(file: Path) -> Iterator[Callable[[bytes], object]]:
    """Yield a function that writes a new file, which appears whole or not at all.

    Raises FileExistsError if there is one already.
    """
    if file.exists():
        raise FileExistsError(f"{file} already exists.")
    draft = file.with_name(f"{file.name}.{secrets.token_hex(4)}")
    try:
        with draft.open("xb") as opened:
            yield opened.write
            opened.flush()
            os.fsync(opened.fileno())
        os.link(draft, file)  # fails if the file has been created meanwhile
    finally:
        draft.unlink(missing_ok=True)
