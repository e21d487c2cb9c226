"""Replay real chat logs through the HTTP API, then prove that nothing is missing.

Each person in a log signs up and sends their messages. Then the conversation is read
back and compared with the messages sent. Exits with 1 if a message is lost, doubled,
altered or out of order.
"""

import argparse
import http.client
import json
import re
import resource
import sys
import time
import uuid
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlsplit

from tqdm import tqdm

from bench.lab.chat_logs import Log, read_log
from bench.lab.messages import FAULTS, Message, judge
from bench.lab.report import parser_of
from bench.lab.servers import Person

PAGE_SIZE = 200  # the API's maximum
PASSWORD = "replay-pass-2026"
TRIES = 8  # of one request, on a broken connection or a busy server
IDLE_LIMIT = 3  # seconds; servers close idle connections a little later
LONGEST_WAIT = 60  # seconds of Retry-After; the replay stops at more
COLUMNS = ("people", "messages", "skipped", "sent/s", "retried", *FAULTS)


def usernames(nicks: Iterable[str], run: str) -> dict[str, str]:
    """Map each nick to a valid, unique username.

    The number distinguishes nicks that differ only in case or in characters that a
    username cannot have; ``run`` distinguishes one replay from the next.
    """
    return {
        nick: f"{re.sub('[^A-Za-z0-9_.-]', '_', nick)[:100]}-{number}-{run}"
        for number, nick in enumerate(dict.fromkeys(nicks), start=1)
    }


class RefusedError(Exception):
    """The replay cannot continue after a response of the server."""


class Client:
    """One person's connection, which retries requests that are safe to repeat."""

    def __init__(self, url: str, token: str = ""):
        self.host = urlsplit(url).netloc
        self.headers = {"Content-Type": "application/json"}
        self.headers |= {"Authorization": f"Token {token}"} if token else {}
        self.connection: http.client.HTTPConnection | None = None
        self.used_at = 0.0
        self.retried = 0

    def call(self, method: str, path: str, body: dict | None = None) -> dict:
        """Return the response's body; raise RefusedError if no try succeeds."""
        payload = None if body is None else json.dumps(body).encode()
        for attempt in range(TRIES):
            try:
                status, headers, answer = self._once(method, path, payload)
            except (OSError, http.client.HTTPException) as error:
                self.close()
                status, headers, answer = 0, {}, repr(error).encode()
            if status in {200, 201}:
                return json.loads(answer)
            if status not in {0, 429, 503}:
                break
            self.retried += 1
            self._wait(float(headers.get("Retry-After", 0.1 * 2**attempt)))
        raise RefusedError(f"{method} {path}: {status} {answer[:300].decode()}")

    def close(self) -> None:
        if self.connection:
            self.connection.close()
        self.connection = None

    def _once(self, method: str, path: str, payload: bytes | None) -> tuple:
        if time.monotonic() - self.used_at > IDLE_LIMIT:
            self.close()
        if self.connection is None:
            self.connection = http.client.HTTPConnection(self.host, timeout=60)
        self.connection.request(method, path, payload, self.headers)
        response = self.connection.getresponse()
        answer = response.read()
        self.used_at = time.monotonic()
        return response.status, response.headers, answer

    def _wait(self, seconds: float) -> None:
        if seconds > LONGEST_WAIT:
            raise RefusedError(
                f"the server asks to wait {seconds:.0f} s. Start it with its limits "
                "off: THROTTLE_ANON= THROTTLE_SIGNUP= THROTTLE_SEND= THROTTLE_USER= "
                "THROTTLE_STRANGERS="
            )
        time.sleep(seconds)


def sign_up(url: str, username: str) -> Person:
    client = Client(url)
    credentials = {"username": username, "password": PASSWORD}
    names = {"first_name": "Replayed", "last_name": "Person"}
    profile = credentials | names | {"email": f"{username}@replay.example"}
    user_id = client.call("POST", "/api/users/", profile)["user_id"]
    wanted = credentials | {"name": "replay"}
    token = client.call("POST", "/api/auth/tokens/", wanted)["token"]
    client.close()
    return Person(username, user_id, token)


class Replay:
    """The replay of one log."""

    def __init__(self, url: str, log: Log, everybody: dict[str, Person]):
        """Start the log's conversation, owned by the sender of the first message."""
        self.log = log
        people = {nick: everybody[nick] for nick in log.by_nick()}
        self.clients = {nick: Client(url, people[nick].token) for nick in people}
        self.sent = [
            Message(str(uuid.uuid4()), people[nick].username, body)
            for nick, body in log.lines
        ]
        ids = [person.user_id for person in people.values()]
        opener = next(iter(self.clients.values()))
        body = {"participant_ids": ids, "title": log.name}
        opened = opener.call("POST", "/api/conversations/", body)
        self.conversation_id = opened["conversation_id"]
        self.acknowledged_at = 0.0  # the last one, in the monotonic clock

    def send(self, index: int) -> None:
        """Send the log's line with this index; wait until it is acknowledged."""
        nick, body = self.log.lines[index]
        message = {
            "conversation": self.conversation_id,
            "message_body": body,
            "client_id": self.sent[index].client_id,
        }
        self.clients[nick].call("POST", "/api/messages/", message)
        self.acknowledged_at = time.monotonic()

    def read_back(self) -> Iterator[Message]:
        """Page through the conversation as the person who joined it last."""
        reader = list(self.clients.values())[-1]
        query = f"conversation_id={self.conversation_id}&page_size={PAGE_SIZE}"
        query += "&ordering=seq"
        while query:
            page = reader.call("GET", f"/api/messages/by_conversation/?{query}")
            for row in page["results"]:
                sender, body = row["sender"]["username"], row["message_body"]
                yield Message(row["client_id"], sender, body, row["seq"])
            query = urlsplit(page["next"] or "").query

    def close(self) -> None:
        for client in self.clients.values():
            client.close()


def sign_up_all(url: str, logs: list[Log]) -> dict[str, Person]:
    nicks = dict.fromkeys(nick for log in logs for nick, _ in log.lines)
    names = usernames(nicks, run=uuid.uuid4().hex[:6])
    with ThreadPoolExecutor(8) as pool:
        joining = pool.map(lambda nick: sign_up(url, names[nick]), nicks)
        people = list(tqdm(joining, desc="Signing up", unit="", total=len(nicks)))
    return dict(zip(nicks, people, strict=True))


def send_all(replays: list[Replay], *, burst: bool, threads: int) -> None:
    """Send all logs at once, each in its order; in a burst, each person's in order."""
    tasks = [(replay, range(len(replay.log.lines))) for replay in replays]
    if burst:
        tasks = [
            (replay, lines)
            for replay in replays
            for lines in replay.log.by_nick().values()
        ]
        # The longest first, so that it does not run alone at the end.
        tasks.sort(key=lambda task: -len(task[1]))
    bar = tqdm(total=sum(len(task[1]) for task in tasks), desc="Sending", unit="")

    def send_lines(task: tuple[Replay, Iterable[int]]) -> None:
        replay, lines = task
        for index in lines:
            replay.send(index)
            bar.update()

    with bar, ThreadPoolExecutor(threads if burst else len(tasks)) as pool:
        list(pool.map(send_lines, tasks))  # raises the first failure


def print_row(name: str, cells: Iterable[object]) -> None:
    pairs = zip(COLUMNS, cells, strict=True)
    print(f"{name:16}", *(f"{cell:>{len(column)}}" for column, cell in pairs), sep="  ")


def run(logs: list[Log], url: str, *, burst: bool = False, threads: int = 16) -> bool:
    """Replay, read back, print the table; return whether everything is right."""
    people = sign_up_all(url, logs)
    replays = [Replay(url, log, people) for log in logs]
    began = time.monotonic()
    send_all(replays, burst=burst, threads=threads)
    rows = []
    for replay in tqdm(replays, desc="Reading back", unit=""):
        rate = round(len(replay.sent) / (replay.acknowledged_at - began))
        retried = sum(client.retried for client in replay.clients.values())
        faults = judge(replay.sent, list(replay.read_back()), burst=burst)
        said = [len(replay.clients), len(replay.sent), replay.log.skipped]
        rows.append([*said, rate, retried, *faults])
        replay.close()
    print_row("", COLUMNS)
    for replay, row in zip(replays, rows, strict=True):
        print_row(replay.log.name, row)
    total = [sum(column) for column in zip(*rows, strict=True)]
    # All logs were sent at the same time, so the rates do not simply add up.
    seconds = max(replay.acknowledged_at for replay in replays) - began
    total[COLUMNS.index("sent/s")] = round(total[COLUMNS.index("messages")] / seconds)
    print_row("total", total)
    return not any(total[COLUMNS.index("lost") :])


def arguments() -> argparse.Namespace:
    parser = parser_of("bench.proofs.replay", __doc__)
    add = parser.add_argument
    add("logs", metavar="LOG", nargs="+", type=Path, help="lines: [HH:MM] <nick> text")
    add("--url", default="http://127.0.0.1:8000", help="the server (%(default)s)")
    add("--limit", type=int, metavar="N", help="only the first N messages of each log")
    add(
        "--burst",
        action="store_true",
        help="all people send at once, each in their own order, to stress seq; "
        "without it each log is sent in its order, all logs at the same time",
    )
    add("--threads", type=int, default=16, help="senders in a burst (%(default)s)")
    return parser.parse_args()


def main() -> None:
    options = arguments()
    read = (read_log(path, options.limit) for path in options.logs)
    logs = [log for log in read if log.lines]
    if not logs:
        sys.exit("There is no message in these logs.")
    # Each person holds a connection.
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    try:
        right = run(logs, options.url, burst=options.burst, threads=options.threads)
    except RefusedError as error:
        sys.exit(f"\nStopped: {error}")
    sys.exit(0 if right else "Something is wrong: see the table.")


if __name__ == "__main__":
    main()
