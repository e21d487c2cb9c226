"""Replay a whole directory of chat logs through two processes, to 200 followers.

All logs are sent at the same time, each in its order, every second person through the
other process. Each log has its own followers, half of them at each process. The
messages that each follower received, and those read back, are compared with those sent.
Exits with 1 if a message is lost, doubled, altered or out of order.
"""

import argparse
import resource
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

from tqdm import tqdm

from bench.lab.chat_logs import Log, read_log
from bench.lab.followers import Follower, Following, present_cursor
from bench.lab.messages import FAULTS, Message, judge
from bench.lab.report import parser_of, print_rows
from bench.lab.servers import (
    Person,
    Server,
    default_postgres,
    make_people,
    postgres,
    sqlite,
)
from bench.proofs.replay import Replay, send_all

PATIENCE = 60.0  # seconds for the last event to reach all followers


class TimedReplay(Replay):
    """A replay that records when each message was sent, and uses two servers."""

    def __init__(self, urls: list[str], log: Log, people: dict[str, Person]):
        super().__init__(urls[0], log, people)
        self.sent_at: dict[str, float] = {}  # by client_id, monotonic
        for number, client in enumerate(self.clients.values()):
            client.host = urlsplit(urls[number % len(urls)]).netloc

    def send(self, index: int) -> None:
        self.sent_at[self.sent[index].client_id] = time.monotonic()
        super().send(index)

    def add(self, person: Person) -> None:
        """Add a person to the conversation."""
        path = f"/api/conversations/{self.conversation_id}/add_participant/"
        owner = next(iter(self.clients.values()))
        owner.call("POST", path, {"user_id": person.user_id})


class Followed(NamedTuple):
    """The messages one follower received, with their times (monotonic clock)."""

    messages: list[Message]
    seen_at: list[float]


def follow(followers: list[tuple], pipe: Connection) -> None:
    """Follow all streams; report when they are open, and finally what arrived.

    Call it in a separate process, so that reading does not slow down the sending.
    """
    raise_limit()
    opened = [Follower(*arguments) for arguments in followers]
    following = Following(opened)
    following.start()
    pipe.send("open")
    pipe.recv()  # all messages are sent
    following.give_up_at = time.monotonic() + PATIENCE
    following.join()
    pipe.send([Followed(each.messages, each.seen_at) for each in opened])


class Outcome(NamedTuple):
    """The result of a replay; the latencies are in milliseconds, sorted."""

    messages: int
    people: int
    followers: int
    rate: float
    retried: int
    latencies: list[float]
    faults: list[int]

    def percentile(self, percent: float) -> float:
        place = int(len(self.latencies) * percent / 100)
        return self.latencies[min(place, len(self.latencies) - 1)]


def run(database_url: str, logs: list[Log], followers: int) -> Outcome:
    """Replay all logs through two servers; compare what each follower received."""
    nicks = list(dict.fromkeys(nick for log in logs for nick, _ in log.lines))
    people = make_people(database_url, len(nicks) + followers)
    by_nick = dict(zip(nicks, people, strict=False))
    watching = people[len(nicks) :]
    most = str(max(len(log.by_nick()) for log in logs) + followers)
    with ExitStack() as stack:
        servers = [
            stack.enter_context(Server(database_url, MAX_PARTICIPANTS=most))
            for _ in range(2)
        ]
        urls = [server.url for server in servers]
        replays = [
            TimedReplay(urls, log, by_nick)
            for log in tqdm(logs, desc="Opening", unit="log")
        ]
        followed = [replays[n % len(replays)] for n in range(followers)]
        for replay, person in zip(followed, watching, strict=True):
            replay.add(person)
        arguments = [
            (person, urls[n % 2 :] + urls[: n % 2], cursor, len(replay.log.lines))
            for n, (replay, person) in enumerate(zip(followed, watching, strict=True))
            for cursor in [present_cursor(urls[0], person)]
        ]
        seconds, got = send_to(replays, arguments)
        read = [list(replay.read_back()) for replay in tqdm(replays, "Reading back")]
        for replay in replays:
            replay.close()
    return compared(replays, followed, got, read, seconds)


def send_to(
    replays: list[TimedReplay], followers: list[tuple]
) -> tuple[float, list[Followed]]:
    """Send everything while others follow; return the seconds and their messages."""
    spawn = get_context("spawn")
    ours, theirs = spawn.Pipe()
    process = spawn.Process(target=follow, args=(followers, theirs), daemon=True)
    process.start()
    ours.recv()  # the streams are open
    began = time.monotonic()
    send_all(replays, burst=False, threads=len(replays))
    seconds = time.monotonic() - began
    ours.send("sent")
    got = ours.recv()
    process.join()
    return seconds, got


def compared(
    replays: list[TimedReplay],
    followed: list[TimedReplay],
    got: list[Followed],
    read: list[list[Message]],
    seconds: float,
) -> Outcome:
    judged = [
        judge(replay.sent, back, burst=False)
        for replay, back in zip(replays, read, strict=True)
    ]
    judged += [
        judge(replay.sent, each.messages, burst=False)
        for replay, each in zip(followed, got, strict=True)
    ]
    latencies = sorted(
        1000 * (seen - replay.sent_at[message.client_id])
        for replay, each in zip(followed, got, strict=True)
        for message, seen in zip(each.messages, each.seen_at, strict=True)
    )
    messages = sum(len(replay.sent) for replay in replays)
    clients = [client for replay in replays for client in replay.clients.values()]
    return Outcome(
        messages,
        len(clients),
        len(got),
        messages / seconds,
        sum(client.retried for client in clients),
        latencies,
        [sum(column) for column in zip(*judged, strict=True)],
    )


HEAD = ("", "messages", "senders", "followers", "deliveries", "sent/s", "retried")
HEAD += ("p50 ms", "p99 ms", "worst ms", *FAULTS)


def row_of(name: str, outcome: Outcome) -> Iterator[str]:
    yield name
    yield from (str(count) for count in outcome[:3])
    yield str(len(outcome.latencies))
    yield f"{outcome.rate:.0f}"
    yield str(outcome.retried)
    yield from (f"{outcome.percentile(percent):.1f}" for percent in (50, 99, 100))
    yield from map(str, outcome.faults)


def raise_limit() -> None:
    """Allow as many open sockets as possible, because each person has one."""
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def arguments() -> argparse.Namespace:
    parser = parser_of("bench.proofs.corpus", __doc__)
    add = parser.add_argument
    add("directory", type=Path, help="of logs with lines [HH:MM] <nick> text")
    add("--followers", type=int, default=200, help="of all logs (%(default)s)")
    add("--limit", type=int, metavar="N", help="only the first N messages of each log")
    add("--quick", action="store_true", help="the first 100 messages of each log")
    add("--database", nargs="+", choices=["SQLite", "PostgreSQL"])
    add("--postgres", metavar="URL", default=default_postgres())
    options = parser.parse_args()
    options.database = options.database or ["PostgreSQL"]
    options.limit = options.limit or (100 if options.quick else None)
    return options


def main() -> None:
    options = arguments()
    raise_limit()
    paths = sorted(path for path in options.directory.iterdir() if path.is_file())
    logs = [log for log in (read_log(p, options.limit) for p in paths) if log.lines]
    if not logs:
        sys.exit("There is no message in these logs.")
    makers = {"SQLite": sqlite, "PostgreSQL": partial(postgres, options.postgres)}
    outcomes = {}
    for name in options.database:
        with makers[name]() as url:
            outcomes[name] = run(url, logs, options.followers)
    print_rows(HEAD, [list(row_of(name, found)) for name, found in outcomes.items()])
    wrong = any(any(outcome.faults) for outcome in outcomes.values())
    sys.exit("Something is wrong: see the table." if wrong else 0)


if __name__ == "__main__":
    main()
