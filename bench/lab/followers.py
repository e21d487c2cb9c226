"""Followers of streams, which resume at another server when theirs is gone."""

import itertools
import select
import socket
import threading
import time
from contextlib import suppress

from bench.lab.messages import Message, message_of
from bench.lab.servers import Person, Reader, call, stream_request

PAUSE = 0.05  # seconds before connecting again if a server is down


class Follower:
    """A stream that moves to the other server when its own is gone."""

    def __init__(self, person: Person, urls: list[str], cursor: str, wanted: int):
        self.person, self.cursor = person, cursor
        self.wanted = wanted  # number of messages after which it is done
        self.messages: list[Message] = []
        self.seen_at: list[float] = []  # by the machine's monotonic clock
        self.moved = 0
        self._ports = itertools.cycle(int(url.rsplit(":", 1)[1]) for url in urls)
        self.socket: socket.socket | None = None
        self._reader = Reader()

    def open(self) -> bool:
        """Open the stream at the next server; return whether the server is up."""
        address = ("127.0.0.1", next(self._ports))
        self._reader = Reader(self.cursor)
        try:
            self.socket = socket.create_connection(address, timeout=30)
            self.socket.sendall(stream_request(self.person.token, self.cursor))
        except OSError:
            self.socket = None
        return self.socket is not None

    def read(self) -> bool:
        """Read what has arrived; return whether the stream goes on."""
        data = b""
        with suppress(OSError):
            data = self.socket.recv(65_536)
        now = time.monotonic()
        for event in self._reader.feed(data):
            if event.type == "message.created":
                self.seen_at.append(now)
                self.messages.append(message_of(event.data["message"]))
        self.cursor = self._reader.cursor
        if not data:
            self.socket.close()
            self.moved += 1
        return bool(data)


class Following(threading.Thread):
    """Reads many concurrent streams, until all followers are done."""

    def __init__(self, followers: list[Follower]):
        super().__init__(name="following")
        self._followers = followers
        self._poll = select.epoll()
        self._open: dict[int, Follower] = {}
        self.give_up_at = float("inf")  # by the monotonic clock
        for follower in followers:
            self._start(follower)

    def run(self) -> None:
        while not self._is_over():
            for number, _ in self._poll.poll(0.2):
                follower = self._open[number]
                if not follower.read():
                    del self._open[number]
                    self._start(follower)
        for follower in self._open.values():
            follower.socket.close()
        self._poll.close()

    def _start(self, follower: Follower) -> None:
        while not follower.open():
            time.sleep(PAUSE)
        self._open[follower.socket.fileno()] = follower
        self._poll.register(follower.socket, select.EPOLLIN)

    def _is_over(self) -> bool:
        done = all(len(f.messages) >= f.wanted for f in self._followers)
        return done or time.monotonic() > self.give_up_at


def present_cursor(url: str, person: Person) -> str:
    return call(url, "GET", "/api/events/", person.token).body["cursor"]
