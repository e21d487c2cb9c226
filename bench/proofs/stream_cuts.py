"""Cut a client's stream 200 times while a real log is sent; nothing may be missing.

The client resumes by Last-Event-ID after each cut. The kinds of cuts are clean (the
client closes), reset (the connection breaks), half-open (the client is gone and the
server does not notice) and mid-event (a proxy cuts after some bytes). Exits with 1 if a
message is lost, doubled, altered or out of order.
"""

import argparse
import random
import socket
import struct
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

from tqdm import tqdm

from bench.lab.chat_logs import Log, read_log
from bench.lab.messages import FAULTS, Message, judge, message_of
from bench.lab.report import parser_of
from bench.lab.servers import (
    Person,
    Reader,
    Server,
    call,
    default_postgres,
    make_people,
    postgres,
    sqlite,
    stream_request,
)
from bench.proofs.replay import Replay, sign_up_all

WATCHER = "\0"  # the person who follows; no nick can be this
KINDS = ("clean", "reset", "half-open", "mid-event")
IDLE = 0.3  # seconds without a byte, after which a cut waits no longer
MOST_BYTES = 6000  # of a response, including its head, before it is cut off
LONGEST_AWAY = 0.1  # seconds until the client reconnects
PATIENCE = 30.0  # seconds for the last message to arrive
COLUMNS = ("messages", *KINDS, "torn", *FAULTS)


class Proxy:
    """A TCP proxy that cuts each connection within the response."""

    def __init__(self, address: tuple[str, int]):
        self._address = address
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.address = self._listening.getsockname()[:2]

    def pass_on(self, most: int) -> threading.Thread:
        """Serve the next connection, in a new thread."""
        thread = threading.Thread(target=self._serve, args=[most])
        thread.start()
        return thread

    def close(self) -> None:
        self._listening.close()

    def _serve(self, most: int) -> None:
        client, _ = self._listening.accept()
        with client, socket.create_connection(self._address) as server:
            server.sendall(client.recv(65_536))
            server.settimeout(IDLE)
            with suppress(TimeoutError):
                while most > 0 and (data := server.recv(most)):
                    client.sendall(data)
                    most -= len(data)


class Follower:
    """A client that loses its connections, but keeps its messages and its cursor."""

    def __init__(self, url: str, token: str, cursor: str):
        address = urlsplit(url)
        self.address = (address.hostname, address.port)
        self.proxy = Proxy(self.address)
        self.token, self.cursor = token, cursor
        self.messages: list[Message] = []
        self.cuts: Counter[str] = Counter()
        self._abandoned: list[socket.socket] = []

    def be_cut(self, kind: str, after: int) -> None:
        """Follow for ``after`` messages, or until nothing arrives; lose the stream."""
        self.cuts[kind] += 1
        if kind == "mid-event":
            self._be_broken_off()
            return
        connection = self._connect(self.address)
        enough = len(self.messages) + after
        self._read(connection, lambda: len(self.messages) >= enough)
        self._lose(connection, kind)

    def follow(self, count: int) -> None:
        """Follow until ``count`` messages have arrived, at most PATIENCE seconds."""
        deadline = time.monotonic() + PATIENCE

        def is_over() -> bool:
            return len(self.messages) >= count or time.monotonic() > deadline

        while not is_over():
            connection = self._connect(self.address)
            self._read(connection, is_over)
            connection.close()

    def close(self) -> None:
        self.proxy.close()
        for connection in self._abandoned:
            connection.close()

    def _be_broken_off(self) -> None:
        passing = self.proxy.pass_on(random.randint(1, MOST_BYTES))
        connection = self._connect(self.proxy.address)
        reader = self._read(connection, lambda: False)
        connection.close()
        passing.join()
        self.cuts["torn"] += reader.is_inside_an_event

    def _connect(self, address: tuple[str, int]) -> socket.socket:
        connection = socket.create_connection(address)
        connection.settimeout(IDLE)
        connection.sendall(stream_request(self.token, self.cursor))
        return connection

    def _read(self, connection: socket.socket, is_enough: Callable) -> Reader:
        """Read until ``is_enough()``, nothing arrives, or the stream ends."""
        reader = Reader(self.cursor)
        with suppress(TimeoutError, ConnectionResetError):
            while not is_enough() and (data := connection.recv(4096)):
                for event in reader.feed(data):
                    if event.type == "message.created":
                        self.messages.append(message_of(event.data["message"]))
                self.cursor = reader.cursor
        if reader.status not in {0, 200}:
            raise RuntimeError(f"The stream was answered with {reader.status}.")
        return reader

    def _lose(self, connection: socket.socket, kind: str) -> None:
        if kind == "half-open":
            self._abandoned.append(connection)
            return
        if kind == "reset":
            linger = struct.pack("ii", 1, 0)  # on, 0 seconds: closing sends RST
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        connection.close()


def follower_of(url: str, replay: Replay, person: Person) -> Follower:
    """Add a person to the replay's conversation; they follow it from then on."""
    path = f"/api/conversations/{replay.conversation_id}/add_participant/"
    owner = next(iter(replay.clients.values()))
    owner.call("POST", path, {"user_id": person.user_id})
    cursor = call(url, "GET", "/api/events/", person.token).body["cursor"]
    return Follower(url, person.token, cursor)


def send_all(replay: Replay) -> None:
    for number in range(len(replay.log.lines)):
        replay.send(number)


def run(url: str, log: Log, people: dict[str, Person], cuts: int) -> list[int]:
    """Replay the log to a client that is cut; return the table's row."""
    replay = Replay(url, log, people)
    follower = follower_of(url, replay, people[WATCHER])
    kinds = [KINDS[number % len(KINDS)] for number in range(cuts)]
    random.shuffle(kinds)
    often = max(2, 2 * len(log.lines) // cuts)
    with ThreadPoolExecutor(1) as pool:
        sending = pool.submit(send_all, replay)
        for kind in tqdm(kinds, desc="Cutting", unit=""):
            follower.be_cut(kind, after=random.randrange(often))
            time.sleep(random.uniform(0, LONGEST_AWAY))
        sending.result()
    follower.follow(len(log.lines))
    follower.close()
    replay.close()
    faults = judge(replay.sent, follower.messages, burst=False)
    counts = [follower.cuts[column] for column in (*KINDS, "torn")]
    return [len(log.lines), *counts, *faults]


def run_on_own_server(database_url: str, log: Log, cuts: int) -> list[int]:
    nicks = [*log.by_nick(), WATCHER]
    people = make_people(database_url, len(nicks))
    with Server(database_url) as server:
        return run(server.url, log, dict(zip(nicks, people, strict=True)), cuts)


def run_on(url: str, log: Log, cuts: int) -> list[int]:
    """Run against a running server; all people sign up first."""
    watcher = Log("", [(WATCHER, "")], 0)
    return run(url, log, sign_up_all(url, [log, watcher]), cuts)


def print_row(name: str, cells: list) -> None:
    pairs = zip(COLUMNS, cells, strict=True)
    print(f"{name:12}", *(f"{cell:>{len(column)}}" for column, cell in pairs), sep="  ")


def arguments() -> argparse.Namespace:
    parser = parser_of("bench.proofs.stream_cuts", __doc__)
    add = parser.add_argument
    add("log", metavar="LOG", type=Path, help="lines: [HH:MM] <nick> text")
    add("--cuts", type=int, default=200, help="how many (%(default)s)")
    add("--limit", type=int, metavar="N", help="only the first N messages of the log")
    add("--url", help="a server that runs; without it, own ones on both databases")
    add(
        "--postgres",
        metavar="URL",
        default=default_postgres(),
        help="a server on which a database may be made (%(default)s)",
    )
    add("--seed", type=int, help="of the random numbers, to have the same cuts again")
    return parser.parse_args()


def main() -> None:
    options = arguments()
    seed = options.seed if options.seed is not None else random.randrange(10**6)
    random.seed(seed)
    print(f"seed {seed}")
    log = read_log(options.log, options.limit)
    rows = {}
    if options.url:
        rows["server"] = run_on(options.url, log, options.cuts)
    else:
        with sqlite() as url:
            rows["SQLite"] = run_on_own_server(url, log, options.cuts)
        with postgres(options.postgres) as url:
            rows["PostgreSQL"] = run_on_own_server(url, log, options.cuts)
    print_row("", list(COLUMNS))
    for name, row in rows.items():
        print_row(name, row)
    is_right = not any(sum(row[COLUMNS.index("lost") :]) for row in rows.values())
    sys.exit(0 if is_right else "Something is wrong: see the table.")


if __name__ == "__main__":
    main()
