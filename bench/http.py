"""Measure five calls over HTTP, each beside its floor: send, page, list, read, sign-in.

The floor (``bench.floor``) is a bare WSGI function on the same server that does the
same statements with the plain driver. What counts is our processor time per request
divided by the floor's. Servers and databases are of its own; the load comes from a
process of its own. Exits with 1 if a goal is missed.
"""

import argparse
import os
import random
import select
import socket
import sqlite3
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack, suppress
from datetime import timedelta
from functools import partial
from itertools import chain, cycle, islice, repeat
from multiprocessing import get_context
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

import orjson
import psycopg
from tqdm import tqdm

from bench import charts
from bench.servers import (
    ROOT,
    Server,
    call,
    default_postgres,
    environment,
    postgres,
    sqlite,
)

PEOPLE = 64
CONVERSATIONS = 320  # 25 for each person
PARTICIPANTS = 5
MESSAGES = 120  # in each conversation
WORDS = ("it", "was", "then", "that", "we", "all", "saw", "what", "others", "did")
PASSWORD = "correct horse 2026"
CALLS = {
    "send": "send",
    "page": "page of 50",
    "list": "list of 20",
    "read": "mark as read",
    "sign-in": "sign in",
}
DATABASES = ("SQLite", "PostgreSQL")
SIDES = {"ours": "messaging_app.asgi:application", "floor": "bench.floor:application"}
GOALS = {"send": 2.5, "page": 3.0, "list": 3.0}  # ours ÷ floor, on PostgreSQL
TWO_PROCESSES = 1.7  # times the throughput of one
QUIET = 0.2  # processors; with more busy elsewhere, throughput tells nothing
ROUNDS = 2  # slices of a measurement; ours and the floor take turns
WARM_UP = 0.4  # seconds
WARM_CONNECTIONS = 4
STALL = 60.0  # seconds without any answer before the load gives up
PAGE = ROOT / "docs" / "performance.md"
CORES = os.cpu_count() or 1
TICK = os.sysconf("SC_CLK_TCK")


# --- The cast -----------------------------------------------------------------


class Member(NamedTuple):
    """Somebody who calls; ``messages`` are all they may read, rising in each place."""

    username: str
    token: str
    conversation_id: str
    messages: list[str]


def fill(database_url: str) -> list[Member]:
    """Fill an empty database; return who may call. For a process of its own."""
    os.environ.clear()
    os.environ.update(environment(database_url))
    os.environ["DJANGO_SETTINGS_MODULE"] = "messaging_app.settings"
    import django

    django.setup()
    from django.db import connection, transaction

    from chats.models import AccessToken

    with transaction.atomic():
        people = store_people()
        said = [converse(people, number) for number in range(CONVERSATIONS)]
        tokens = [AccessToken.objects.issue(who, "bench", None)[1] for who in people]
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")
    return [
        Member(who.username, token, *places_of(n, said))
        for n, (who, token) in enumerate(zip(people, tokens, strict=True))
    ]


def store_people() -> list:
    from django.contrib.auth.hashers import make_password

    from chats.models import User

    hashed = make_password(PASSWORD)
    return User.objects.bulk_create(
        User(
            username=f"person-{n}",
            email=f"person-{n}@bench.example",
            first_name="Person",
            last_name=f"Number {n}",
            password=hashed,
        )
        for n in range(PEOPLE)
    )


def converse(people: list, number: int) -> tuple[str, list[str]]:
    """Store a conversation; return its id and those of its messages."""
    from django.utils import timezone

    from chats.models import Conversation, Message, Participant
    from chats.models.participants import hour_of

    present = [people[(number + n) % PEOPLE] for n in range(PARTICIPANTS)]
    place = Conversation(title=f"Conversation {number}", owner=present[0])
    start = timezone.now() - timedelta(days=1)
    messages = [
        Message(
            conversation=place,
            seq=seq,
            sender=present[seq % PARTICIPANTS],
            message_body=sentence(seq),
            sent_at=start + timedelta(seconds=seq),
        )
        for seq in range(1, MESSAGES + 1)
    ]
    place.participant_count, place.last_seq = PARTICIPANTS, MESSAGES
    place.last_message_id, place.updated_at = messages[-1].pk, messages[-1].sent_at
    Conversation.objects.bulk_create([place])
    Participant.objects.bulk_create(
        Participant(
            conversation=place,
            user=who,
            active_hour=hour_of(place.updated_at),
            has_unread=True,
        )
        for who in present
    )
    Message.objects.bulk_create(messages, batch_size=500)
    return str(place.pk), [str(message.pk) for message in messages]


def places_of(person: int, said: list[tuple[str, list[str]]]) -> tuple[str, list[str]]:
    """Return the person's own conversation, and all messages they may read."""
    mine = [
        messages
        for number, (_, messages) in enumerate(said)
        if (person - number) % PEOPLE < PARTICIPANTS
    ]
    return said[person][0], list(chain.from_iterable(mine))


def sentence(seed: int) -> str:
    """Return some eighty characters."""
    return " ".join(random.Random(seed).choices(WORDS, k=20))


# --- The requests -------------------------------------------------------------


def request(method: str, path: str, token: str, data: dict | None = None) -> bytes:
    """Return the bytes of a request on a kept connection."""
    body = b"" if data is None else orjson.dumps(data)
    lines = [f"{method} {path} HTTP/1.1", "Host: localhost", "Accept: application/json"]
    lines += [f"Authorization: Token {token}"] if token else []
    lines += ["Content-Type: application/json"] if body else []
    lines += [f"Content-Length: {len(body)}"] if method == "POST" else []
    return "\r\n".join([*lines, "", ""]).encode() + body


def arguments_of(name: str, member: Member) -> tuple:
    """Return the method, path, token and data of a call that is always the same."""
    place, token = member.conversation_id, member.token
    text = {"conversation": place, "message_body": sentence(1)}
    identity = {"username": member.username, "password": PASSWORD}
    page = f"/api/messages/?conversation_id={place}&page_size=50"
    return {
        "send": ("POST", "/api/messages/", token, text),
        "page": ("GET", page, token),
        "list": ("GET", "/api/conversations/?page_size=20", token),
        "read": ("POST", f"/api/messages/{member.messages[0]}/mark_as_read/", token),
        "sign-in": ("POST", "/api/auth/login/", "", identity),
    }[name]


class Plan(NamedTuple):
    """What one connection asks for: these requests, once or over and over."""

    requests: list[bytes]
    repeated: bool


def plans_of(name: str, cast: list[Member], connections: int) -> list[Plan]:
    """Return a plan for each connection, each of another person."""
    members = islice(cycle(cast), connections)
    if name != "read":
        return [Plan([request(*arguments_of(name, who))], True) for who in members]
    most = len(cast[0].messages) // min(connections, 8)
    return [
        Plan(
            [
                request("POST", f"/api/messages/{key}/mark_as_read/", who.token)
                for key in who.messages[:most]
            ],
            False,
        )
        for who in members
    ]


# --- The load: a process of its own -------------------------------------------


class Load(NamedTuple):
    """What the generator saw; times in seconds."""

    latencies: list[float]
    errors: int
    elapsed: float
    processor: float  # the generator's own


class Connection:
    """A kept connection: one request at a time."""

    def __init__(self, port: int, plan: Plan):
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._requests: Iterator[bytes] = iter(plan.requests)
        if plan.repeated:
            self._requests = repeat(plan.requests[0])
        self._answer, self._length = b"", 0
        self.began = 0.0

    def ask(self) -> bool:
        """Send the next request; False when there is none."""
        data = next(self._requests, None)
        if data is None:
            return False
        self._answer, self._length = b"", 0
        self.began = time.perf_counter()
        with suppress(OSError):  # what is wrong shows when the answer is read
            self.socket.sendall(data)
        return True

    def hear(self) -> int:
        """Read; return the status once the answer is whole, 0 before.

        Raises ConnectionError when the server hangs up, ValueError on an answer
        without a length.
        """
        data = self.socket.recv(262_144)
        if not data:
            raise ConnectionError
        self._answer += data
        if not self._length:
            head, found, _ = self._answer.partition(b"\r\n\r\n")
            if not found:
                return 0
            length = head.lower().partition(b"content-length:")[2].partition(b"\r")[0]
            self._length = len(head) + 4 + int(length)
        return int(self._answer[9:12]) if len(self._answer) >= self._length else 0


def run_load(ports: list[int], plans: list[Plan], seconds: float) -> Load:
    """Ask without a pause on all connections; the ports take them in turn.

    Past the deadline nothing new is asked and what is under way is awaited.
    """
    poll, waiting = select.epoll(), {}
    for port, plan in zip(cycle(ports), plans, strict=False):
        opened = Connection(port, plan)
        waiting[opened.socket.fileno()] = opened
        poll.register(opened.socket, select.EPOLLIN)
    latencies, errors = [], 0
    began, processor = time.perf_counter(), time.process_time()
    for connection in waiting.values():
        connection.ask()
    while waiting and (ready := poll.poll(STALL)):
        for number, _ in ready:
            connection = waiting[number]
            status = heard(connection)
            if status == 0:
                continue
            now = time.perf_counter()
            latencies.append(now - connection.began)
            errors += status not in {200, 201}
            if status < 0 or now - began > seconds or not connection.ask():
                poll.unregister(connection.socket)
                waiting.pop(number).socket.close()
    poll.close()
    elapsed = time.perf_counter() - began
    used = time.process_time() - processor
    return Load(latencies, errors + len(waiting), elapsed, used)


def heard(connection: Connection) -> int:
    """Return what the connection hears, or -1 if it is of no more use."""
    try:
        return connection.hear()
    except (OSError, ValueError):
        return -1


# --- Measuring ----------------------------------------------------------------


class Case(NamedTuple):
    """A line of the table."""

    call: str
    connections: int
    processes: int


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
    def elsewhere(self) -> float:
        """Processors busy with what is no part of the measurement."""
        known = self.generator + self.server + self.database
        return max(0.0, (self.machine - known) / self.elapsed)

    def percentile(self, percent: int) -> float:
        """Return milliseconds."""
        ordered = sorted(self.latencies)
        return 1000 * ordered[min(len(ordered) * percent // 100, len(ordered) - 1)]

    def rate_given_back(self, *, database: bool) -> float:
        """Return the throughput if the generator (and the database) ran elsewhere.

        What they took beyond what was idle anyway would have served requests, at the
        same cost for each.
        """
        taken = self.generator + (self.database if database else 0)
        idle = max(0.0, CORES * self.elapsed - self.machine)
        missed = max(0.0, taken - idle) / self.elapsed
        return self.rate * CORES / (CORES - missed)


Results = dict[Case, dict[str, Figures]]


def processor_time(pids: Iterable[int]) -> float:
    """Return the seconds of processor time these processes have used; gone: none."""
    ticks = 0
    for pid in pids:
        try:
            stat = Path(f"/proc/{pid}/stat").read_text()
        except OSError:  # gone, or on another machine
            continue
        ticks += sum(map(int, stat.rsplit(")", 1)[1].split()[11:13]))
    return ticks / TICK


def machine_time() -> float:
    """Return the seconds in which any processor was busy, with anything."""
    with Path("/proc/stat").open() as file:
        user, nice, system, _, _, *rest = map(int, file.readline().split()[1:9])
    return (user + nice + system + sum(rest)) / TICK


class Bench:
    """One database with its servers, all up all the time; one is asked at a time."""

    def __init__(self, database_url: str, pool: ProcessPoolExecutor, stack: ExitStack):
        self.url, self._pool = database_url, pool
        self.cast = pool.submit(fill, database_url).result()
        self._servers = {
            side: [stack.enter_context(Server(database_url, app)) for _ in range(2)]
            for side, app in SIDES.items()
        }
        self._admin = None
        if database_url.startswith("postgres"):
            connected = psycopg.connect(database_url, autocommit=True)
            self._admin = stack.enter_context(connected)

    def compare(self, names: Iterable[str]) -> None:
        """Make each call on both sides; SystemExit unless the answers are alike."""
        for name in names:
            for member in self.cast[:2]:
                ours, floor = (
                    call(servers[0].url, *arguments_of(name, member))
                    for servers in self._servers.values()
                )
                pages = [answer.body.get("results") for answer in (ours, floor)]
                alike = shape(ours.body) == shape(floor.body) and pages[0] == pages[1]
                if not ours.status == floor.status < 300 or not alike:
                    raise SystemExit(f"{name}: the floor differs.\n{ours}\n{floor}")

    def measure(self, case: Case, seconds: float) -> dict[str, Figures]:
        """Measure both sides in turn."""
        slices: dict[str, list[Figures]] = {side: [] for side in SIDES}
        plans = plans_of(case.call, self.cast, case.connections)
        for side in SIDES:
            self._load(side, case, plans[:WARM_CONNECTIONS], WARM_UP)
        for _ in range(ROUNDS):
            for side in SIDES:
                figures = self._slice(side, case, plans, seconds / ROUNDS)
                slices[side].append(figures)
        return {
            side: Figures(
                list(chain.from_iterable(part.latencies for part in parts)),
                *map(sum, zip(*(part[1:] for part in parts), strict=True)),
            )
            for side, parts in slices.items()
        }

    def _slice(self, side: str, case: Case, plans: list, seconds: float) -> Figures:
        before = self._times(side)
        load = self._load(side, case, plans, seconds)
        used = [b - a for a, b in zip(before, self._times(side), strict=True)]
        return Figures(*load, *used)

    def _load(self, side: str, case: Case, plans: list, seconds: float) -> Load:
        if case.call == "read":
            self._forget_cursors()
        ports = [server.port for server in self._servers[side][: case.processes]]
        return self._pool.submit(run_load, ports, plans, seconds).result()

    def _times(self, side: str) -> tuple[float, float, float]:
        backends = []
        if self._admin:
            query = "SELECT pid FROM pg_stat_activity WHERE datname = %s"
            name = urlsplit(self.url).path.strip("/")
            backends = [row[0] for row in self._admin.execute(query, [name])]
        servers = processor_time(server.pid for server in self._servers[side])
        return servers, processor_time(backends), machine_time()

    def _forget_cursors(self) -> None:
        """Let every message be unread, so that marking it does what it does."""
        statement = "UPDATE chats_participant SET last_read_seq = 0"
        if self._admin:
            self._admin.execute(statement)
            return
        with sqlite3.connect(self.url.removeprefix("sqlite:///")) as connection:
            connection.execute(statement)


def shape(value: object) -> object:
    """Return the keys of a JSON value, all the way down."""
    if isinstance(value, dict):
        return {key: shape(item) for key, item in value.items()}
    return [shape(item) for item in value[:1]] if isinstance(value, list) else None


def measure(
    name: str, database: Callable, options: argparse.Namespace, bar: tqdm
) -> Results:
    """Measure all cases on one new database."""
    results = {}
    context = get_context("spawn")
    bar.set_description(f"{name}: filling")
    with ExitStack() as stack:
        pool = stack.enter_context(ProcessPoolExecutor(1, mp_context=context))
        bench = Bench(stack.enter_context(database()), pool, stack)
        bench.compare(options.only)
        for case in cases(options):
            bar.set_description(f"{name}: {CALLS[case.call]}, {case.connections}")
            results[case] = bench.measure(case, options.seconds)
            bar.update()
    return results


def cases(options: argparse.Namespace) -> list[Case]:
    return [
        Case(name, connections, processes)
        for name in options.only
        for connections in options.connections
        for processes in (1, 2)
    ]


# --- The goals ----------------------------------------------------------------


class Verdict(NamedTuple):
    """A goal and what came of it; ``is_met`` is None where that cannot be told."""

    goal: str
    figure: str
    is_met: bool | None

    @property
    def word(self) -> str:
        return {True: "met", False: "missed", None: "not judged"}[self.is_met]


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
    """Judge two processes against one, where there are most connections."""
    for name in GOALS:
        most = max((c.connections for c in results if c.call == name), default=0)
        if most < 2:
            continue
        one, two = (results[Case(name, most, count)]["ours"] for count in (1, 2))
        given, alone = (
            two.rate_given_back(database=database) / one.rate
            for database in (False, True)
        )
        goal = f"{CALLS[name]}, {most} connections: two processes ÷ one"
        goal += f" ≥ {TWO_PROCESSES}"
        figure = f"{given:.2f} ({two.rate / one.rate:.2f} as measured;"
        figure += f" {alone:.2f} with the database given back too)"
        busy = max(one.elsewhere, two.elsewhere)
        if busy > QUIET:
            figure += f"; {busy:.2f} processors were busy elsewhere"
            yield Verdict(goal, figure, None)
        else:
            yield Verdict(goal, figure, round(given, 2) >= TWO_PROCESSES)


def ratio(sides: dict[str, Figures]) -> float:
    return sides["ours"].cost / sides["floor"].cost


# --- The report ---------------------------------------------------------------

HEAD = ("call", "connections", "processes", "per second", "floor", "p50 ms", "floor")
HEAD += ("p99 ms", "floor", "CPU ms", "floor", "**ours ÷ floor**", "errors", "floor")
HOW = """
Each line: requests per second, their latency, the processor time of the server
processes per request, and errors; the floor beside each, measured in turn with it on
the same data. `make bench` measures again and rewrites this section.

* **The floor** is `bench/floor.py`: a bare WSGI function on the same ASGI shell and
  uvicorn, the same statements through the plain driver in the same transactions under
  the same locks, the same JSON through orjson. Before measuring, both sides' answers
  are compared: the same keys all the way down, pages and lists equal to the letter.
* **Two processes** are two servers on two ports, which the connections take in turn,
  as behind a balancer.
* **The load** comes from one more process on the same processors, without pauses, on
  kept connections, each of another person who sends in a conversation of their own.
  For the goal of two processes its share is given back: the throughput of two is
  multiplied by C ÷ (C - g), with C processors of which the generator took g during
  that run beyond what was idle. In brackets: as measured, and with the database's
  share given back too, which stands for a database on a machine of its own.
* **Marking as read** moves the cursor every time. **Signing in** is mostly Argon2.
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
    rows = [[item.strip("*") for item in HEAD], *table_rows(results)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    print(f"\n{name}; busy elsewhere: {elsewhere(results):.2f} of {CORES} processors")
    for first, *others in rows:
        cells = zip(others, widths[1:], strict=True)
        print(first.ljust(widths[0]), *(cell.rjust(width) for cell, width in cells))


def elsewhere(results: Results) -> float:
    """Return how many processors were busy with other things, on average."""
    found = [side.elsewhere for sides in results.values() for side in sides.values()]
    return sum(found) / len(found)


def write_page(measured: dict[str, Results]) -> None:
    """Write tables and charts into the documentation."""
    parts = [HOW]
    if "PostgreSQL" in measured:
        found = list(verdicts(measured["PostgreSQL"]))
        rows = [[verdict.goal, verdict.figure, verdict.word] for verdict in found]
        head = ("goal, on PostgreSQL", "measured", "")
        parts += [charts.markdown_table(head, rows), ""]
    for name, results in measured.items():
        for kind, drawing in drawings(name, results).items():
            path = PAGE.parent / "img" / f"http-{kind}-{name.lower()}.svg"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(drawing)
            parts.append(f"![{kind} on {name}](img/{path.name})\n")
        parts += [f"### {name}\n", charts.markdown_table(HEAD, table_rows(results)), ""]
        busy = f"{elsewhere(results):.2f} of {CORES} processors"
        parts.append(f"Busy with other things meanwhile: {busy}.\n")
    charts.write_section(PAGE, "bench.http", "Calls over HTTP", "\n".join(parts))


def drawings(name: str, results: Results) -> dict[str, str]:
    """Return the charts of one database; sign-in, mostly Argon2, would dwarf all."""
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


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.http", description=__doc__)
    add = parser.add_argument
    add("--quick", action="store_true", help="8 connections, one second each")
    add("--only", nargs="+", choices=list(CALLS), default=list(CALLS), help="calls")
    add("--database", nargs="+", choices=DATABASES, default=list(DATABASES))
    add("--connections", nargs="+", type=int, metavar="N", help="(1 8 64)")
    add("--seconds", type=float, help="of load for each figure (4)")
    add("--write", action="store_true", help=f"into {PAGE.relative_to(ROOT)}")
    add(
        "--postgres",
        metavar="URL",
        default=default_postgres(),
        help="a server on which a database may be made (%(default)s)",
    )
    options = parser.parse_args()
    options.connections = options.connections or ([8] if options.quick else [1, 8, 64])
    options.seconds = options.seconds or (1.0 if options.quick else 4.0)
    if min(options.connections) < 1 or max(options.connections) > 500:
        parser.error("--connections: from 1 to 500")
    return options


def main() -> None:
    options = arguments()
    makers = {"SQLite": sqlite, "PostgreSQL": partial(postgres, options.postgres)}
    measured = {}
    with tqdm(total=len(cases(options)) * len(options.database), unit="case") as bar:
        for name in options.database:
            measured[name] = measure(name, makers[name], options, bar)
    for name, results in measured.items():
        print_table(name, results)
    found = list(verdicts(measured.get("PostgreSQL", {})))
    print("\nGoals, on PostgreSQL" if found else "")
    for verdict in found:
        print(f"  {verdict.word:10} {verdict.goal}: {verdict.figure}")
    if options.write:
        write_page(measured)
    sys.exit(any(verdict.is_met is False for verdict in found))


if __name__ == "__main__":
    main()
