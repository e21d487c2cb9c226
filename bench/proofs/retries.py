"""Lose 30 % of the responses after the server has done the work; clients retry.

A TCP proxy between the clients and the server cuts connections before a response's
first byte, or within the response. Every message is sent until it is acknowledged,
always with the same client_id. Exits with 1 if a message is lost, doubled or altered,
``seq`` has a gap, or the doctor finds anything.
"""

import argparse
import random
import re
import socket
import sys
import threading
from contextlib import suppress
from itertools import count
from urllib.parse import urlsplit

from tqdm import tqdm

from bench.lab.ledger import (
    Ledger,
    Sender,
    print_table,
    read_back,
    see_the_doctor,
    start_conversation,
    sum_of,
)
from bench.lab.report import add_usual, makers, parser_of
from bench.lab.servers import Person, Server, make_people

SENDERS = 8
FAULTS = ("unknown", "lost", "duplicated", "altered", "unexpected", "gaps")
FAULTS += ("doctor",)

LENGTH = re.compile(rb"content-length: (\d+)", re.IGNORECASE)


def whole(connection: socket.socket) -> bytes:
    """Read one complete request or response, whose parts may arrive separately."""
    message = b""
    while data := connection.recv(65_536):
        message += data
        head, found, body = message.partition(b"\r\n\r\n")
        length = LENGTH.search(head)
        if found and len(body) >= (int(length[1]) if length else 0):
            break
    return message


class LossyProxy:
    """Passes requests on, and cuts off a share of the responses."""

    def __init__(self, address: tuple[str, int], share: float, seed: int):
        self._address, self._share = address, share
        self._chance = random.Random(seed)
        self._listening = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.url = f"http://127.0.0.1:{self._listening.getsockname()[1]}"
        self.answers = self.cut_before = self.cut_within = 0
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._listening.close()

    def _accept(self) -> None:
        with suppress(OSError):  # closed
            while True:
                client, _ = self._listening.accept()
                thread = threading.Thread(target=self._serve, args=[client])
                thread.daemon = True
                thread.start()

    def _serve(self, client: socket.socket) -> None:
        """Pass on requests, until a response is cut."""
        server = socket.create_connection(self._address)
        with client, server, suppress(OSError):
            while request := whole(client):
                server.sendall(request)
                answer = whole(server)  # the work has been done
                kept = self._kept(answer)
                client.sendall(answer[:kept])
                if kept < len(answer) or not answer:
                    return

    def _kept(self, answer: bytes) -> int:
        """Return how many bytes of a response to pass on."""
        self.answers += 1
        if not answer or self._chance.random() >= self._share:
            return len(answer)
        if self._chance.random() < 0.5:
            self.cut_before += 1
            return 0
        self.cut_within += 1
        return self._chance.randrange(1, len(answer))


def run(database_url: str, options: argparse.Namespace, name: str) -> dict[str, object]:
    """Send all messages through the proxy; return the table's row."""
    people = make_people(database_url, SENDERS)
    with Server(database_url) as server:
        conversation_id = start_conversation(server.url, people)
        address = (urlsplit(server.url).hostname, urlsplit(server.url).port)
        proxy = LossyProxy(address, options.share, options.seed)
        with tqdm(total=options.sends, desc=f"Sending, {name}", unit="") as bar:
            ledger = send_all(proxy.url, people, conversation_id, options.sends, bar)
        proxy.close()
        row = ledger.judge(read_back(server.url, people[0], conversation_id))
    cuts = {"cut before": proxy.cut_before, "cut within": proxy.cut_within}
    found = {"answers": proxy.answers, "doctor": see_the_doctor(database_url)}
    return row | cuts | found


def send_all(
    url: str, people: list[Person], conversation_id: str, sends: int, bar: tqdm
) -> Ledger:
    """Let all people send, each message until it is acknowledged."""
    ledger, turns = Ledger(), count(1)

    def is_over() -> bool:
        turn = next(turns)
        bar.update(turn <= sends)
        return turn > sends

    senders = [
        Sender(
            url,
            person,
            conversation_id,
            ledger,
            random.Random(person.username),
            giving_up=0.0,
            is_over=is_over,
        )
        for person in people
    ]
    for sender in senders:
        sender.start()
    for sender in senders:
        sender.join()
    if refused := [one.refusal for one in senders if one.refusal]:
        raise RuntimeError(f"A sender was refused: {refused[0]}")
    return ledger


def arguments() -> argparse.Namespace:
    parser = parser_of("bench.proofs.retries", __doc__)
    add = parser.add_argument
    add("--sends", type=int, default=5000, help="messages (%(default)s)")
    add("--share", type=float, default=0.3, help="of answers lost (%(default)s)")
    add("--seed", type=int, default=1, help="of the cuts (%(default)s)")
    add_usual(parser, quick="300 messages", writes=False)
    options = parser.parse_args()
    options.sends = 300 if options.quick else options.sends
    return options


def main() -> None:
    options = arguments()
    rows = {}
    for name, maker in makers(options).items():
        with maker() as url:
            rows[name] = run(url, options, name)
    print_table(rows)
    is_wrong = sum_of(rows.values(), *FAULTS)
    sys.exit("Something is wrong: see the table." if is_wrong else 0)


if __name__ == "__main__":
    main()
