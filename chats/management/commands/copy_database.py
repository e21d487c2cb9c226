"""Copy another database into the one of the settings."""

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import DatabaseError, connection
from tqdm import tqdm

from chats.management.copying import CopyError, connected, copy_all, require_copyable


class Command(BaseCommand):
    help = (
        "Copy all rows of another database into the one of DATABASE_URL, which must be "
        "migrated and empty: from SQLite to PostgreSQL, or back. Stop the services "
        "first. Either all rows are copied and compared, or none; the source is only "
        "read. Users stay signed in. The event log gets a new identity, so every "
        "client reloads everything once."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--from",
            dest="source",
            required=True,
            help="the database to copy, in the form of DATABASE_URL: sqlite:////path",
        )

    def handle(self, *args, source: str, **options) -> None:
        try:
            with connected(source):
                rows = require_copyable()
                # Each row counts twice: when it is written and when it is compared.
                quiet = options["verbosity"] == 0
                with tqdm(total=2 * rows, unit="row", disable=quiet) as bar:
                    sums = copy_all(bar.update)
        except (CopyError, DatabaseError) as error:
            raise CommandError(f"Nothing was copied. {error}") from error
        if connection.vendor == "postgresql":
            with connection.cursor() as cursor:
                cursor.execute(
                    "ANALYZE"
                )  # otherwise queries are planned for empty tables
        self.stdout.write(
            f"{sum(total.rows for total in sums.values())} rows of {len(sums)} tables "
            "copied and compared."
        )
