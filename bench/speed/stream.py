"""Measure the live stream: latency, fan-out, the cost of idle streams, catching up.

Each figure is shown with its floor: the same measurement with a bare ASGI application
that stores nothing, under the same uvicorn. The program starts its own servers and
databases, and makes the load itself, on the same processors: other work on the machine
makes the figures worse. Exits with 1 if a goal is missed.
"""

import argparse
import asyncio
import json
import os
import random
import resource
import select
import socket
import statistics
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

import psycopg
from tqdm import tqdm

from bench.lab.report import parser_of
from bench.lab.servers import (
    Person,
    Server,
    call,
    default_postgres,
    make_people,
    postgres,
    sqlite,
    stream_request,
)

FLOOR = "bench.speed.stream:floor"
OPENING = 32  # streams opened at a time
WARM = 20  # streams that are open before the cost of the others is measured
SETTLE = 8.0  # seconds, enough for all periodic work of the hub
MISSED = 1000  # events to catch up with
PAUSE = 0.04  # seconds at most between messages

Figures = dict[str, float]


class Row(NamedTuple):
    """A line of the table; ``goal`` is the highest figure allowed, on ``goal_for``."""

    key: str
    label: str
    goal: float | None = None
    goal_for: tuple[str, ...] = ("SQLite", "PostgreSQL")


ROWS = (
    Row("one p50", "send to event in one process, p50, ms", 8),
    Row("one p99", "send to event in one process, p99, ms", 40),
    Row("two p50", "send to event across two processes, p50, ms", 15, ("PostgreSQL",)),
    Row("two p99", "send to event across two processes, p99, ms", 60, ("PostgreSQL",)),
    Row("last p50", "send to the last of 1,000 streams, p50, ms", 200),
    Row("last max", "send to the last of 1,000 streams, worst, ms"),
    Row("memory", "memory per idle stream, KiB", 20),
    Row("threads", "threads per idle stream", 0),
    Row("connections", "database connections per idle stream", 0),
    Row("cpu", "processor with all streams idle, %"),
    Row("missed stream", f"catching up {MISSED:,} events by the stream, ms"),
    Row("missed page", f"catching up {MISSED:,} events by one page, ms"),
)


# --- The floor ----------------------------------------------------------------


class Floor:
    """A bare ASGI application, which sends the body of each POST to all open GETs."""

    def __init__(self) -> None:
        self.queues: set[asyncio.Queue[bytes]] = set()

    async def __call__(self, scope, receive, send) -> None:
        if scope["type"] != "http":
            return
        message = await receive()
        if scope["path"] != "/api/events/":
            for queue in self.queues:
                queue.put_nowait(b"data: %b\n\n" % message["body"])
            await send({"type": "http.response.start", "status": 201, "headers": []})
            await send({"type": "http.response.body"})
            return
        self.queues.add(queue := asyncio.Queue())
        await send({"type": "http.response.start", "status": 200, "headers": []})
        feeding = asyncio.ensure_future(self.feed(queue, send))
        while (await receive())["type"] != "http.disconnect":
            pass
        feeding.cancel()
        self.queues.discard(queue)

    async def feed(self, queue: asyncio.Queue[bytes], send) -> None:
        await send(self.part(b"event: ready\ndata: {}\n\n"))
        while True:
            await send(self.part(await queue.get()))

    def part(self, body: bytes) -> dict:
        return {"type": "http.response.body", "body": body, "more_body": True}


floor = Floor()


# --- The load -----------------------------------------------------------------


class Streams:
    """Many open streams, read by one thread that hardly parses them."""

    def __init__(self) -> None:
        self._poll = select.epoll()
        self._sockets: dict[int, socket.socket] = {}
        self._seen: dict[int, bytes] = {}

    def open(self, url: str, people: list[Person], cursor: str = "") -> None:
        """Open one stream for each person; wait until all have begun."""
        for start in range(0, len(people), OPENING):
            asked = [
                self._ask(url, person, cursor)
                for person in people[start : start + OPENING]
            ]
            self.wait(b"\n\n", asked)

    def _ask(self, url: str, person: Person, cursor: str) -> int:
        address = urlsplit(url)
        connection = socket.create_connection((address.hostname, address.port))
        connection.sendall(stream_request(person.token, cursor))
        self._sockets[connection.fileno()] = connection
        self._seen[connection.fileno()] = b""
        self._poll.register(connection, select.EPOLLIN)
        return connection.fileno()

    def expect(self) -> None:
        """Forget everything read so far, so that ``wait`` sees only new data."""
        self._seen = dict.fromkeys(self._sockets, b"")

    def wait(self, mark: bytes, among: list[int] | None = None, times=1) -> float:
        """Wait until each stream has read ``mark`` that often; return the time."""
        waiting = set(self._sockets if among is None else among)
        deadline = time.perf_counter() + 60
        while waiting:
            for number, _ in self._poll.poll(1):
                data = self._sockets[number].recv(262_144)
                if not data:
                    raise ConnectionError("The server has closed a stream.")
                self._seen[number] += data
                if number in waiting and self._seen[number].count(mark) >= times:
                    waiting.discard(number)
            if time.perf_counter() > deadline:
                raise TimeoutError(f"{len(waiting)} streams have not got {mark!r}.")
        return time.perf_counter()

    def close(self) -> None:
        for connection in self._sockets.values():
            connection.close()
        self._poll.close()


@contextmanager
def streams(url: str, people: list[Person], cursor: str = "") -> Iterator[Streams]:
    opened = Streams()
    try:
        opened.open(url, people, cursor)
        yield opened
    finally:
        opened.close()


class Sender:
    """Sends on one persistent connection; reading the response is a separate step."""

    def __init__(self, url: str, person: Person, conversation_id: str):
        address = urlsplit(url)
        self._connection = socket.create_connection((address.hostname, address.port))
        self._connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._token, self._conversation_id = person.token, conversation_id

    def send(self, message_body: str) -> None:
        body = {"conversation": self._conversation_id, "message_body": message_body}
        payload = json.dumps(body).encode()
        head = ["POST /api/messages/ HTTP/1.1", "Host: localhost"]
        head += ["Content-Type: application/json", f"Content-Length: {len(payload)}"]
        head += [f"Authorization: Token {self._token}", "", ""]
        self._connection.sendall("\r\n".join(head).encode() + payload)

    def finish(self) -> None:
        """Read the response; raise RuntimeError unless the message is stored."""
        answer = b""
        while not answer.endswith((b"}", b"\r\n0\r\n\r\n")):
            answer += self._connection.recv(65_536)
        if b" 201 " not in answer[:16]:
            raise RuntimeError(answer.decode())


# --- Measuring ----------------------------------------------------------------


def rounds(listening: Streams, sender: Sender, count: int, what: str) -> list[float]:
    """Send one message after the other; return the times until all had it, in ms."""
    taken = []
    for number in tqdm(range(count), desc=what, leave=False):
        time.sleep(random.uniform(0, PAUSE))  # so that sends do not sync with polls
        listening.expect()
        began = time.perf_counter()
        sender.send(f"message-{number}.")
        taken.append(1000 * (listening.wait(f'"message-{number}."'.encode()) - began))
        sender.finish()
    return taken


def percentile(values: list[float], percent: int) -> float:
    return statistics.quantiles(values, n=100, method="inclusive")[percent - 1]


def start_conversation(url: str, people: list[Person]) -> str:
    """Start a conversation, owned by the first of the people; return its id."""
    ids = [person.user_id for person in people[1:]]
    body = {"participant_ids": ids}
    answer = call(url, "POST", "/api/conversations/", people[0].token, body)
    return answer.body.get("conversation_id", "")


def latency(sent_to: str, read_from: str, people: list[Person], count: int) -> tuple:
    """Return p50 and p99 of the time from the POST to the recipient's event."""
    pair = people[:2]
    conversation_id = start_conversation(sent_to, pair)
    sender = Sender(sent_to, pair[0], conversation_id)
    with streams(read_from, pair[1:]) as listening:
        rounds(listening, sender, 20, "Warming up")
        taken = rounds(listening, sender, count, "Latency")
    return percentile(taken, 50), percentile(taken, 99)


def fan_out(url: str, people: list[Person], count: int) -> tuple[float, float]:
    """Return p50 and maximum of the time until all of a thousand have an event."""
    crowd = people[:1000]
    conversation_id = start_conversation(url, crowd)
    with streams(url, crowd) as listening:
        time.sleep(SETTLE)  # until the presence events of all people are sent
        sender = Sender(url, crowd[0], conversation_id)
        rounds(listening, sender, 3, "Warming up")
        taken = rounds(listening, sender, count, "Fan-out")
    return percentile(taken, 50), max(taken)


def idle(server: Server, database_url: str, people: list[Person]) -> Figures:
    """Return the cost of idle streams, not counting the first few."""
    with streams(server.url, people[:WARM]) as listening:
        before = Usage.of(server.pid, database_url)
        for start in tqdm(range(WARM, len(people), 100), desc="Idle", leave=False):
            listening.open(server.url, people[start : start + 100])
        time.sleep(SETTLE)
        after = Usage.of(server.pid, database_url)
        time.sleep(SETTLE)
        used = Usage.of(server.pid, database_url).seconds - after.seconds
    more = len(people) - WARM
    return {
        "memory": (after.kibibytes - before.kibibytes) / more,
        "threads": (after.threads - before.threads) / more,
        "connections": (after.connections - before.connections) / more,
        "cpu": 100 * used / SETTLE,
    }


class Usage(NamedTuple):
    """The resources of a process at one moment."""

    kibibytes: int
    threads: int
    connections: int
    seconds: float  # of processor time since its start

    @classmethod
    def of(cls, pid: int, database_url: str) -> "Usage":
        status = dict(
            line.split(":", 1)
            for line in Path(f"/proc/{pid}/status").read_text().splitlines()
        )
        fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
        return cls(
            int(status["VmRSS"].split()[0]),
            int(status["Threads"]),
            connections_of(pid, database_url),
            sum(map(int, fields[11:13])) / os.sysconf("SC_CLK_TCK"),
        )


def connections_of(pid: int, database_url: str) -> int:
    """Count a server's database connections; for SQLite, its open files."""
    if database_url.startswith("postgres"):
        with psycopg.connect(database_url) as connection:
            query = "SELECT count(*) - 1 FROM pg_stat_activity WHERE datname = %s"
            name = urlsplit(database_url).path.strip("/")
            return connection.execute(query, [name]).fetchone()[0]
    links = [os.path.realpath(link) for link in Path(f"/proc/{pid}/fd").iterdir()]
    path = database_url.removeprefix("sqlite:///")
    return sum(link == os.path.realpath(path) for link in links) if path else 0


def catch_up(url: str, people: list[Person]) -> tuple[float, float]:
    """Return the milliseconds to get the missed events by stream, and by one page."""
    pair = people[:2]
    sender = Sender(url, pair[0], start_conversation(url, pair))
    cursor = call(url, "GET", "/api/events/", pair[1].token).body["cursor"]
    for number in tqdm(range(MISSED), desc="To be missed", leave=False):
        sender.send(f"message {number}")
        sender.finish()
    began = time.perf_counter()
    with streams(url, pair[1:], cursor) as listening:
        by_stream = listening.wait(b"event: message.created", times=MISSED) - began
    began = time.perf_counter()
    path = f"/api/events/?after={cursor}&limit={MISSED}"
    page = call(url, "GET", path, pair[1].token)
    by_page = time.perf_counter() - began
    if len(page.body["events"]) != MISSED:
        raise RuntimeError(f"The page has {len(page.body['events'])} events.")
    return 1000 * by_stream, 1000 * by_page


def measure_floor(options: argparse.Namespace) -> Figures:
    people = [Person("", "", "none")] * options.streams
    figures: Figures = {}
    with Server(application=FLOOR) as server:
        figures |= idle(server, "", people)
    with Server(application=FLOOR) as server:
        one = latency(server.url, server.url, people, options.rounds)
        figures["one p50"], figures["one p99"] = one
    with Server(application=FLOOR) as server:
        last = fan_out(server.url, people, options.rounds // 10)
        figures["last p50"], figures["last max"] = last
    return figures


def measure(database_url: str, options: argparse.Namespace) -> Figures:
    """Measure the messaging server on this database, each part with new processes."""
    people = make_people(database_url, options.streams)
    figures: Figures = {}
    with Server(database_url) as server:
        figures |= idle(server, database_url, people)
    with Server(database_url) as first, Server(database_url) as second:
        one = latency(first.url, first.url, people, options.rounds)
        figures["one p50"], figures["one p99"] = one
        two = latency(first.url, second.url, people, options.rounds)
        figures["two p50"], figures["two p99"] = two
        missed = catch_up(first.url, people)
        figures["missed stream"], figures["missed page"] = missed
    with Server(database_url) as server:
        last = fan_out(server.url, people, options.rounds // 10)
        figures["last p50"], figures["last max"] = last
    return figures


# --- The report ---------------------------------------------------------------


def print_table(results: dict[str, Figures]) -> bool:
    """Print the measurements; return whether every goal is met."""
    print(f"{'':45}", *(f"{name:>11}" for name in results), "       goal", sep="")
    met = True
    for row in ROWS:
        cells = [cell(results[name].get(row.key)) for name in results]
        missed = [name for name in results if is_missed(row, name, results[name])]
        met = met and not missed
        goal = "" if row.goal is None else f"≤ {row.goal:g}"
        verdict = "" if row.goal is None else ", ".join(missed) or "met"
        verdict = f"MISSED: {verdict}" if missed else verdict
        print(f"{row.label:45}", *(f"{c:>11}" for c in cells), f"{goal:>11}", end="")
        print(f"  {verdict}")
    return met


def cell(value: float | None) -> str:
    return "" if value is None else f"{value:.1f}"


def is_missed(row: Row, name: str, figures: Figures) -> bool:
    """Return whether a figure, rounded as printed, is above the goal."""
    if row.goal is None or name not in row.goal_for or row.key not in figures:
        return False
    return round(figures[row.key], 1) > row.goal


def arguments() -> argparse.Namespace:
    parser = parser_of("bench.speed.stream", __doc__)
    add = parser.add_argument
    add("--rounds", type=int, default=500, help="messages timed (%(default)s)")
    add("--streams", type=int, default=2000, help="idle ones (%(default)s)")
    add("--only", choices=["SQLite", "PostgreSQL"], help="one database, not both")
    add(
        "--postgres",
        metavar="URL",
        default=default_postgres(),
        help="a server on which a database may be made (%(default)s)",
    )
    return parser.parse_args()


def main() -> None:
    options = arguments()
    print(f"{os.cpu_count()} processors; load before: {os.getloadavg()[0]:.1f}")
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    databases = {"SQLite": sqlite, "PostgreSQL": lambda: postgres(options.postgres)}
    results = {}
    with tqdm(total=3 if not options.only else 2, desc="Floor") as bar:
        results["floor"] = measure_floor(options)
        for name, database in databases.items():
            bar.update()
            if options.only in {None, name}:
                bar.set_description(name)
                with database() as url:
                    results[name] = measure(url, options)
        bar.update()
    sys.exit(0 if print_table(results) else "A goal is missed: see the table.")


if __name__ == "__main__":
    main()
