"""Measure five calls over HTTP, each with its floor: send, page, list, read, sign-in.

The floor (``bench.speed.floor``) is a bare WSGI function on the same server that runs
the same statements with the plain driver. The result is the application's processor
time per request, divided by the floor's. The program starts its own servers and
databases; the load comes from a separate process. Exits with 1 if a goal is missed.
"""

import argparse
import sqlite3
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from itertools import cycle, islice, product
from multiprocessing import get_context

import psycopg
from tqdm import tqdm

from bench.lab.figures import Figures, Meter, pooled
from bench.lab.load import Load, Plan, request, run_load
from bench.lab.report import add_usual, finish, makers, parser_of
from bench.lab.servers import Server, call
from bench.lab.small_dataset import PASSWORD, Account, fill, sentence
from bench.speed.http_goals import CALLS, SIDES, Case, Results, verdicts
from bench.speed.http_report import print_table, write_page

ROUNDS = 4  # slices of a measurement
PROCESSES = (1, 2)
WARM_UP = 0.4  # seconds
WARM_CONNECTIONS = 4


# --- The requests -------------------------------------------------------------


def arguments_of(name: str, account: Account) -> tuple:
    """Return the method, path, token and data of a call."""
    place, token = account.conversation_id, account.token
    text = {"conversation": place, "message_body": sentence(1)}
    identity = {"username": account.username, "password": PASSWORD}
    page = f"/api/messages/?conversation_id={place}&page_size=50"
    return {
        "send": ("POST", "/api/messages/", token, text),
        "page": ("GET", page, token),
        "list": ("GET", "/api/conversations/?page_size=20", token),
        "read": ("POST", f"/api/messages/{account.messages[0]}/mark_as_read/", token),
        "sign-in": ("POST", "/api/auth/login/", "", identity),
    }[name]


def plans_of(name: str, accounts: list[Account], connections: int) -> list[Plan]:
    """Return a plan for each connection, each for another caller."""
    callers = islice(cycle(accounts), connections)
    if name != "read":
        return [Plan([request(*arguments_of(name, who))], True) for who in callers]
    most = len(accounts[0].messages) // min(connections, 8)
    return [
        Plan(
            [
                request("POST", f"/api/messages/{key}/mark_as_read/", who.token)
                for key in who.messages[:most]
            ],
            False,
        )
        for who in callers
    ]


# --- Measuring ----------------------------------------------------------------


class Bench:
    """One database with its servers, all running; one is called at a time."""

    def __init__(
        self,
        database_url: str,
        cores: Sequence[int | None],
        pool: ProcessPoolExecutor,
        stack: ExitStack,
    ):
        self.url, self._pool = database_url, pool
        self.accounts = pool.submit(fill, database_url).result()
        self._servers = {
            side: [
                stack.enter_context(Server(database_url, app, core=core))
                for core in cores
            ]
            for side, app in SIDES.items()
        }
        self._meters = {
            side: Meter((server.pid for server in servers), database_url, stack)
            for side, servers in self._servers.items()
        }

    def compare(self, names: Iterable[str]) -> None:
        """Make each call on both sides; raise SystemExit if the responses differ."""
        for name in names:
            for account in self.accounts[:2]:
                ours, floor = (
                    call(servers[0].url, *arguments_of(name, account))
                    for servers in self._servers.values()
                )
                pages = [answer.body.get("results") for answer in (ours, floor)]
                alike = shape(ours.body) == shape(floor.body) and pages[0] == pages[1]
                if not ours.status == floor.status < 300 or not alike:
                    raise SystemExit(f"{name}: the floor differs.\n{ours}\n{floor}")

    def measure(self, name: str, connections: int, seconds: float) -> Results:
        """Measure both sides with one process and with two.

        All four take turns, so that other work of the machine affects all equally. For
        sign-in, the sides are measured one after the other, because each slice waits
        for its last responses, which takes up to 64 password hashes.
        """
        cases = [Case(name, connections, count) for count in PROCESSES]
        slices = {case: {side: [] for side in SIDES} for case in cases}
        plans = plans_of(name, self.accounts, connections)
        for side in SIDES:
            self._load(side, cases[-1], plans[:WARM_CONNECTIONS], WARM_UP)
        rounds = 1 if name == "sign-in" else ROUNDS
        for _ in range(rounds):
            for case, sides in slices.items():
                for side, parts in sides.items():
                    parts.append(self._slice(side, case, plans, seconds / rounds))
        return {
            case: {side: pooled(parts) for side, parts in sides.items()}
            for case, sides in slices.items()
        }

    def _slice(self, side: str, case: Case, plans: list, seconds: float) -> Figures:
        meter = self._meters[side]
        before = meter.read()
        load = self._load(side, case, plans, seconds)
        return Figures(*load, *meter.since(before))

    def _load(self, side: str, case: Case, plans: list, seconds: float) -> Load:
        if case.call == "read":
            self._forget_cursors()
        ports = [server.port for server in self._servers[side][: case.processes]]
        return self._pool.submit(run_load, ports, plans, seconds).result()

    def _forget_cursors(self) -> None:
        """Make every message unread, so that marking it moves the cursor."""
        statement = "UPDATE chats_participant SET last_read_seq = 0"
        if self.url.startswith("postgres"):
            with psycopg.connect(self.url) as connection:
                connection.execute(statement)
            return
        with sqlite3.connect(self.url.removeprefix("sqlite:///")) as connection:
            connection.execute(statement)


def shape(value: object) -> object:
    """Return the keys of a JSON value, with those of nested values."""
    if isinstance(value, dict):
        return {key: shape(item) for key, item in value.items()}
    return [shape(item) for item in value[:1]] if isinstance(value, list) else None


def measure(
    name: str, database: Callable, options: argparse.Namespace, bar: tqdm
) -> Results:
    """Measure all cases on one new database."""
    results: Results = {}
    context = get_context("spawn")
    bar.set_description(f"{name}: filling")
    with ExitStack() as stack:
        pool = stack.enter_context(ProcessPoolExecutor(1, mp_context=context))
        cores = (None, None) if options.any_core else (0, 1)
        bench = Bench(stack.enter_context(database()), cores, pool, stack)
        bench.compare(options.only)
        for asked, connections in product(options.only, options.connections):
            bar.set_description(f"{name}: {CALLS[asked]}, {connections}")
            results |= bench.measure(asked, connections, options.seconds)
            bar.update()
    return results


def arguments() -> argparse.Namespace:
    parser = parser_of("bench.speed.http", __doc__)
    add = parser.add_argument
    add("--only", nargs="+", choices=list(CALLS), default=list(CALLS), help="calls")
    add("--connections", nargs="+", type=int, metavar="N", help="(1 8 64)")
    add("--seconds", type=float, help="of load for each figure (4)")
    add("--any-core", action="store_true", help="keep no process to a core of its own")
    add_usual(parser, quick="8 connections, one second each")
    options = parser.parse_args()
    options.connections = options.connections or ([8] if options.quick else [1, 8, 64])
    options.seconds = options.seconds or (1.0 if options.quick else 4.0)
    if min(options.connections) < 1 or max(options.connections) > 500:
        parser.error("--connections: from 1 to 500")
    return options


def main() -> None:
    options = arguments()
    measured = {}
    total = len(options.only) * len(options.connections) * len(options.database)
    with tqdm(total=total, unit="case") as bar:
        for name, maker in makers(options).items():
            measured[name] = measure(name, maker, options, bar)
    for name, results in measured.items():
        print_table(name, results)
    if options.write:
        write_page(measured)
    finish(verdicts(measured.get("PostgreSQL", {})), "Goals, on PostgreSQL")


if __name__ == "__main__":
    main()
