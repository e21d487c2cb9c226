"""A hub that is driven turn by turn in one thread."""

import json

from chats.models import AccessToken, Event, User
from chats.models.credentials import Credential
from chats.realtime.audience import Subscription
from chats.realtime.hub import Hub
from tests.support.servers import blocks_of


def credential_of(user: User) -> Credential:
    token, _ = AccessToken.objects.issue(user, "test", None)
    return Credential.of(user, "token", str(token.pk))


class Driven:
    """A hub whose turns the test takes; keeps what it posts and ends."""

    def __init__(self):
        self.now = 1000.0
        self.posted: list[tuple[Subscription, bytes]] = []
        self.ended: list[tuple[Subscription, str]] = []
        self.hub = Hub(self.posted.extend, self._end, clock=lambda: self.now)

    def _end(self, streams: list[Subscription], why: str) -> None:
        self.ended += [(stream, why) for stream in streams]

    def join(self, user: User, position: int | None = None) -> Subscription:
        """Open a stream from a position (the log's end, if None); no turn yet."""
        position = Event.objects.last_id() if position is None else position
        stream = Subscription(position, credential_of(user))
        self.hub.join(stream)
        return stream

    def joined(self, *people: User) -> list[Subscription]:
        """Open a stream for each and let the hub admit them."""
        streams = [self.join(user) for user in people]
        self.turn()
        return streams

    def turn(self, seconds: float = 0, *, was_notified: bool = True) -> None:
        self.now += seconds
        self.hub.turn(was_notified=was_notified)

    def take(self, stream: Subscription) -> list[dict]:
        """Return the data of what was posted to a stream, and forget it."""
        frames = b"".join(frame for to, frame in self.posted if to is stream)
        self.posted[:] = [pair for pair in self.posted if pair[0] is not stream]
        return [
            {"event": block["event"], **json.loads(block["data"])}
            for block in blocks_of([frames])
        ]

    def kinds(self, stream: Subscription) -> list[str]:
        return [item["event"] for item in self.take(stream)]
