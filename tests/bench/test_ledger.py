"""The ledger of the proofs that kill and cut: does it find each fault?"""

import pytest

from bench.lab.ledger import Follower, Ledger, Sent
from bench.lab.messages import Message
from bench.lab.servers import Person
from bench.proofs.process_kill import Outcome, Sender, compared
from bench.proofs.retries import whole

FIRST = Message("1", "ann", "one", 1)
SECOND = Message("2", "ben", "two", 2)
THIRD = Message("3", "ann", "three", 3)  # never acknowledged: its fate is unknown


@pytest.fixture
def ledger() -> Ledger:
    """Three attempts, two of them acknowledged."""
    made = Ledger()
    for message in (FIRST, SECOND, THIRD):
        made.attempt(message.client_id, Sent(message.username, message.body))
    made.acknowledge("1", 1)
    made.acknowledge("2", 2)
    return made


@pytest.mark.parametrize(
    ("stored", "wrong"),
    [
        ([FIRST, SECOND], {}),
        ([FIRST, SECOND, THIRD], {}),
        ([FIRST], {"lost": 1}),
        ([FIRST, SECOND, FIRST._replace(seq=3)], {"duplicated": 1, "altered": 1}),
        ([FIRST, SECOND, THIRD, THIRD._replace(seq=4)], {"duplicated": 1}),
        ([FIRST, SECOND._replace(body="2")], {"altered": 1}),
        ([FIRST, SECOND._replace(username="ann")], {"altered": 1}),
        ([SECOND._replace(seq=1), FIRST._replace(seq=2)], {"altered": 2}),
        ([FIRST, SECOND, THIRD._replace(client_id="9")], {"unexpected": 1}),
        ([FIRST, SECOND, THIRD._replace(seq=4)], {"gaps": 1}),
    ],
)
def test_ledger_counts_each_fault(ledger, stored, wrong):
    counts = dict.fromkeys(("lost", "duplicated", "altered", "unexpected", "gaps"), 0)
    known = {"attempted": 3, "acknowledged": 2, "unknown": 1, "retried": 0}
    assert ledger.judge(stored) == known | counts | wrong


@pytest.mark.parametrize(
    ("seen", "faults"),
    [
        ([FIRST, SECOND], [0, 0, 0]),
        ([FIRST], [1, 0, 0]),
        ([FIRST, SECOND, SECOND], [0, 1, 1]),
        ([SECOND, FIRST], [0, 0, 1]),
    ],
)
def test_follower_counts_each_fault(seen, faults):
    follower = Follower("http://localhost:1", Person("ann", "1", "a token"), "1-0")
    follower.messages = seen
    assert list(follower.faults([FIRST, SECOND]).values()) == faults


def test_faults_of_all_readers_are_added_up():
    sender = Sender(Person("ann", "1", "a token"), ["http://localhost:1"], "1")
    sender.sent = [FIRST, SECOND]
    follower = Follower("http://localhost:1", sender.person, "1-0")
    follower.messages = [FIRST]
    stored = [FIRST, SECOND._replace(body="2")]

    outcome = compared([sender], [follower], stored)

    assert outcome == Outcome(2, deliveries=1, retried=0, faults=[1, 0, 1, 0])


class Pieces:
    """A connection from which these pieces come."""

    def __init__(self, *pieces: bytes):
        self.pieces = list(pieces)

    def recv(self, _: int) -> bytes:
        return self.pieces.pop(0) if self.pieces else b""


@pytest.mark.parametrize(
    ("pieces", "taken"),
    [
        ([b"A\r\n\r\n", b"B"], b"A\r\n\r\n"),
        ([b"A\r\nContent-Length: 2\r\n\r\n", b"x", b"y", b"z"], b"xy"),
        ([b"A\r\nContent-Le", b"ngth: 1\r\n\r\nx", b"z"], b"x"),
        ([b"A\r\nContent-Length: 2\r\n\r\n", b"x"], b"x"),
        ([], b""),
    ],
)
def test_proxy_takes_one_whole_message(pieces, taken):
    assert whole(Pieces(*pieces)).endswith(taken)
    assert whole(Pieces(*pieces)).count(b"z") == 0
