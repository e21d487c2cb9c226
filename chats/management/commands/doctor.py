"""Check the rows for contradictions."""

from collections import Counter

from django.core.management.base import BaseCommand, CommandError, CommandParser
from tqdm import tqdm

from chats.management.arguments import BATCH, COUNT
from chats.management.doctor.invariants import Check, Scope
from chats.management.doctor.runner import CHECKS, examine, size_of


class Command(BaseCommand):
    help = (
        "Check the database for contradictions (messages numbered without a gap; "
        "correct counts, cursors and owners; a complete event log in order; nothing "
        "left of deleted users) and print one line for each problem. Exits with 1 if "
        "there is any. It only reads, each range of rows from one snapshot: it is safe "
        "on a live system, and changes in the meantime cause no false alarms."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--list", action="store_true", help="print the list of checks and exit"
        )
        parser.add_argument(
            "--show",
            type=COUNT,
            metavar="LINES",
            default=20,
            help="lines to print for each kind of problem, at most 1000000 (default: "
            "%(default)s)",
        )
        parser.add_argument(
            "--batch",
            type=BATCH,
            metavar="ROWS",
            default=2000,
            help="conversations or users to read in one snapshot, from 1 to 100000 "
            "(default: %(default)s)",
        )

    def handle(self, *args, show: int, batch: int, **options) -> None:
        if options["list"]:
            lines = (f"{check.name:20} {check.rule}" for check in CHECKS)
            self.stdout.write("\n".join(lines))
            return
        self.found: Counter[str] = Counter()
        self.show = show
        rows = self.examine_all(batch, quiet=options["verbosity"] == 0)
        self.conclude(rows)

    def examine_all(self, batch: int, *, quiet: bool) -> int:
        """Run every check; return the numbers of conversations and users."""
        total = sum(map(size_of, Scope))
        with tqdm(total=total, unit="row", disable=quiet) as bar:
            for scope in Scope:
                for rows in examine(scope, batch, self.report):
                    bar.update(rows)
        return total - size_of(Scope.LOG)

    def report(self, check: Check, finding: str) -> None:
        self.found[check.name] += 1
        if self.found[check.name] <= self.show:
            with tqdm.external_write_mode():
                self.stdout.write(f"{check.name}: {finding}")

    def conclude(self, rows: int) -> None:
        if not self.found:
            self.stdout.write(f"{len(CHECKS)} checks, {rows} rows: no problems.")
            return
        for name, count in self.found.items():
            if count > self.show:
                self.stdout.write(f"{name}: {count - self.show} more")
        kinds = ", ".join(f"{name} {count}" for name, count in self.found.items())
        raise CommandError(f"{self.found.total()} problems: {kinds}.")
