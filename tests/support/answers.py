"""A server that gives the answers a test has written down, one a request."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

PATIENCE = 30  # seconds that an answer stays open at most

# A status, and the pieces of a body; None keeps the connection open, and silent.
Answer = tuple[int, list[bytes | None]]


class Answers(ThreadingHTTPServer):
    """``asked`` is what each request had as Last-Event-ID."""

    daemon_threads = True

    def __init__(self, answers: list[Answer]):
        super().__init__(("127.0.0.1", 0), OneAnswer)
        self.answers, self.asked = answers, []
        self.over = threading.Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class OneAnswer(BaseHTTPRequestHandler):
    """The next answer."""

    server: Answers

    def do_GET(self) -> None:
        self.server.asked.append(self.headers["Last-Event-ID"])
        status, pieces = self.server.answers.pop(0)
        self.send_response(status)
        self.end_headers()
        for piece in pieces:
            if piece is None:
                self.server.over.wait(PATIENCE)
            else:
                self.wfile.write(piece)

    def log_message(self, *arguments: Any) -> None:
        """Nobody reads it."""


@contextmanager
def answering(*answers: Answer) -> Iterator[Answers]:
    with Answers(list(answers)) as server:
        serving = threading.Thread(target=server.serve_forever)
        serving.start()
        try:
            yield server
        finally:
            server.over.set()
            server.shutdown()
            serving.join()
