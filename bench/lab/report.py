"""Shared by all programs: options, goals, tables and the page."""

import argparse
import sys
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from functools import partial

from bench.lab import charts
from bench.lab.figures import Verdict
from bench.lab.servers import ROOT, default_postgres, postgres, sqlite

DATABASES = ("SQLite", "PostgreSQL")
PAGE = ROOT / "docs" / "performance.md"

Maker = Callable[[], AbstractContextManager[str]]


def parser_of(program: str, description: str) -> argparse.ArgumentParser:
    """Return a parser for a program that is started as ``python -m program``."""
    return argparse.ArgumentParser(
        prog=f"python -m {program}",
        description=description,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )


def add_usual(
    parser: argparse.ArgumentParser,
    *,
    quick: str,
    databases: bool = True,
    writes: bool = True,
) -> None:
    """Add the options common to all programs; ``quick`` describes the short run.

    Some programs cannot choose their databases, or do not write to the page.
    """
    add = parser.add_argument
    add("--quick", action="store_true", help=quick)
    if writes:
        add("--write", action="store_true", help=f"into {PAGE.relative_to(ROOT)}")
    if databases:
        add("--database", nargs="+", choices=DATABASES, default=list(DATABASES))
    add(
        "--postgres",
        metavar="URL",
        default=default_postgres(),
        help="a server on which a database may be made (%(default)s)",
    )


def makers(options: argparse.Namespace) -> dict[str, Maker]:
    """Return functions that create a new database, by name, for those requested."""
    known = {"SQLite": sqlite, "PostgreSQL": partial(postgres, options.postgres)}
    return {name: known[name] for name in options.database}


def print_rows(head: Iterable[str], rows: Iterable[Iterable[str]]) -> None:
    """Print a table with its first column left-aligned and the others right-aligned."""
    table = [list(head), *map(list, rows)]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    for first, *others in table:
        cells = zip(others, widths[1:], strict=True)
        print(first.ljust(widths[0]), *(cell.rjust(width) for cell, width in cells))


def goals_table(verdicts: Iterable[Verdict], head: str = "goal") -> str:
    """Return the verdicts as a table of the page."""
    rows = [[verdict.goal, verdict.figure, verdict.word] for verdict in verdicts]
    return charts.markdown_table((head, "measured", ""), rows)


def write_chart(name: str, described: str, drawing: str) -> str:
    """Write a chart to a file beside the page; return the Markdown that shows it."""
    path = PAGE.parent / "img" / f"{name}.svg"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(drawing)
    return f"![{described}](img/{path.name})\n"


def write_section(name: str, title: str, body: str) -> None:
    """Write a program's section of the page."""
    charts.write_section(PAGE, name, title, body)


def finish(verdicts: Iterable[Verdict], title: str = "Goals") -> None:
    """Print the verdicts and exit, with 1 if a goal is missed."""
    found = list(verdicts)
    print(f"\n{title}" if found else "")
    for verdict in found:
        print(f"  {verdict.word:10} {verdict.goal}: {verdict.figure}")
    sys.exit(any(verdict.is_met is False for verdict in found))
