"""Look whether the rows are as they must be."""

from collections import Counter

from django.core.management.base import BaseCommand, CommandError, CommandParser
from tqdm import tqdm

from chats.management.arguments import BATCH, COUNT
from chats.management.doctor.invariants import Check, Scope
from chats.management.doctor.runner import CHECKS, examine, size_of


class Command(BaseCommand):
    help = (
        "Recompute from the rows what must be true of them (messages numbered without "
        "a gap, counts, cursors and owners right, the event log whole and in order, "
        "nothing left of deleted people) and print what is not, one line each. Exits "
        "with 1 if anything is wrong. It only reads, a range at a time, each from one "
        "snapshot: safe on a live system, and what changes meanwhile is no false alarm."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--list", action="store_true", help="print what is checked, and stop"
        )
        parser.add_argument(
            "--show",
            type=COUNT,
            metavar="LINES",
            default=20,
            help="lines printed of each kind of problem, at most 1000000 (default: "
            "%(default)s)",
        )
        parser.add_argument(
            "--batch",
            type=BATCH,
            metavar="ROWS",
            default=2000,
            help="conversations or people read in one snapshot, from 1 to 100000 "
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
        """Run every check; return how many conversations and people there are."""
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
            self.stdout.write(f"{len(CHECKS)} checks, {rows} rows: nothing is wrong.")
            return
        for name, count in self.found.items():
            if count > self.show:
                self.stdout.write(f"{name}: {count - self.show} more")
        kinds = ", ".join(f"{name} {count}" for name, count in self.found.items())
        raise CommandError(f"{self.found.total()} problems: {kinds}.")
