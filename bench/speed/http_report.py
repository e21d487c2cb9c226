"""The report of ``bench.speed.http``: tables, charts and how to read them."""

from collections.abc import Iterator

from bench.lab import charts
from bench.lab.figures import CORES, Figures
from bench.lab.report import goals_table, print_rows, write_chart, write_section
from bench.speed.http_goals import CALLS, SIDES, Case, Results, ratio, verdicts

HEAD = ("call", "connections", "processes", "per second", "floor", "p50 ms", "floor")
HEAD += ("p99 ms", "floor", "CPU ms", "floor", "**ours ÷ floor**", "errors", "floor")
HOW = """
Each line: requests per second, their latency, the processor time of the server
processes per request, and errors; the floor beside each, measured in turn with it on
the same data. `make bench` measures again and rewrites this section.

* **The floor** is `bench/speed/floor.py`: a bare WSGI function on the same ASGI shell
  and uvicorn, the same statements through the plain driver in the same transactions
  under the same locks, the same JSON through orjson. Before measuring, both sides'
  answers are compared: the same keys all the way down, pages and lists equal to the
  letter.
* **Two processes** are two servers on two ports, which the connections take in turn,
  as behind a balancer. Each process, ours and the floor's, one or two, keeps to a core
  of its own, as in deploy.md; `--any-core` measures without that.
* **The load** comes from one more process on the same processors, without pauses, on
  kept connections, each of another person who sends in a conversation of their own.
  For the goal of two processes its share is given back: the throughput of two is
  multiplied by C ÷ (C - g), with C processors of which the generator took g during
  that run beyond what was idle. In brackets: as measured, and with the database's
  share given back too, which stands for a database on a machine of its own.
* **Marking as read** moves the cursor every time. **Signing in** is mostly Argon2; its
  sides are asked one after the other, and the floor's has no savepoints.
"""


def table_rows(results: Results) -> Iterator[list[str]]:
    for case, sides in results.items():
        ours, floor = sides["ours"], sides["floor"]
        yield [
            CALLS[case.call],
            str(case.connections),
            str(case.processes),
            *(f"{side.rate:,.0f}" for side in (ours, floor)),
            *(f"{side.percentile(50):.1f}" for side in (ours, floor)),
            *(f"{side.percentile(99):.1f}" for side in (ours, floor)),
            *(f"{side.cost:.2f}" for side in (ours, floor)),
            f"{ratio(sides):.2f}",
            *(str(side.errors) for side in (ours, floor)),
        ]


def print_table(name: str, results: Results) -> None:
    print(f"\n{name}; busy elsewhere: {elsewhere(results):.2f} of {CORES} processors")
    print_rows([item.strip("*") for item in HEAD], table_rows(results))


def elsewhere(results: Results) -> float:
    """Return the average number of processors busy with other things."""
    found = [side.elsewhere for sides in results.values() for side in sides.values()]
    return sum(found) / len(found)


def write_page(measured: dict[str, Results]) -> None:
    """Write tables and charts into the documentation."""
    parts = [HOW]
    if "PostgreSQL" in measured:
        found = verdicts(measured["PostgreSQL"])
        parts += [goals_table(found, "goal, on PostgreSQL"), ""]
    for name, results in measured.items():
        for kind, drawing in drawings(name, results).items():
            file = f"http-{kind}-{name.lower()}"
            parts.append(write_chart(file, f"{kind} on {name}", drawing))
        parts += [f"### {name}\n", charts.markdown_table(HEAD, table_rows(results)), ""]
        busy = f"{elsewhere(results):.2f} of {CORES} processors"
        parts.append(f"Busy with other things meanwhile: {busy}.\n")
    write_section("bench.speed.http", "Calls over HTTP", "\n".join(parts))


def drawings(name: str, results: Results) -> dict[str, str]:
    """Return the charts of one database, without sign-in, which takes much longer."""
    shown = {case: sides for case, sides in results.items() if case.call != "sign-in"}
    usual = 8 if any(case.connections == 8 for case in shown) else 1
    at_once = max((case.connections for case in shown), default=0)
    costs = [
        charts.Group(CALLS[case.call], bars_of(sides))
        for case, sides in shown.items()
        if case.processes == 1 and case.connections == usual
    ]
    rates = [
        charts.Group(CALLS[key], rates_of(key, at_once, shown))
        for key in CALLS
        if any(case.call == key for case in shown)
    ]
    title = f"Processor time per request, {name}, {usual} connections"
    speed = f"Throughput, {name}, {at_once} connections"
    return {
        "cost": charts.bar_chart(title, "milliseconds", costs),
        "throughput": charts.bar_chart(speed, "requests per second", rates),
    }


def bars_of(sides: dict[str, Figures]) -> list[charts.Bar]:
    ours = charts.Bar("ours", sides["ours"].cost, f"{ratio(sides):.2f} floors")
    return [ours, charts.Bar("floor", sides["floor"].cost)]


def rates_of(name: str, connections: int, results: Results) -> list[charts.Bar]:
    words = {1: "one process", 2: "two processes"}
    return [
        charts.Bar(
            f"{side}, {words[count]}",
            results[Case(name, connections, count)][side].rate,
        )
        for side in SIDES
        for count in words
    ]
