"""Kill one of two processes while people send through both and others follow.

Who sends tries again at the other process, with the same ``client_id``; who follows
resumes by the cursor at the one that is left.
"""

import itertools
import threading
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from http.client import HTTPException
from typing import NamedTuple

from tqdm import tqdm

from bench.followers import Follower, Following, present_cursor
from bench.replay import Message, Person, judge
from bench.servers import Server, call, make_people

SENDERS = 8
FOLLOWERS = 40
TRIES = 200  # of one message; a pause between them
PAUSE = 0.05  # seconds
PATIENCE = 60.0  # seconds for the last event to reach everybody
FAULTS = ("lost", "doubled", "altered", "out of order")


class Outcome(NamedTuple):
    """What came of it; the faults are summed over all followers and the reader."""

    messages: int
    retried: int
    deliveries: int
    faults: list[int]


class Sender:
    """Somebody who sends, each message until one of the servers acknowledges it."""

    def __init__(self, person: Person, urls: list[str], conversation_id: str):
        self.person, self._urls = person, itertools.cycle(urls)
        self._conversation_id = conversation_id
        self.sent: list[Message] = []
        self.retried = 0

    def send(self, message_body: str) -> None:
        """Send; RuntimeError when it is refused, or not to be had for long."""
        message = Message(str(uuid.uuid4()), self.person.username, message_body)
        body = {"conversation": self._conversation_id, "client_id": message.client_id}
        body["message_body"] = message_body
        for _ in range(TRIES):
            status = 503
            with suppress(OSError, HTTPException):
                path, token = "/api/messages/", self.person.token
                status = call(next(self._urls), "POST", path, token, body).status
            if status in {200, 201}:
                self.sent.append(message)
                return
            if status != 503:
                raise RuntimeError(f"A message was refused with {status}.")
            self.retried += 1
            time.sleep(PAUSE)
        raise RuntimeError("A message was not taken by any server.")


def kill_one(database_url: str, count: int) -> Outcome:
    """Send so many messages, kill one process half way, compare."""
    people = make_people(database_url, SENDERS + FOLLOWERS)
    each = count // SENDERS
    count = each * SENDERS
    with Server(database_url, core=0) as first, Server(database_url, core=1) as second:
        urls = [first.url, second.url]
        place = start(second.url, people)
        senders = [
            Sender(person, urls if number % 2 else urls[::-1], place)
            for number, person in enumerate(people[:SENDERS])
        ]
        followers = [
            Follower(person, urls if number % 2 else urls[::-1], cursor, count)
            for number, person in enumerate(people[SENDERS:])
            for cursor in [present_cursor(second.url, person)]
        ]
        following = Following(followers)
        following.start()
        send_all(senders, each, first)
        following.give_up_at = time.monotonic() + PATIENCE
        following.join()
        stored = list(read_back(second.url, people[0], place))
    return compared(senders, followers, stored)


def start(url: str, people: list[Person]) -> str:
    """Have the first person start a conversation with all others; return its id."""
    ids = {"participant_ids": [person.user_id for person in people[1:]]}
    answer = call(url, "POST", "/api/conversations/", people[0].token, ids)
    return answer.body["conversation_id"]


def send_all(senders: list[Sender], each: int, doomed: Server) -> None:
    """Have everybody send; kill the server as soon as half of it is acknowledged."""
    half, killing = len(senders) * each // 2, threading.Lock()
    with tqdm(total=2 * half, desc="Sending", unit="") as bar:

        def send(sender: Sender) -> None:
            for number in range(each):
                sender.send(f"{sender.person.username} says {number}")
                with killing:
                    bar.update()
                    if bar.n == half:
                        doomed.kill()

        with ThreadPoolExecutor(len(senders)) as threads:
            list(threads.map(send, senders))  # raises the first failure


def read_back(url: str, person: Person, conversation_id: str) -> Iterator[Message]:
    path = (
        f"/api/messages/?conversation_id={conversation_id}&page_size=200&ordering=seq"
    )
    while path:
        page = call(url, "GET", path, person.token).body
        for row in page["results"]:
            said = (row["sender"]["username"], row["message_body"], row["seq"])
            yield Message(row["client_id"], *said)
        path = (page["next"] or "").removeprefix(url)


def compared(
    senders: list[Sender], followers: list[Follower], stored: list[Message]
) -> Outcome:
    """Judge what each follower got, and what is stored, by what was acknowledged."""
    sent = [message for sender in senders for message in sender.sent]
    received = [stored, *(follower.messages for follower in followers)]
    judged = [judge(sent, messages, burst=True) for messages in received]
    return Outcome(
        len(sent),
        sum(sender.retried for sender in senders),
        sum(len(follower.messages) for follower in followers),
        [sum(column) for column in zip(*judged, strict=True)],
    )
