"""The database of ``bench.speed.growth``: a few fixed callers, and a growing crowd.

A tenth of all messages is in one conversation of the callers, another tenth in their
other conversations, and the rest in those of the crowd. The messages are spread evenly
over 300 days, of which the event log keeps 30.
"""

import random
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

from bench.lab.chat_logs import read_log

SPAN = timedelta(days=300)
LOGGED = 10  # the newest 1 / LOGGED of all messages is still in the event log
PARTICIPANTS = 5  # in most conversations
HERS = 25  # conversations of the first caller, including the large one
HIS = 10  # conversations of the second caller
MANY = 5000  # conversations of the third caller, with one message each
RARE = "zyzzyva"  # a word in three messages, all of them old
ABSENT = "qwxzvk"  # a word in no message
SELDOM = (10, 20, 30)  # seq of the only messages of one participant, in the large one
MISSED = 100  # events
WORDS = 3000  # in the vocabulary for made-up bodies


class Caller(NamedTuple):
    """A caller, and their access token."""

    user_id: str
    token: str


class Place(NamedTuple):
    """A filled database: the callers, and where to find what the calls need."""

    first: Caller  # with 25 conversations
    second: Caller  # with 10; has read nothing in the large one
    third: Caller  # with 5,000
    session: str  # of a superuser, for the admin
    seldom: str  # the user_id of a sender with three old messages
    large: str  # the conversation_id of the one with a tenth of all messages
    depth: int  # its last seq
    unread: list[str]  # ascending message_ids there, for the second to mark as read
    early: str  # a time before which a tenth of all messages was sent
    common: str  # a word in many bodies
    missed: str  # a cursor after which the first caller has ``MISSED`` events
    log_begins: str  # the cursor just before the oldest event that is kept


class Room:
    """A conversation while it is being filled."""

    __slots__ = ("depth", "key", "last_id", "people", "updated")

    def __init__(self, number: int, people: list[int]):
        self.key, self.people = uuid_at(number, 0xC), people
        self.depth, self.last_id, self.updated = 0, None, None


def bodies(corpus: Path | None) -> list[str]:
    """Return message bodies: the lines of a directory's logs, or made-up sentences."""
    if corpus is not None:
        logs = [read_log(path) for path in sorted(corpus.iterdir()) if path.is_file()]
        return [body for log in logs for _, body in log.lines]
    chance = random.Random(1)
    letters = "etaoinshrdlu"
    words = ["".join(chance.choices(letters, k=2 + n % 7)) for n in range(WORDS)]
    weights = [1 / (n + 1) for n in range(WORDS)]  # Zipf's law, as for real words
    return [
        " ".join(chance.choices(words, weights, k=chance.randint(1, 25)))
        for _ in range(5000)
    ]


def common_word(texts: Iterable[str]) -> str:
    found = (word for text in texts for word in re.findall(r"[a-z]{4,}", text.lower()))
    return Counter(found).most_common(1)[0][0]


def uuid_at(number: int, kind: int) -> str:
    """Return a version 7 UUID in hexadecimal, ascending with ``number``."""
    milliseconds = 1_700_000_000_000 + number
    return f"{milliseconds:012x}7{kind:03x}8{number:015x}"


class Population:
    """Determines all participants and messages; always the same for the same size."""

    def __init__(self, messages: int, texts: list[str]):
        self.messages, self.texts = messages, texts
        self.crowd = max(100, messages // 100)
        self.many = min(MANY, messages // 2)
        self.start = datetime.now(UTC) - SPAN
        self.step = SPAN / messages
        # The first five people have roles: three callers, staff, a quiet sender.
        self.large = Room(0, [0, 1, 2, *self._people(0, 7)])
        self.small = [
            Room(n, [int(n >= HERS), *self._people(n, PARTICIPANTS - 1)])
            for n in range(1, HERS + HIS - 1)
        ]
        self.singles = [
            Room(100 + n, [2, *self._people(n, 1)]) for n in range(self.many)
        ]
        left = messages - 2 * (messages // 10) - self.many
        self.others = [
            Room(10_000 + n, self._people(n, PARTICIPANTS))
            for n in range(max(1, left // 100))
        ]
        self.rooms = [self.large, *self.small, *self.singles, *self.others]
        self.order = self._order()
        self.events: list[tuple] = []  # of the newest messages, once they are said

    def _people(self, number: int, count: int) -> list[int]:
        return [5 + (number * 3 + n) % self.crowd for n in range(count)]

    def _order(self) -> list[Room]:
        tenth = self.messages // 10
        left = self.messages - 2 * tenth - self.many
        order = [self.large] * tenth + self.singles
        order += [self.small[n % len(self.small)] for n in range(tenth)]
        order += [self.others[n % len(self.others)] for n in range(left)]
        random.Random(2).shuffle(order)
        return order

    def said(self) -> Iterator[tuple[int, Room, int, str, str]]:
        """Yield each message: number, conversation, seq, sender and body."""
        texts, rare = self.texts, {5, 15, 25}
        for number, room in enumerate(self.order):
            room.depth = seq = room.depth + 1
            sender = room.people[seq % len(room.people)]
            body = texts[number * 7919 % len(texts)]
            if room is self.large:
                sender = 4 if seq in SELDOM else sender
                body = f"{body[:9000]} {RARE}" if seq in rare else body
            yield number, room, seq, person_id(sender), body

    def read_up_to(self, room: Room, person: int) -> int:
        """Return a participant's read cursor, which is usually at the end."""
        number = int(room.key[-15:], 16)
        if room is self.large:
            return {0: room.depth // 2, 1: 0}.get(person, room.depth)
        every = {0: 12, 2: 100}.get(person)  # some of the callers' others are unread
        behind = every is not None and number % every == 0
        return max(0, room.depth - 3) if behind else room.depth


def person_id(number: int) -> str:
    return uuid_at(number, 0xA)


def message_id(number: int) -> str:
    return uuid_at(number, 0xE)


def hyphened(key: str) -> str:
    return f"{key[:8]}-{key[8:12]}-{key[12:16]}-{key[16:20]}-{key[20:]}"
