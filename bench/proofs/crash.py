"""Kill the server, and PostgreSQL, while 16 people send; nothing may be lost.

The server is killed (SIGKILL) at random moments, on SQLite and on PostgreSQL. Then a
PostgreSQL of the bench's own, with fsync on, is killed and stopped at once (``pg_ctl
-m immediate``) in turn, while the server stays up. Half of the sends that fail are
repeated with their client_id. The other half are given up: it is unknown whether they
were stored. Two people follow the stream all the time.

Exits with 1 if an acknowledged message is lost, doubled or altered, a message is stored
that nobody sent, ``seq`` has a gap, the stream lost, doubled or disordered an event,
the doctor finds anything, or the first send after a restart took longer than the limit.
"""

import argparse
import random
import sys
import time
from collections.abc import Callable
from threading import Event

from tqdm import tqdm

from bench.lab.clusters import Cluster, cluster
from bench.lab.ledger import (
    Follower,
    Ledger,
    Sender,
    print_table,
    read_back,
    see_the_doctor,
    start_conversation,
    sum_of,
)
from bench.lab.report import add_usual, makers, parser_of
from bench.lab.servers import Person, Server, call, make_people, migrate, until

SENDERS, FOLLOWERS = 16, 2
BETWEEN = (0.3, 1.5)  # seconds from one success to the next kill
LIMIT = 3.0  # seconds from being up again to the first acknowledgement
FAULTS = ("lost", "duplicated", "altered", "unexpected", "gaps", "doctor")
FOLLOWED = ("followers lost", "doubled", "out of order")


class Run:
    """Senders and followers of one conversation, while something is killed."""

    def __init__(self, url: str, people: list[Person], seed: int):
        self.url, self.people, self.chance = url, people, random.Random(seed)
        self.ledger, self.stopped = Ledger(), Event()
        self.conversation_id = start_conversation(url, people)
        watchers = people[SENDERS:]
        self.followers = [self._follower(person) for person in watchers]
        self.senders = [
            Sender(
                url,
                person,
                self.conversation_id,
                self.ledger,
                random.Random(self.chance.random()),
                is_over=self.stopped.is_set,
            )
            for person in people[:SENDERS]
        ]
        self.slowest = 0.0

    def _follower(self, person: Person) -> Follower:
        cursor = call(self.url, "GET", "/api/events/", person.token).body["cursor"]
        return Follower(self.url, person, cursor)

    def kill(self, ends: list[Callable[[], None]], start: Callable, name: str) -> None:
        """For each of ``ends``: call it, start again and wait for a successful send."""
        for thread in (*self.followers, *self.senders):
            thread.start()
        for end in tqdm(ends, desc=f"Killing {name}", unit=""):
            time.sleep(self.chance.uniform(*BETWEEN))
            end()
            start()
            up_at = time.monotonic()
            until(lambda up_at=up_at: self.ledger.newest_at > up_at, 60)
            self.slowest = max(self.slowest, self.ledger.newest_at - up_at)
        self.stopped.set()
        for sender in self.senders:
            sender.join()

    def judge(self) -> dict[str, object]:
        """Return the table's row."""
        if refused := [one.refusal for one in self.senders if one.refusal]:
            raise RuntimeError(f"A sender was refused: {refused[0]}")
        stored = read_back(self.url, self.people[0], self.conversation_id)
        row = self.ledger.judge(stored)
        totals = dict.fromkeys(FOLLOWED, 0)
        for follower in self.followers:
            follower.finish(stored)
            faults = follower.faults(stored).values()
            for name, count in zip(FOLLOWED, faults, strict=True):
                totals[name] += count
        return row | totals | {"slowest s": round(self.slowest, 2)}


def kill_server(database_url: str, kills: int, seed: int, name: str) -> dict:
    people = make_people(database_url, SENDERS + FOLLOWERS)
    with Server(database_url) as server:
        run = Run(server.url, people, seed)
        run.kill([server.kill] * kills, server.start, name)
        return run.judge() | {"doctor": see_the_doctor(database_url)}


def kill_postgres(own: Cluster, kills: int, seed: int) -> dict:
    ways = [own.kill, lambda: own.stop("immediate")]
    migrate(own.url)
    people = make_people(own.url, SENDERS + FOLLOWERS)
    with Server(own.url, LOG_LEVEL="CRITICAL") as server:
        run = Run(server.url, people, seed)
        ends = [ways[number % 2] for number in range(kills)]
        run.kill(ends, own.start, "PostgreSQL itself")
        return run.judge() | {"doctor": see_the_doctor(own.url)}


def arguments() -> argparse.Namespace:
    parser = parser_of("bench.proofs.crash", __doc__)
    add = parser.add_argument
    add("--kills", type=int, default=30, help="of the server (%(default)s)")
    add("--outages", type=int, default=10, help="of PostgreSQL (%(default)s)")
    add("--seed", type=int, default=1, help="of the moments (%(default)s)")
    add("--limit", type=float, default=LIMIT, help="seconds (%(default)s)")
    add_usual(parser, quick="5 kills and 2 outages", writes=False)
    options = parser.parse_args()
    if options.quick:
        options.kills, options.outages = min(options.kills, 5), min(options.outages, 2)
    return options


def run_all(options: argparse.Namespace) -> dict[str, dict]:
    rows = {}
    for name, maker in makers(options).items() if options.kills else ():
        with maker() as url:
            row = kill_server(url, options.kills, options.seed, f"on {name}")
            rows[name] = row
    if options.outages and "PostgreSQL" in options.database:
        with cluster() as own:
            row = kill_postgres(own, options.outages, options.seed)
            rows["PostgreSQL itself"] = row
    return rows


def main() -> None:
    options = arguments()
    rows = run_all(options)
    print_table(rows)
    slow = any(row["slowest s"] > options.limit for row in rows.values())
    is_wrong = sum_of(rows.values(), *FAULTS, *FOLLOWED) or slow
    sys.exit("Something is wrong: see the table." if is_wrong else 0)


if __name__ == "__main__":
    main()
