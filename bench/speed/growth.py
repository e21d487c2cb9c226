"""Measure the calls in databases of 10,000 to 5,000,000 messages.

Each size has the same callers; their conversations grow, and so do those of others. All
sizes run at once and are called in turn, so that other work of the machine affects all
equally. The cost of a call is the processor time of the server and the database, as a
multiple of that in the smallest database. Exits with 1 if a call costs more than 1.3
times as much in the largest one.
"""

import argparse
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from multiprocessing import get_context
from pathlib import Path

import psycopg
from tqdm import tqdm

from bench.lab.figures import Figures, Meter
from bench.lab.load import Load, follow_backlog, run_load
from bench.lab.loading import load_alone
from bench.lab.population import MISSED, Place
from bench.lab.report import add_usual, finish, makers, parser_of
from bench.lab.servers import Server
from bench.speed.growth_calls import CALLS, Caller
from bench.speed.growth_report import Slices, print_table, verdicts, write_page

SIZES = (10_000, 100_000, 1_000_000, 5_000_000)
QUICK = (10_000, 100_000)
LEAST = 10_000  # messages, so that the callers have all data for the calls
SLOW = 2.0  # seconds for one call; slower calls get only FEW slices
FEW = 2
DISK = "random_page_cost = 1.1"


def fill(database_url: str, messages: int, corpus: Path | None) -> Place:
    """Load a database from a separate process, whose settings name it."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        place = pool.submit(load_alone, database_url, messages, corpus).result()
    if database_url.startswith("postgres"):
        with psycopg.connect(database_url, autocommit=True) as connection:
            # So that one process, whose clock is read, does all work of a statement,
            # and the planner has the disk settings of docs/deploy.md.
            for setting in ("max_parallel_workers_per_gather = 0", DISK):
                alter = f'ALTER DATABASE "{connection.info.dbname}" SET {setting}'
                connection.execute(alter)
    return place


class Database:
    """One size: a filled database, its server, and the calls."""

    def __init__(self, url: str, place: Place, stack: ExitStack):
        self._server = stack.enter_context(Server(url))
        self._place = place
        self._meter = Meter([self._server.pid], url, stack)
        self._plans = Caller(self._server.url, place).plans()

    def measure(self, name: str, seconds: float, run: Callable) -> Figures:
        before = self._meter.read()
        load = self._load(name, seconds, run)
        if load.errors:
            raise SystemExit(f"{CALLS[name]}: {load.errors} errors.")
        return Figures(*load, *self._meter.since(before))

    def _load(self, name: str, seconds: float, run: Callable) -> Load:
        port = self._server.port
        if name == "stream":
            token, cursor = self._place.first.token, self._place.missed
            return run(follow_backlog, port, token, cursor, MISSED, seconds)
        return run(run_load, [port], [self._plans[name]()], seconds)


def measure(options: argparse.Namespace, maker: Callable, name: str) -> Slices:
    """Fill a database of each size and call them in turn, round after round."""
    slices: Slices = {call: {size: [] for size in options.sizes} for call in CALLS}
    context = get_context("spawn")
    with ExitStack() as stack:
        pool = stack.enter_context(ProcessPoolExecutor(1, mp_context=context))
        databases = {}
        for size in tqdm(options.sizes, desc=f"{name}: filling", unit="size"):
            url = stack.enter_context(maker())
            place = fill(url, size, options.corpus)
            databases[size] = Database(url, place, stack)

        def run(*task) -> Load:
            return pool.submit(*task).result()

        total = (1 + options.rounds) * len(CALLS)
        with tqdm(total=total, desc=f"{name}: asking", unit="call") as bar:
            for number in range(-1, options.rounds):
                for call in CALLS:
                    ask_all(databases, call, slices[call], number, run, options)
                    bar.update()
    return slices


def ask_all(
    databases: dict[int, Database],
    call: str,
    slices: dict[int, list[Figures]],
    number: int,
    run: Callable,
    options: argparse.Namespace,
) -> None:
    """Call every size once, in a rotating order; round -1 warms up."""
    sizes = list(databases)
    start = number % len(sizes)
    for size in sizes[start:] + sizes[:start]:
        if len(slices[size]) >= FEW and is_slow(slices[size]):
            continue
        seconds = 0.0 if number < 0 else options.seconds
        figures = databases[size].measure(call, seconds, run)
        if number >= 0:
            slices[size].append(figures)


def is_slow(slices: list[Figures]) -> bool:
    return min(slices[0].latencies) > SLOW


def arguments() -> argparse.Namespace:
    parser = parser_of("bench.speed.growth", __doc__)
    add = parser.add_argument
    add(
        "--sizes",
        nargs="+",
        type=int,
        metavar="N",
        help=f"messages, {LEAST:,} at least ({' '.join(map(str, SIZES))})",
    )
    add("--rounds", type=int, help="how often each call is asked everywhere (7)")
    add("--seconds", type=float, default=0.25, help="of load each time (%(default)s)")
    add(
        "--corpus",
        type=Path,
        metavar="DIRECTORY",
        help="of logs with lines [HH:MM] <nick> text, to send; otherwise made up",
    )
    add_usual(parser, quick=f"{QUICK[0]:,} and {QUICK[-1]:,} messages, 3 rounds")
    options = parser.parse_args()
    options.sizes = sorted(options.sizes or (QUICK if options.quick else SIZES))
    options.rounds = options.rounds or (3 if options.quick else 7)
    if options.sizes[0] < LEAST or len(options.sizes) < 2 or options.rounds > 20:
        parser.error(f"--sizes: two or more from {LEAST:,} on; --rounds: 20 at most")
    return options


def main() -> None:
    options = arguments()
    measured = {
        name: measure(options, maker, name) for name, maker in makers(options).items()
    }
    for name, slices in measured.items():
        print_table(name, slices)
    if options.write:
        write_page(measured)
    finish(verdicts(measured))


if __name__ == "__main__":
    main()
