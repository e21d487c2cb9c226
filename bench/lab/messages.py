"""Messages as sent and as received, and the differences between them."""

from itertools import pairwise
from typing import NamedTuple

FAULTS = ("lost", "doubled", "altered", "out of order")


class Message(NamedTuple):
    """A message as sent, or as received."""

    client_id: str
    username: str
    body: str
    seq: int = 0  # known only for received messages


def message_of(row: dict) -> Message:
    """Return the message in a row of a response, or in an event."""
    sender = row["sender"]["username"]
    return Message(row["client_id"], sender, row["message_body"], row["seq"])


def judge(sent: list[Message], received: list[Message], *, burst: bool) -> list[int]:
    """Count the lost, doubled (or never sent), altered (in body or sender) and
    disordered messages.

    Gaps in ``seq`` count as disorder. In a burst, otherwise only the order of each
    person's own messages counts.
    """
    places = {message.client_id: place for place, message in enumerate(sent)}
    known = [message for message in received if message.client_id in places]
    distinct = len({message.client_id for message in known})
    altered = disordered = 0
    newest: dict[str, int] = {}
    for message in known:
        place = places[message.client_id]
        wanted = sent[place]
        altered += (message.username, message.body) != (wanted.username, wanted.body)
        line = wanted.username if burst else ""
        disordered += place < newest.get(line, 0)
        newest[line] = place
    seqs = [0, *(message.seq for message in received)]
    gaps = sum(after != before + 1 for before, after in pairwise(seqs))
    return [len(sent) - distinct, len(received) - distinct, altered, disordered + gaps]
