"""Kill one of two processes while people send through both and others follow.

Two servers share one PostgreSQL. Eight people send through both; if a response does not
arrive, they send the message to the other server with the same ``client_id``. Forty
people follow by streams, half of them from each server, and resume by their cursor at
the remaining server. One server is killed (SIGKILL) when half of the messages are
acknowledged. Then the messages that each follower received, and those read back, are
compared with the acknowledged ones. Exits with 1 if a message is lost, doubled, altered
or out of order.
"""

import argparse
import itertools
import sys
import threading
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from http.client import HTTPException
from typing import NamedTuple

from tqdm import tqdm

from bench.lab.followers import Follower, Following, present_cursor
from bench.lab.ledger import read_back, start_conversation
from bench.lab.messages import FAULTS, Message, judge
from bench.lab.report import add_usual, parser_of, print_rows
from bench.lab.servers import Person, Server, call, make_people, postgres

SENDERS = 8
FOLLOWERS = 40
TRIES = 200  # of one message, with a pause after each
PAUSE = 0.05  # seconds
PATIENCE = 60.0  # seconds for the last event to reach all followers
HEAD = ("", "messages", "deliveries", "tried again", *FAULTS)


class Outcome(NamedTuple):
    """The counts; the faults are the sum for all followers and the stored messages."""

    messages: int
    deliveries: int
    retried: int
    faults: list[int]


class Sender:
    """A person who sends each message until one of the servers acknowledges it."""

    def __init__(self, person: Person, urls: list[str], conversation_id: str):
        self.person, self._urls = person, itertools.cycle(urls)
        self._conversation_id = conversation_id
        self.sent: list[Message] = []
        self.retried = 0

    def send(self, message_body: str) -> None:
        """Send a message; raise RuntimeError if it is refused or all tries fail."""
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
        raise RuntimeError("A message was not accepted by any server.")


def kill_one(database_url: str, count: int) -> Outcome:
    """Send ``count`` messages, kill one process halfway, and compare."""
    people = make_people(database_url, SENDERS + FOLLOWERS)
    each = count // SENDERS
    count = each * SENDERS
    with Server(database_url, core=0) as first, Server(database_url, core=1) as second:
        urls = [first.url, second.url]
        place = start_conversation(second.url, people)
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
        stored = read_back(second.url, people[0], place)
    return compared(senders, followers, stored)


def send_all(senders: list[Sender], each: int, doomed: Server) -> None:
    """Let all people send; kill the server when half of the sends are acknowledged."""
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


def compared(
    senders: list[Sender], followers: list[Follower], stored: list[Message]
) -> Outcome:
    """Compare the followers' messages, and the stored ones, with those sent."""
    sent = [message for sender in senders for message in sender.sent]
    received = [stored, *(follower.messages for follower in followers)]
    judged = [judge(sent, messages, burst=True) for messages in received]
    return Outcome(
        len(sent),
        sum(len(follower.messages) for follower in followers),
        sum(sender.retried for sender in senders),
        [sum(column) for column in zip(*judged, strict=True)],
    )


def row_of(outcome: Outcome) -> list[str]:
    *counts, faults = outcome
    return ["PostgreSQL", *(f"{count:,}" for count in (*counts, *faults))]


def arguments() -> argparse.Namespace:
    parser = parser_of("bench.proofs.process_kill", __doc__)
    parser.add_argument("--messages", type=int, help="number to send (4000)")
    add_usual(parser, quick="400 messages", databases=False, writes=False)
    options = parser.parse_args()
    options.messages = options.messages or (400 if options.quick else 4000)
    return options


def main() -> None:
    options = arguments()
    with postgres(options.postgres) as url:
        outcome = kill_one(url, options.messages)
    print_rows(HEAD, [row_of(outcome)])
    sys.exit("Something is wrong: see the table." if any(outcome.faults) else 0)


if __name__ == "__main__":
    main()
