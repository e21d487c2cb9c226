"""Measurements: figures over HTTP, processor time, and the verdict on a goal."""

import os
import time
from collections.abc import Iterable
from contextlib import ExitStack, suppress
from itertools import chain
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

import psycopg

CORES = os.cpu_count() or 1
TICK = os.sysconf("SC_CLK_TCK")
TWO_PROCESSES = 1.7  # times the throughput of one
QUIET = 0.2  # processors; with more busy elsewhere, throughput is not judged


class Figures(NamedTuple):
    """Sums over the slices of one side of a case; times in seconds."""

    latencies: list[float]
    errors: int
    elapsed: float
    generator: float
    server: float
    database: float
    machine: float

    @property
    def rate(self) -> float:
        return len(self.latencies) / self.elapsed

    @property
    def cost(self) -> float:
        """Milliseconds of the servers' processor time per request."""
        return 1000 * self.server / len(self.latencies)

    @property
    def whole_cost(self) -> float:
        """Milliseconds of the servers' and the database's time per request."""
        return 1000 * (self.server + self.database) / len(self.latencies)

    @property
    def elsewhere(self) -> float:
        """Processors busy with something outside the measurement."""
        known = self.generator + self.server + self.database
        return max(0.0, (self.machine - known) / self.elapsed)

    def percentile(self, percent: int) -> float:
        """Return milliseconds."""
        ordered = sorted(self.latencies)
        return 1000 * ordered[min(len(ordered) * percent // 100, len(ordered) - 1)]

    def rate_given_back(self, *, database: bool) -> float:
        """Estimate the throughput if the generator (and the database) ran elsewhere.

        The processor time they took, minus the time that was idle anyway, would then
        serve requests at the same cost each.
        """
        taken = self.generator + (self.database if database else 0)
        idle = max(0.0, CORES * self.elapsed - self.machine)
        missed = max(0.0, taken - idle) / self.elapsed
        return self.rate * CORES / (CORES - missed)


def pooled(slices: Iterable[Figures]) -> Figures:
    """Return the figures of all slices together."""
    slices = list(slices)
    latencies = list(chain.from_iterable(part.latencies for part in slices))
    return Figures(
        latencies, *map(sum, zip(*(part[1:] for part in slices), strict=True))
    )


class Meter:
    """Reads the processor time of servers, their database and the whole machine.

    SQLite runs inside the servers. Of PostgreSQL, the backends on this machine are
    counted while they are connected.
    """

    def __init__(self, pids: Iterable[int], database_url: str, stack: ExitStack):
        self._pids = list(pids)
        self._name = urlsplit(database_url).path.strip("/")
        self._admin = None
        if database_url.startswith("postgres"):
            connected = psycopg.connect(database_url, autocommit=True)
            self._admin = stack.enter_context(connected)

    def read(self) -> tuple[float, float, float]:
        """Return seconds of processor time: servers, database, machine."""
        servers = processor_time(self._pids)
        return servers, processor_time(self.backends()), machine_time()

    def since(self, before: tuple[float, ...]) -> list[float]:
        return [now - then for then, now in zip(before, self.read(), strict=True)]

    def backends(self) -> list[int]:
        """Return the backend processes of this database, except the meter's own."""
        if self._admin is None:
            return []
        query = "SELECT pid FROM pg_stat_activity WHERE datname = %s"
        query += " AND pid <> pg_backend_pid() AND backend_type = 'client backend'"
        return [row[0] for row in self._admin.execute(query, [self._name])]


def processor_time(pids: Iterable[int]) -> float:
    """Return the seconds of processor time that these processes have used.

    On Linux their clocks have nanoseconds and include threads that have ended. A
    process that has ended counts as 0.
    """
    used = 0.0
    for pid in pids:
        with suppress(OSError):  # gone, or on another machine
            used += time.clock_gettime((~pid << 3) | 2)  # clock_getcpuclockid(3)
    return used


def machine_time() -> float:
    """Return the seconds that all processors together were busy."""
    with Path("/proc/stat").open() as file:
        user, nice, system, _, _, *rest = map(int, file.readline().split()[1:9])
    return (user + nice + system + sum(rest)) / TICK


class Verdict(NamedTuple):
    """A goal and the measured figure; ``is_met`` is None if it cannot be judged."""

    goal: str
    figure: str
    is_met: bool | None

    @property
    def word(self) -> str:
        return {True: "met", False: "missed", None: "not judged"}[self.is_met]


def scaling_of(what: str, one: Figures, two: Figures) -> Verdict:
    """Judge the throughput of two processes against that of one.

    It is not judged if the processors were too busy with something else.
    """
    given, alone = (
        two.rate_given_back(database=database) / one.rate for database in (False, True)
    )
    goal = f"{what}: two processes ÷ one ≥ {TWO_PROCESSES}"
    figure = f"{given:.2f} ({two.rate / one.rate:.2f} as measured;"
    figure += f" {alone:.2f} with the database given back too)"
    busy = max(one.elsewhere, two.elsewhere)
    if busy > QUIET:
        figure += f"; {busy:.2f} processors were busy elsewhere"
        return Verdict(goal, figure, None)
    return Verdict(goal, figure, round(given, 2) >= TWO_PROCESSES)
