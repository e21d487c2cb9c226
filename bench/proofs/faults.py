"""Interrupt what the server depends on; it must answer soon and recover by itself.

The program starts its own servers and causes one outage after the other. SQLite's write
lock is held, and its disk is full (a small tmpfs, which only root can mount).
PostgreSQL is stopped, is out of connections, has its rows locked, and is read-only like
a standby. Redis is stopped, frozen and emptied.

During an outage a send must be answered within BOUND seconds, with 503 and Retry-After
(without Redis it must be stored). /readyz must be 503 if the database is unavailable,
and /healthz 200. Afterwards, without a restart, a send must succeed within RECOVERY
seconds. At the end no acknowledged message may be lost, doubled or altered, neither in
the database nor on the stream. Otherwise the program exits with 1.
"""

import argparse
import http.client
import json
import shutil
import sys
import tempfile
import time
import uuid
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

from tqdm import tqdm

from bench.lab.clusters import cluster
from bench.lab.ledger import (
    Follower,
    Ledger,
    Sent,
    print_table,
    read_back,
    start_conversation,
)
from bench.lab.outages import (
    Redis,
    disk_filled,
    out_of_connections,
    read_only,
    rows_locked,
    small_disk,
    stopped,
    writer_held,
)
from bench.lab.report import parser_of
from bench.lab.servers import Server, call, make_people, migrate, until

BOUND = 6.0  # seconds
RECOVERY = 3.0  # seconds
SENDS = 4  # during each outage
FAULTS = ("lost", "duplicated", "altered", "unexpected", "gaps")

Outage = Callable[[], AbstractContextManager]


class Answer(NamedTuple):
    status: int
    retry_after: str
    seconds: float


class Case(NamedTuple):
    """An outage, and the status of a send and of /readyz during it."""

    name: str
    outage: Outage
    status: int = 503
    ready: int = 503


class Run:
    """A conversation with one sender and one follower."""

    def __init__(self, server: Server, database_url: str):
        self.server, self.ledger = server, Ledger()
        self.people = make_people(database_url, 2)
        self.conversation_id = start_conversation(server.url, self.people)
        reader = self.people[1]
        cursor = call(server.url, "GET", "/api/events/", reader.token).body["cursor"]
        self.follower = Follower(server.url, reader, cursor)
        self.follower.start()

    def send(self) -> Answer:
        client_id, sender = str(uuid.uuid4()), self.people[0]
        body = f"{sender.username} {len(self.ledger.attempted)} {'x' * 3000}"
        self.ledger.attempt(client_id, Sent(sender.username, body))
        message = {"conversation": self.conversation_id, "message_body": body}
        headers = {"Authorization": f"Token {sender.token}"}
        headers["Content-Type"] = "application/json"
        address = urlsplit(self.server.url).netloc
        connection = http.client.HTTPConnection(address, timeout=30)
        payload = json.dumps(message | {"client_id": client_id})
        began = time.monotonic()
        connection.request("POST", "/api/messages/", payload, headers)
        response = connection.getresponse()
        answer = response.read()
        seconds = time.monotonic() - began
        connection.close()
        if response.status == 201:
            self.ledger.acknowledge(client_id, json.loads(answer)["seq"])
        return Answer(response.status, response.headers.get("Retry-After", ""), seconds)

    def suffer(self, case: Case) -> dict[str, object]:
        """Go through one outage; return the table's row."""
        before = self.send().status
        with case.outage():
            # The first response may still come by a persistent connection.
            answers = [self.send() for _ in range(SENDS)]
            ready = self._status("/readyz")
            alive = self._status("/healthz")
        began = time.monotonic()
        until(lambda: self.send().status == 201)
        recovered = time.monotonic() - began
        slowest = max(answer.seconds for answer in answers)
        as_wanted = [
            answer.status == case.status
            and (answer.status != 503 or answer.retry_after == "1")
            for answer in answers
        ]
        is_right = before == 201 and all(as_wanted)
        is_right = is_right and (ready, alive) == (case.ready, 200)
        return {
            "answers": ",".join(str(answer.status) for answer in answers),
            "slowest s": round(slowest, 2),
            "readyz": ready,
            "healthz": alive,
            "recovered s": round(recovered, 2),
            "right": is_right and slowest <= BOUND and recovered <= RECOVERY,
        }

    def _status(self, path: str) -> int:
        return call(self.server.url, "GET", path).status

    def judge(self) -> dict[str, int]:
        stored = read_back(self.server.url, self.people[0], self.conversation_id)
        self.follower.finish(stored)
        followed = self.follower.faults(stored)
        row = self.ledger.judge(stored)
        return row | {f"stream: {name}": n for name, n in followed.items()}


def run(
    database_url: str, cases: list[Case], **settings: str
) -> tuple[dict[str, dict], dict[str, int]]:
    """Go through the outages with one server, never restarted."""
    migrate(database_url)
    with Server(database_url, LOG_LEVEL="CRITICAL", **settings) as server:
        suffering = Run(server, database_url)
        bar = tqdm(cases, desc="Outages", unit="")
        rows = {case.name: suffering.suffer(case) for case in bar}
        return rows, suffering.judge()


def run_on_sqlite() -> tuple[dict, dict]:
    with small_disk() as disk, tempfile.TemporaryDirectory(prefix="bench-") as other:
        directory = disk or Path(other)
        file = directory / "bench.sqlite3"
        cases = [Case("writer held", lambda: writer_held(file), ready=200)]
        if disk:
            full = Case("disk full", lambda: disk_filled(directory), ready=200)
            cases.append(full)
        else:
            print("No tmpfs may be mounted: the full disk is left out.")
        return run(f"sqlite:///{file}", cases)


def run_on_postgres() -> tuple[dict, dict]:
    with cluster(max_connections="20") as own:
        cases = [
            Case("stopped", lambda: stopped(own)),
            Case("out of connections", lambda: out_of_connections(own)),
            Case("rows locked", lambda: rows_locked(own), ready=200),
            Case("read-only", lambda: read_only(own), ready=200),
        ]
        return run(own.url, cases)


def run_with_redis() -> tuple[dict, dict]:
    redis = Redis()
    redis.start()
    try:
        with cluster() as own:
            cases = [
                Case("Redis stopped", redis.stopped, 201, 200),
                Case("Redis frozen", redis.frozen, 201, 200),
                Case("Redis emptied", redis.emptied, 201, 200),
            ]
            limits = {"THROTTLE_USER": "99999/min", "THROTTLE_SEND": "99999/min"}
            return run(own.url, cases, REDIS_URL=redis.url, **limits)
    finally:
        redis.stop()


PARTS = {
    "SQLite": run_on_sqlite,
    "PostgreSQL": run_on_postgres,
    "Redis": run_with_redis,
}


def arguments() -> argparse.Namespace:
    parser = parser_of("bench.proofs.faults", __doc__)
    add = parser.add_argument
    add("--only", choices=PARTS, help="one of them")
    add("--quick", action="store_true", help="SQLite only")
    options = parser.parse_args()
    options.only = options.only or ("SQLite" if options.quick else None)
    return options


def main() -> None:
    options = arguments()
    names = [options.only] if options.only else list(PARTS)
    if "Redis" in names and not shutil.which("redis-server"):
        sys.exit("redis-server is not installed.")
    rows, totals = {}, {}
    for name in names:
        found, totals[name] = PARTS[name]()
        rows |= found
    print_table(rows)
    print_table(totals)
    streams = [f"stream: {name}" for name in ("lost", "doubled", "out of order")]
    wrong = sum(row[name] for row in totals.values() for name in (*FAULTS, *streams))
    is_right = not wrong and all(row["right"] for row in rows.values())
    sys.exit(0 if is_right else "Something is wrong: see the tables.")


if __name__ == "__main__":
    main()
