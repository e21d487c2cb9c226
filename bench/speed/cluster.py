"""Measure two processes on one PostgreSQL.

It measures the throughput of one and of two processes with 64 connections, and the time
from a send at one process to the event at the other. Exits with 1 if a goal is missed.
``bench.proofs.process_kill`` shows what happens when one of the two is killed.
"""

import argparse
import os
import statistics
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from multiprocessing import get_context

from tqdm import tqdm

from bench.lab import charts
from bench.lab.figures import CORES, Figures, Meter, Verdict, pooled, scaling_of
from bench.lab.load import run_load
from bench.lab.report import (
    add_usual,
    finish,
    goals_table,
    parser_of,
    print_rows,
    write_chart,
    write_section,
)
from bench.lab.servers import Server, make_people, postgres
from bench.lab.small_dataset import Account, fill
from bench.speed.http import plans_of
from bench.speed.http_goals import CALLS, GOALS
from bench.speed.stream import latency

CONNECTIONS = 64
LATENCY_GOALS = {50: 15.0, 99: 60.0}  # milliseconds, by percentile
HOW = """
Two processes on two ports, each on a core of its own, one PostgreSQL, the load
generator and everything else on the same cores; the generator's share is given back as
above. `python -m bench.speed.cluster --write` measures again and rewrites this section.
"""

Results = dict[str, dict[int, Figures]]  # by call, by the number of processes


class Cluster:
    """Two servers on one database, and the load on one or both."""

    def __init__(self, url: str, accounts: list[Account], pool: ProcessPoolExecutor):
        self._url, self._accounts, self._pool = url, accounts, pool

    def measure(self, options: argparse.Namespace) -> Results:
        """Measure one and two processes in turn, slice by slice."""
        slices = {name: {1: [], 2: []} for name in GOALS}
        with ExitStack() as stack:
            servers = [
                stack.enter_context(Server(self._url, core=core)) for core in (0, 1)
            ]
            meter = Meter([server.pid for server in servers], self._url, stack)
            ports = [server.port for server in servers]
            total = options.rounds * len(GOALS) * 2
            with tqdm(total=total, desc="Throughput", unit="slice") as bar:
                for name in GOALS:
                    self._slice(meter, ports, name, 0.5)  # warms up
                    for number in range(2 * options.rounds):
                        count = 1 + number % 2
                        found = self._slice(meter, ports[:count], name, options.seconds)
                        slices[name][count].append(found)
                        bar.update()
        return {
            name: {count: pooled(found) for count, found in counts.items()}
            for name, counts in slices.items()
        }

    def _slice(
        self, meter: Meter, ports: list[int], name: str, seconds: float
    ) -> Figures:
        plans = plans_of(name, self._accounts, CONNECTIONS)
        before = meter.read()
        load = self._pool.submit(run_load, ports, plans, seconds).result()
        return Figures(*load, *meter.since(before))


def across(url: str, rounds: int) -> dict[int, float]:
    """Return percentiles of the time from a send at one to the event at the other."""
    people = make_people(url, 2)
    with Server(url, core=0) as first, Server(url, core=1) as second:
        p50, p99 = latency(first.url, second.url, people, rounds)
    return {50: p50, 99: p99}


# --- The report ---------------------------------------------------------------


def verdicts(results: Results, times: dict[int, float]) -> Iterator[Verdict]:
    for name, counts in results.items():
        what = f"{CALLS[name]}, {CONNECTIONS} connections"
        yield scaling_of(what, counts[1], counts[2])
    errors = sum(f.errors for counts in results.values() for f in counts.values())
    yield Verdict("no error under that load", f"{errors:,} errors", errors == 0)
    for percent, most in LATENCY_GOALS.items():
        found = round(times[percent], 1)
        goal = f"send at one, event at the other: p{percent} ≤ {most:g} ms"
        yield Verdict(goal, f"{found:.1f} ms", found <= most)


HEAD = ("call", "processes", "per second", "p50 ms", "p99 ms", "CPU ms", "database ms")


def rows_of(results: Results) -> Iterator[list[str]]:
    for name, counts in results.items():
        for count, figures in counts.items():
            database = figures.whole_cost - figures.cost
            yield [
                CALLS[name],
                str(count),
                f"{figures.rate:,.0f}",
                *(f"{figures.percentile(percent):.1f}" for percent in (50, 99)),
                *(f"{cost:.2f}" for cost in (figures.cost, database)),
            ]


def write_page(results: Results, found: list[Verdict]) -> None:
    groups = [
        charts.Group(
            CALLS[name],
            [
                charts.Bar(("one process", "two processes")[count - 1], figures.rate)
                for count, figures in counts.items()
            ],
        )
        for name, counts in results.items()
    ]
    title = f"Throughput, PostgreSQL, {CONNECTIONS} connections"
    drawing = charts.bar_chart(title, "requests per second", groups)
    parts = [HOW, goals_table(found), ""]
    parts.append(write_chart("cluster", "throughput of one and two", drawing))
    parts.append(charts.markdown_table(HEAD, rows_of(results)))
    busy = statistics.mean(
        figures.elsewhere for counts in results.values() for figures in counts.values()
    )
    parts.append(
        f"\nBusy with other things meanwhile: {busy:.2f} of {CORES} processors."
    )
    write_section("bench.speed.cluster", "Two processes", "\n".join(parts))


def arguments() -> argparse.Namespace:
    parser = parser_of("bench.speed.cluster", __doc__)
    add = parser.add_argument
    add("--rounds", type=int, help="slices of each throughput (4)")
    add("--seconds", type=float, default=3.0, help="of each slice (%(default)s)")
    add("--latencies", type=int, help="messages timed from one to the other (500)")
    add_usual(parser, quick="one slice each, 50 latencies", databases=False)
    options = parser.parse_args()
    options.rounds = options.rounds or (1 if options.quick else 4)
    options.latencies = options.latencies or (50 if options.quick else 500)
    return options


def main() -> None:
    options = arguments()
    print(f"{CORES} processors; load before: {os.getloadavg()[0]:.1f}")
    spawn = get_context("spawn")
    with (
        postgres(options.postgres) as url,
        ProcessPoolExecutor(1, mp_context=spawn) as pool,
    ):
        accounts = pool.submit(fill, url).result()
        results = Cluster(url, accounts, pool).measure(options)
        times = across(url, options.latencies)
    print_rows(HEAD, rows_of(results))
    found = list(verdicts(results, times))
    if options.write:
        write_page(results, found)
    finish(found)


if __name__ == "__main__":
    main()
