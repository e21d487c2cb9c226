"""Compares what was sent and acknowledged with what is stored and was followed."""

import http.client
import json
import random
import socket
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterable
from contextlib import suppress
from itertools import pairwise
from typing import NamedTuple
from urllib.parse import urlsplit

from bench.lab.messages import Message, message_of
from bench.lab.servers import ROOT, Person, Reader, call, environment, stream_request

ANSWER_TIMEOUT = 10.0  # seconds
PAUSE = 0.05  # seconds before trying again
PATIENCE = 60.0  # seconds for the last message to reach a follower
COLUMNS = ("attempted", "acknowledged", "unknown", "retried", "lost", "duplicated")
COLUMNS += ("altered", "unexpected", "gaps")


class Sent(NamedTuple):
    username: str
    body: str


class Ledger:
    """Every attempted send, and the ``seq`` of the acknowledged ones."""

    def __init__(self) -> None:
        self.attempted: dict[str, Sent] = {}
        self.acknowledged: dict[str, int] = {}
        self.retried = 0
        self.newest_at = 0.0  # of the acknowledgements, by the monotonic clock
        self._lock = threading.Lock()

    def attempt(self, client_id: str, sent: Sent) -> None:
        with self._lock:
            self.attempted[client_id] = sent

    def retry(self) -> None:
        with self._lock:
            self.retried += 1

    def acknowledge(self, client_id: str, seq: int) -> None:
        with self._lock:
            self.acknowledged[client_id] = seq
            self.newest_at = time.monotonic()

    def judge(self, stored: list[Message]) -> dict[str, int]:
        """Count the sends and the faults; ``stored`` is in the order of seq."""
        by_id = {message.client_id: message for message in stored}
        altered = sum(
            (row.username, row.body) != self.attempted[row.client_id]
            or row.seq != self.acknowledged.get(row.client_id, row.seq)
            for row in stored
            if row.client_id in self.attempted
        )
        seqs = [0, *(message.seq for message in stored)]
        counts = (
            len(self.attempted),
            len(self.acknowledged),
            len(self.attempted) - len(self.acknowledged),
            self.retried,
            len(self.acknowledged.keys() - by_id.keys()),
            len(stored) - len(by_id),
            altered,
            len(by_id.keys() - self.attempted.keys()),
            sum(after != before + 1 for before, after in pairwise(seqs)),
        )
        return dict(zip(COLUMNS, counts, strict=True))


class Sender(threading.Thread):
    """Sends until ``is_over()``; a failed send is retried, or given up as unknown."""

    def __init__(
        self,
        url: str,
        person: Person,
        conversation_id: str,
        ledger: Ledger,
        chance: random.Random,
        *,
        giving_up: float = 0.5,
        is_over: Callable[[], bool],
    ):
        super().__init__(daemon=True)
        self.host = urlsplit(url).netloc
        self.person, self.conversation_id = person, conversation_id
        self.ledger, self.chance, self.is_over = ledger, chance, is_over
        self.giving_up = giving_up
        self.connection: http.client.HTTPConnection | None = None
        self.refusal = ""  # a response for which retries are useless

    def run(self) -> None:
        while not self.is_over() and not self.refusal:
            client_id = str(uuid.uuid4())
            body = f"{self.person.username}: {'x' * self.chance.randrange(300)}"
            self.ledger.attempt(client_id, Sent(self.person.username, body))
            self._send(client_id, body)
        self._close()

    def _send(self, client_id: str, body: str) -> None:
        message = {"conversation": self.conversation_id, "message_body": body}
        payload = json.dumps(message | {"client_id": client_id})
        while not self.refusal:
            seq = self._try(payload)
            if seq is not None:
                self.ledger.acknowledge(client_id, seq)
                return
            time.sleep(PAUSE)
            if self.chance.random() < self.giving_up:
                return
            self.ledger.retry()

    def _try(self, payload: str) -> int | None:
        """Return the ``seq`` of the response; None if it is a 503 or incomplete."""
        try:
            status, answer = self._once(payload)
            if status in {200, 201}:
                return json.loads(answer)["seq"]
        # ValueError: a response cut off in its head looks like one without a body.
        except (OSError, http.client.HTTPException, ValueError):
            self._close()
            return None
        if status != 503:
            self.refusal = f"{status} {answer[:300]!r}"
        return None

    def _once(self, payload: str) -> tuple[int, bytes]:
        if self.connection is None:
            made = http.client.HTTPConnection(self.host, timeout=ANSWER_TIMEOUT)
            self.connection = made
        headers = {"Authorization": f"Token {self.person.token}"}
        headers["Content-Type"] = "application/json"
        self.connection.request("POST", "/api/messages/", payload, headers)
        response = self.connection.getresponse()
        return response.status, response.read()

    def _close(self) -> None:
        if self.connection is not None:
            self.connection.close()
            self.connection = None


class Follower(threading.Thread):
    """Follows the stream through all outages, until it has seen the last message."""

    def __init__(self, url: str, person: Person, cursor: str):
        super().__init__(daemon=True)
        self.address = (urlsplit(url).hostname, urlsplit(url).port)
        self.person, self.cursor = person, cursor
        self.messages: list[Message] = []
        self.outages = 0
        self._last_seq: int | None = None
        self._deadline = float("inf")

    def run(self) -> None:
        while not self._is_over():
            with suppress(OSError):
                self._follow()
            self.outages += 1
            time.sleep(PAUSE)

    def finish(self, stored: list[Message]) -> None:
        """Wait until it has seen the last of them, but at most PATIENCE seconds."""
        self._last_seq = stored[-1].seq if stored else 0
        self._deadline = time.monotonic() + PATIENCE
        self.join()

    def faults(self, stored: list[Message]) -> dict[str, int]:
        """Compare with the stored messages, which are in the order of ``seq``."""
        seen = [message.client_id for message in self.messages]
        seqs = [message.seq for message in self.messages]
        return {
            "lost": len({message.client_id for message in stored} - set(seen)),
            "doubled": len(seen) - len(set(seen)),
            "out of order": sum(after <= before for before, after in pairwise(seqs)),
        }

    def _is_over(self) -> bool:
        newest = self.messages[-1].seq if self.messages else 0
        has_all = self._last_seq is not None and newest >= self._last_seq
        return has_all or time.monotonic() > self._deadline

    def _follow(self) -> None:
        with socket.create_connection(self.address, timeout=5) as connection:
            connection.settimeout(0.5)
            connection.sendall(stream_request(self.person.token, self.cursor))
            reader = Reader(self.cursor)
            while not self._is_over() and reader.status in {0, 200}:
                with suppress(TimeoutError):
                    data = connection.recv(65_536)
                    if not data:
                        return
                    self._take(reader, data)

    def _take(self, reader: Reader, data: bytes) -> None:
        for event in reader.feed(data):
            if event.type == "message.created":
                self.messages.append(message_of(event.data["message"]))
        self.cursor = reader.cursor


def start_conversation(url: str, people: list[Person]) -> str:
    """Start a conversation of all these people, owned by the first; return its id."""
    body = {"participant_ids": [person.user_id for person in people], "title": "Sent"}
    answer = call(url, "POST", "/api/conversations/", people[0].token, body)
    return answer.body["conversation_id"]


def read_back(url: str, person: Person, conversation_id: str) -> list[Message]:
    """Page through the whole conversation, in the order of ``seq``."""
    query = f"conversation_id={conversation_id}&page_size=200&ordering=seq"
    found: list[Message] = []
    while query:
        path = f"/api/messages/by_conversation/?{query}"
        page = call(url, "GET", path, person.token).body
        found += [message_of(row) for row in page["results"]]
        query = urlsplit(page["next"] or "").query
    return found


def see_the_doctor(database_url: str) -> int:
    """Run the doctor, which prints its findings; return 1 if there are any, or 0."""
    command = [sys.executable, "manage.py", "doctor", "--verbosity", "0"]
    return subprocess.run(
        command, cwd=ROOT, env=environment(database_url), check=False
    ).returncode


def print_table(rows: dict[str, dict[str, object]]) -> None:
    """Print rows with the same columns, each beginning with its name."""
    columns = next(iter(rows.values()))
    print(f"{'':22}", *columns, sep="  ")
    for name, row in rows.items():
        cells = (f"{row[column]:>{len(column)}}" for column in columns)
        print(f"{name:22}", *cells, sep="  ")


def sum_of(rows: Iterable[dict[str, object]], *columns: str) -> float:
    return sum(row[column] for row in rows for column in columns if column in row)
