"""The report of ``bench.speed.growth``: verdicts, tables, charts and the page."""

import statistics
from collections.abc import Iterator

from bench.lab import charts
from bench.lab.figures import CORES, Figures, Verdict, pooled
from bench.lab.report import goals_table, print_rows, write_chart, write_section
from bench.speed.growth_calls import CALLS

MOST = 1.3  # times the cost in the smallest database
UNBOUND = ("SQLite", "users search")  # its cost grows with the users: decision 28
LONGEST_BAR = 4.0  # times; longer bars would make the others invisible
HOW = """
Each call in databases of several sizes, by the same callers: one with 25
conversations, one with 10, one with 5,000 of a message each, and a superuser in the
admin. A tenth of all messages is in one conversation of the first two, a tenth in
their others, the rest in those of a crowd of one person to a hundred messages;
the event log holds the newest tenth. `python -m bench.speed.growth --write` measures
again and rewrites this section.

* **Cost** is processor time of the server process and of PostgreSQL's for the call,
  read from their clocks; PostgreSQL uses one process a statement here. All sizes are
  up at once and asked in turn, one connection each, a quarter of a second at a time:
  what else the machine does falls on all alike.
* **The goal** compares the largest database with the smallest in each round; the
  median of the rounds counts. Everything asked for is asked again and again: the
  pages it needs are in memory, as those of people who are active would be. A search
  of people on SQLite has no such goal: it looks through all of them
  ([decision 28](decisions/0028-people-on-sqlite-without-an-index.md)).
"""

Slices = dict[str, dict[int, list[Figures]]]  # by call, by size


def growth(slices: dict[int, list[Figures]], size: int) -> float:
    """Return the cost at a size as a multiple of that at the smallest one.

    It is the median of the rounds; in each round both were called within seconds.
    """
    base = slices[min(slices)]
    pairs = zip(slices[size], base, strict=False)
    return statistics.median(
        large.whole_cost / small.whole_cost for large, small in pairs
    )


def verdicts(measured: dict[str, Slices]) -> Iterator[Verdict]:
    """Judge each call on each database."""
    for name, slices in measured.items():
        for call, sizes in slices.items():
            if (name, call) == UNBOUND:
                continue
            largest = max(sizes)
            times = round(growth(sizes, largest), 2)
            words = CALLS[call]
            goal = f"{name}, {words}: at {largest:,} ÷ at {min(sizes):,} ≤ {MOST}"
            yield Verdict(goal, f"{times:.2f}", times <= MOST)


def head_of(slices: Slices) -> list[str]:
    sizes = list(next(iter(slices.values())))
    times = [f"{size:,}: p50 · p99 ms" for size in sizes]
    costs = [f"CPU ms at {size:,}" for size in sizes]
    return ["call", *times, *costs, "of it database", "largest ÷ smallest"]


def rows_of(slices: Slices) -> Iterator[list[str]]:
    for call, sizes in slices.items():
        whole = {size: pooled(parts) for size, parts in sizes.items()}
        largest = whole[max(whole)]
        database = 1000 * largest.database / len(largest.latencies)
        yield [
            CALLS[call],
            *(
                f"{f.percentile(50):.1f} · {f.percentile(99):.1f}"
                for f in whole.values()
            ),
            *(f"{figures.whole_cost:.2f}" for figures in whole.values()),
            f"{database:.2f}",
            f"{growth(sizes, max(sizes)):.2f}",
        ]


def times_of(figures: Figures) -> str:
    return f"{figures.percentile(50):.1f} · {figures.percentile(99):.1f}"


def print_table(name: str, slices: Slices) -> None:
    print(f"\n{name}; busy elsewhere: {elsewhere(slices):.2f} of {CORES} processors")
    print_rows(head_of(slices), rows_of(slices))


def elsewhere(slices: Slices) -> float:
    """Return the average number of processors busy with other things."""
    found = [
        figures.elsewhere
        for sizes in slices.values()
        for parts in sizes.values()
        for figures in parts
    ]
    return statistics.mean(found)


def write_page(measured: dict[str, Slices]) -> None:
    found = list(verdicts(measured))
    met = sum(verdict.is_met for verdict in found)
    missed = [verdict for verdict in found if not verdict.is_met]
    parts = [HOW, f"**{met} of {len(found)} calls meet the goal.**\n"]
    parts += [goals_table(missed), ""] if missed else []
    for name, slices in measured.items():
        drawing = chart(name, slices)
        parts.append(
            write_chart(f"growth-{name.lower()}", f"growth on {name}", drawing)
        )
        table = charts.markdown_table(head_of(slices), rows_of(slices))
        parts += [f"### {name}, by the number of messages\n", table, ""]
        busy = f"{elsewhere(slices):.2f} of {CORES} processors"
        parts.append(f"Busy with other things meanwhile: {busy}.\n")
    write_section("bench.speed.growth", "Growth", "\n".join(parts))


def chart(name: str, slices: Slices) -> str:
    """Return a chart of each call's cost as a multiple of that at the smallest size."""
    groups = [
        charts.Group(CALLS[call], [bar(sizes, size) for size in list(sizes)[1:]])
        for call, sizes in slices.items()
    ]
    smallest = min(next(iter(slices.values())))
    title = f"Cost of a call as the database grows, {name}"
    return charts.bar_chart(title, f"times that at {smallest:,}", groups)


def bar(sizes: dict[int, list[Figures]], size: int) -> charts.Bar:
    times, cost = growth(sizes, size), pooled(sizes[size]).whole_cost
    note = f"{cost:,.1f} ms"
    if times > LONGEST_BAR:
        note += f"; truly {times:,.0f} times"
    return charts.Bar(f"{size:,} messages", min(times, LONGEST_BAR), note)
