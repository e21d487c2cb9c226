"""The goals of ``bench.speed.http``: cost relative to the floor, scaling, no errors."""

from collections.abc import Iterator
from typing import NamedTuple

from bench.lab.figures import Figures, Verdict, scaling_of

CALLS = {
    "send": "send",
    "page": "page of 50",
    "list": "list of 20",
    "read": "mark as read",
    "sign-in": "sign in",
}
SIDES = {
    "ours": "messaging_app.asgi:application",
    "floor": "bench.speed.floor:application",
}
GOALS = {"send": 2.5, "page": 3.0, "list": 3.0}  # ours ÷ floor, on PostgreSQL


class Case(NamedTuple):
    """A line of the table."""

    call: str
    connections: int
    processes: int


Results = dict[Case, dict[str, Figures]]


def verdicts(results: Results) -> Iterator[Verdict]:
    """Judge the figures of PostgreSQL: cost, two processes, errors."""
    for name, most in GOALS.items():
        ratios = [
            ratio(sides)
            for case, sides in results.items()
            if case.call == name and case.processes == 1
        ]
        if ratios:
            goal = f"{CALLS[name]}: ours ÷ floor ≤ {most}, in every row of one process"
            worst = round(max(ratios), 2)
            yield Verdict(goal, f"{min(ratios):.2f} to {worst:.2f}", worst <= most)
    yield from scaling(results)
    crowded = [sides for case, sides in results.items() if case.connections >= 64]
    if crowded:
        errors = sum(sides["ours"].errors for sides in crowded)
        yield Verdict("no error at 64 connections", f"{errors:,} errors", errors == 0)


def scaling(results: Results) -> Iterator[Verdict]:
    """Judge two processes against one, at the highest number of connections."""
    for name in GOALS:
        most = max((c.connections for c in results if c.call == name), default=0)
        if most < 2:
            continue
        one, two = (results[Case(name, most, count)]["ours"] for count in (1, 2))
        yield scaling_of(f"{CALLS[name]}, {most} connections", one, two)


def ratio(sides: dict[str, Figures]) -> float:
    return sides["ours"].cost / sides["floor"].cost
