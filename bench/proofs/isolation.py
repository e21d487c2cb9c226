"""Change participants at random for a minute; nobody may receive events of others.

A hundred people follow their streams from two processes and move between them, while
others add and remove them, send, edit and read. An oracle knows the order of all joins
and removals from the HTTP responses, and their events from the rows of the log. A
person may see a conversation's events from their joining to their removal, both
included. Exits with 1 if a stream or a page of the log has a foreign, missing, doubled
or disordered event, or one that shows later changes.
"""

import argparse
import random
import resource
import select
import socket
import sqlite3
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, NamedTuple
from urllib.parse import urlsplit
from uuid import UUID

import psycopg
from tqdm import tqdm

from bench.lab.report import parser_of
from bench.lab.servers import (
    Person,
    Reader,
    Server,
    ServerSentEvent,
    call,
    default_postgres,
    make_people,
    postgres,
    sqlite,
    stream_request,
)

CONVERSATIONS = 20
THREADS = 4  # that change and send
MOVE_EVERY = 0.05  # seconds between streams that resume at the other server
PATIENCE = 60.0  # seconds for the last event to reach all followers
ACTIONS = {"send": 9, "change": 6, "edit": 3, "read": 2}  # relative frequencies
FAULTS = ("foreign", "missing", "doubled", "out of order", "too new", "unannounced")
COLUMNS = ("changes", "messages", "resumed", "events", "withheld", *FAULTS)


@dataclass
class Conversation:
    """The state of a conversation according to the HTTP responses."""

    conversation_id: str
    inside: set[Person]
    changes: list[tuple[str, str]] = field(default_factory=list)  # type, user_id
    # Held only to add or remove a participant; everything else races with that.
    lock: threading.Lock = field(default_factory=threading.Lock)


# --- Actions ------------------------------------------------------------------


class Company:
    """People who talk, come and go at random through the API."""

    def __init__(self, urls: list[str], director: Person, people: list[Person]):
        self.urls, self.director, self.people = urls, director, people
        self.everybody = self._start(people).conversation_id
        self.conversations = [
            self._start(random.sample(people, len(people) // 3))
            for _ in range(CONVERSATIONS)
        ]
        self.first = {item.conversation_id: set(item.inside) for item in self}
        self.sent: list[str] = []  # message ids, as acknowledged
        self.edits: Counter[str] = Counter()

    def __iter__(self) -> Iterator[Conversation]:
        return iter(self.conversations)

    def act(self, until: float) -> None:
        """Do one action after the other, in a separate thread."""
        mine: dict[str, Person] = {}  # the messages that this thread has sent
        while time.monotonic() < until:
            (action,) = random.choices([*ACTIONS], [*ACTIONS.values()])
            conversation = random.choice(self.conversations)
            if action == "send":
                self._send(conversation, mine)
            elif action == "change":
                self._change(conversation, random.choice(self.people))
            elif action == "edit" and mine:
                self._edit(*random.choice(list(mine.items())))
            elif action == "read":
                self._read(conversation)

    def say_goodbye(self) -> None:
        body = {"conversation": self.everybody, "message_body": "v1"}
        answer = self._call(self.director, "POST", "messages/", body, {201})
        self.sent.append(answer["message_id"])

    def _start(self, people: list[Person]) -> Conversation:
        ids = [person.user_id for person in people]
        body = {"participant_ids": ids}
        answer = self._call(self.director, "POST", "conversations/", body, {201})
        return Conversation(answer["conversation_id"], set(people))

    def _send(self, conversation: Conversation, mine: dict[str, Person]) -> None:
        sender = self._somebody(conversation)
        body = {"conversation": conversation.conversation_id, "message_body": "v1"}
        answer = self._call(sender, "POST", "messages/", body, {201, 400})
        if "message_id" in answer:
            self.sent.append(answer["message_id"])
            mine[answer["message_id"]] = sender

    def _change(self, conversation: Conversation, person: Person) -> None:
        with conversation.lock:
            is_inside = person in conversation.inside
            kind = "remove" if is_inside else "add"
            actor = random.choice([self.director, person if is_inside else None])
            path = f"conversations/{conversation.conversation_id}/{kind}_participant/"
            body = {"user_id": person.user_id}
            self._call(actor or self.director, "POST", path, body, {200, 204})
            conversation.inside ^= {person}
            conversation.changes.append(
                ("participant." + kind.removesuffix("e") + "ed", person.user_id)
            )

    def _edit(self, message_id: str, sender: Person) -> None:
        body = {"message_body": f"v{self.edits[message_id] + 2}"}
        path = f"messages/{message_id}/"
        answer = self._call(sender, "PATCH", path, body, {200, 404})
        self.edits[message_id] += "message_id" in answer

    def _read(self, conversation: Conversation) -> None:
        body = {"conversation_id": conversation.conversation_id}
        path = "messages/mark_conversation_as_read/"
        self._call(self._somebody(conversation), "POST", path, body, {200, 400})

    def _somebody(self, conversation: Conversation) -> Person:
        """Return a participant; they may be removed before their request arrives."""
        inside = tuple(conversation.inside)
        return random.choice(inside or (self.director,))

    def _call(
        self, actor: Person, method: str, path: str, body: dict, good: set[int]
    ) -> dict:
        url = random.choice(self.urls)
        answer = call(url, method, f"/api/{path}", actor.token, body)
        if answer.status not in good:
            raise RuntimeError(f"{method} {path}: {answer}")
        return answer.body


# --- Followers ----------------------------------------------------------------


class Follower:
    """A person's stream, which resumes by its cursor at any server."""

    def __init__(self, person: Person, cursor: str):
        self.person, self.start = person, cursor
        self.events: list[ServerSentEvent] = []
        self.reader = Reader(cursor)
        self.connection: socket.socket | None = None

    def connect(self, url: str) -> None:
        address = urlsplit(url)
        self.reader = Reader(self.reader.cursor)
        self.connection = socket.create_connection((address.hostname, address.port))
        self.connection.sendall(stream_request(self.person.token, self.reader.cursor))

    def receive(self) -> None:
        """Read what has arrived; raise RuntimeError if the server ends the stream."""
        data = self.connection.recv(65_536)
        self.events += [e for e in self.reader.feed(data) if e.id and e.type != "ping"]
        if not data or self.reader.status not in {0, 200}:
            raise RuntimeError(f"A stream ended, after status {self.reader.status}.")


class Followers:
    """All streams, read by one thread."""

    def __init__(self, urls: list[str], people: Iterable[Person]):
        self.urls = urls
        self.followers = [
            Follower(person, cursor_of(urls[0], person)) for person in people
        ]
        self.resumed = 0
        self._poll = select.poll()
        self._by_number: dict[int, Follower] = {}
        for follower in self.followers:
            self._connect(follower)

    def follow(self, goodbye: threading.Event, last: str) -> None:
        """Read until each person has received an event of the conversation ``last``."""
        move_at = deadline = 0.0
        waiting = set(self.followers)
        while waiting and (not deadline or time.monotonic() < deadline):
            for number, _ in self._poll.poll(10):
                self._by_number[number].receive()
            if not goodbye.is_set() and time.monotonic() >= move_at:
                move_at = time.monotonic() + MOVE_EVERY
                self._move(random.choice(self.followers))
            if goodbye.is_set():
                deadline = deadline or time.monotonic() + PATIENCE
                waiting = {item for item in waiting if not has_last(item, last)}
        for follower in self.followers:
            follower.connection.close()

    def _connect(self, follower: Follower) -> None:
        follower.connect(random.choice(self.urls))
        self._by_number[follower.connection.fileno()] = follower
        self._poll.register(follower.connection, select.POLLIN)

    def _move(self, follower: Follower) -> None:
        self.resumed += 1
        self._poll.unregister(follower.connection)
        follower.connection.close()
        self._connect(follower)


def has_last(follower: Follower, conversation_id: str) -> bool:
    return any(
        event.data["conversation_id"] == conversation_id
        for event in follower.events[-5:]
    )


def cursor_of(url: str, person: Person) -> str:
    return call(url, "GET", "/api/events/", person.token).body["cursor"]


def pages(url: str, follower: Follower) -> list[ServerSentEvent]:
    """Return the same events from the JSON pages of the log."""
    events, cursor, more = [], follower.start, True
    while more:
        path = f"/api/events/?after={cursor}&limit=1000"
        page = call(url, "GET", path, follower.person.token).body
        cursor, more = page["cursor"], page["more"]
        events += [ServerSentEvent(e["id"], e["type"], e) for e in page["events"]]
    return events


# --- The oracle ---------------------------------------------------------------


class Fact(NamedTuple):
    """A row of the log."""

    event_id: int
    type: str
    conversation_id: str
    message_id: str
    user_id: str


def read_facts(database_url: str) -> list[Fact]:
    """Read the log without any of the server's code."""
    query = "SELECT event_id, type, conversation_id, message_id, user_id"
    query += " FROM chats_event ORDER BY event_id"
    if database_url.startswith("postgres"):
        with psycopg.connect(database_url) as connection:
            rows = connection.execute(query).fetchall()
    else:
        path = database_url.removeprefix("sqlite:///")
        with closing(sqlite3.connect(path)) as connection:
            rows = connection.execute(query).fetchall()
    return [Fact(*row[:2], *(as_text(value) for value in row[2:])) for row in rows]


def as_text(value: Any) -> str:
    return str(UUID(str(value))) if value else ""


class Span(NamedTuple):
    """The first and last event of a participation; ``last`` is 0 if it goes on."""

    first: int
    last: int = 0

    def __contains__(self, event_id: int) -> bool:
        return self.first <= event_id and (not self.last or event_id <= self.last)


class Oracle:
    """Knows which events each person may and must receive."""

    def __init__(self, facts: list[Fact], company: Company):
        self.facts = {fact.event_id: fact for fact in facts}
        self.spans: dict[tuple[str, str], list[Span]] = {}
        self.versions: dict[str, list[int]] = {}  # events that set each body
        self.removals: dict[tuple[str, str], int] = {}  # of each person, the last
        first = company.first | {company.everybody: set(company.people)}
        for fact in facts:
            self._note(fact, first.get(fact.conversation_id, set()))

    def _note(self, fact: Fact, first: set[Person]) -> None:
        key = fact.conversation_id, fact.user_id
        if fact.type == "conversation.created":
            for person in first:
                pair = fact.conversation_id, person.user_id
                self.spans[pair] = [Span(fact.event_id)]
        elif fact.type == "participant.added":
            self.spans.setdefault(key, []).append(Span(fact.event_id))
        elif fact.type == "participant.removed":
            *earlier, span = self.spans[key]
            self.spans[key] = [*earlier, span._replace(last=fact.event_id)]
            self.removals[key] = fact.event_id
        elif fact.message_id:
            self.versions.setdefault(fact.message_id, []).append(fact.event_id)

    def span(self, fact: Fact, user_id: str) -> Span | None:
        """Return the span in which an event reaches a person, if there is one."""
        spans = self.spans.get((fact.conversation_id, user_id), ())
        return next((span for span in spans if fact.event_id in span), None)

    def is_required(self, fact: Fact, span: Span) -> bool:
        """Return whether the person must receive the event.

        It may be withheld if its participant has left again, or if it would show
        changes after the person's removal (docs/events.md).
        """
        if fact.event_id == span.last or fact.type == "participant.removed":
            return True
        if fact.message_id:
            return not span.last or self.versions[fact.message_id][-1] <= span.last
        about = fact.conversation_id, fact.user_id
        has_left = self.removals.get(about, 0) > fact.event_id
        return not span.last and not has_left

    def is_too_new(self, event: ServerSentEvent, span: Span) -> bool:
        """Return whether an event shows changes after the person's removal."""
        shown = [event.data.get("message")]
        shown.append((event.data.get("conversation") or {}).get("last_message"))
        return any(
            self.versions[message["message_id"]][version_of(message)] > span.last
            for message in shown
            if message and span.last
        )

    def judge(self, user_id: str, events: list[ServerSentEvent]) -> Counter[str]:
        """Count the faults in the events that one person received."""
        ids = [id_of(event) for event in events]
        own = {key: self.span(fact, user_id) for key, fact in self.facts.items()}
        allowed = {key: span for key, span in own.items() if span}
        required = {k for k, v in allowed.items() if self.is_required(self.facts[k], v)}
        return Counter(
            {
                "events": len(ids),
                "withheld": len(allowed.keys() - ids) - len(required - {*ids}),
                "foreign": sum(key not in allowed for key in ids),
                "missing": len(required - {*ids}),
                "doubled": len(ids) - len({*ids}),
                "out of order": sum(b < a for a, b in pairwise(ids)),
                "too new": sum(
                    self.is_too_new(event, allowed[key])
                    for key, event in zip(ids, events, strict=True)
                    if key in allowed
                ),
            }
        )


def id_of(event: ServerSentEvent) -> int:
    """Return the id in a cursor; clients must not parse cursors, but tests may."""
    return int(event.id.rpartition("-")[2])


def version_of(message: dict) -> int:
    return int(message["message_body"].removeprefix("v")) - 1


def unannounced(facts: list[Fact], company: Company) -> int:
    """Count the differences between the HTTP answers and the log."""
    created = Counter(f.message_id for f in facts if f.type == "message.created")
    edited = Counter(f.message_id for f in facts if f.type == "message.updated")
    sent = Counter(company.sent)
    wrong = sum(((created - sent) + (sent - created)).values())
    wrong += sum(((edited - company.edits) + (company.edits - edited)).values())
    for conversation in company:
        changes = [
            (fact.type, fact.user_id)
            for fact in facts
            if fact.conversation_id == conversation.conversation_id
            and fact.type.startswith("participant.")
        ]
        wrong += changes != conversation.changes
    return wrong


# --- The run ------------------------------------------------------------------


@contextmanager
def two_servers(database_url: str) -> Iterator[list[str]]:
    with Server(database_url) as first, Server(database_url) as second:
        yield [first.url, second.url]


def run(database_url: str, streams: int, seconds: int) -> dict[str, Counter[str]]:
    """Return the counts for the streams and for the pages."""
    director, *people = make_people(database_url, streams + 1)
    with two_servers(database_url) as urls:
        followers = Followers(urls, people)
        company = Company(urls, director, people)
        bustle(company, followers, seconds)
        reading = tqdm(followers.followers, desc="Reading pages", leave=False)
        paged = [pages(urls[0], follower) for follower in reading]
    facts = read_facts(database_url)
    oracle = Oracle(facts, company)
    counts = {"streams": Counter(resumed=followers.resumed), "pages": Counter()}
    for follower, page in zip(followers.followers, paged, strict=True):
        counts["streams"] += oracle.judge(follower.person.user_id, follower.events)
        counts["pages"] += oracle.judge(follower.person.user_id, page)
    for count in counts.values():
        count["changes"] = sum(len(item.changes) for item in company)
        count["messages"] = len(company.sent)
        count["unannounced"] = unannounced(facts, company)
    return counts


def bustle(company: Company, followers: Followers, seconds: int) -> None:
    """Run all actions for ``seconds``, and follow to the end; raise their errors."""
    goodbye = threading.Event()
    until = time.monotonic() + seconds
    with ThreadPoolExecutor(THREADS + 1) as pool:
        following = pool.submit(followers.follow, goodbye, company.everybody)
        acting = [pool.submit(company.act, until) for _ in range(THREADS)]
        for _ in tqdm(range(seconds), desc="Acting", unit="s", leave=False):
            wait([following], timeout=1)
        for future in acting:
            future.result()
        company.say_goodbye()
        goodbye.set()
        following.result()


def print_row(name: str, cells: Iterable[object]) -> None:
    pairs = zip(COLUMNS, cells, strict=True)
    print(f"{name:20}", *(f"{cell:>{len(column)}}" for column, cell in pairs), sep="  ")


def arguments() -> argparse.Namespace:
    parser = parser_of("bench.proofs.isolation", __doc__)
    add = parser.add_argument
    add("--seconds", type=int, default=60, help="of changes (%(default)s)")
    add("--streams", type=int, default=100, help="one a person (%(default)s)")
    add("--seed", type=int, help="of the random numbers")
    add(
        "--postgres",
        metavar="URL",
        default=default_postgres(),
        help="a server on which a database may be made (%(default)s)",
    )
    return parser.parse_args()


def main() -> None:
    options = arguments()
    random.seed(options.seed)
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    results = {}
    with sqlite() as url:
        results["SQLite"] = run(url, options.streams, options.seconds)
    with postgres(options.postgres) as url:
        results["PostgreSQL"] = run(url, options.streams, options.seconds)
    print_row("", COLUMNS)
    wrong = 0
    for database, counts in results.items():
        for name, count in counts.items():
            print_row(f"{database} {name}", [count[column] for column in COLUMNS])
            wrong += sum(count[column] for column in FAULTS)
    sys.exit("Something is wrong: see the table." if wrong else 0)


if __name__ == "__main__":
    main()
