"""A mail server in a thread: as much of SMTP (RFC 5321) as a delivery needs."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from email import message_from_bytes, policy
from email.message import EmailMessage
from socketserver import StreamRequestHandler, ThreadingTCPServer
from typing import NamedTuple


class Delivery(NamedTuple):
    """An e-mail as it arrived, with its envelope."""

    sender: str
    recipients: list[str]
    message: EmailMessage


class MailServer(ThreadingTCPServer):
    """Accepts everything; ``deliveries`` is what arrived."""

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Conversation)
        self.deliveries: list[Delivery] = []

    @property
    def port(self) -> int:
        return self.server_address[1]


class Conversation(StreamRequestHandler):
    """One connection: commands, each with an answer, until QUIT."""

    server: MailServer

    def handle(self) -> None:
        self.sender, self.recipients = "", []
        self.answer("220 mail.example ESMTP")
        while line := self.rfile.readline().decode().strip():
            verb = line[:4].upper()
            self.answer(getattr(self, f"on_{verb}", self.refuse)(line))
            if verb == "QUIT":
                return

    def answer(self, text: str) -> None:
        self.wfile.write(f"{text}\r\n".encode())

    def refuse(self, line: str) -> str:
        return "502 Command not implemented"

    def on_EHLO(self, line: str) -> str:  # noqa: N802 (the command's name)
        return "250 mail.example"

    def on_MAIL(self, line: str) -> str:  # noqa: N802
        self.sender = line.partition("<")[2].partition(">")[0]
        return "250 OK"

    def on_RCPT(self, line: str) -> str:  # noqa: N802
        self.recipients.append(line.partition("<")[2].partition(">")[0])
        return "250 OK"

    def on_DATA(self, line: str) -> str:  # noqa: N802
        self.answer("354 End with a line that is a dot")
        lines = iter(self.rfile.readline, b".\r\n")
        text = b"".join(line.removeprefix(b".") for line in lines)
        message = message_from_bytes(text, policy=policy.default)
        delivery = Delivery(self.sender, self.recipients, message)
        self.server.deliveries.append(delivery)
        return "250 OK"

    def on_QUIT(self, line: str) -> str:  # noqa: N802
        return "221 Bye"


@contextmanager
def mail_server() -> Iterator[MailServer]:
    """Serve from a thread; everything sent within has arrived at the end."""
    with MailServer() as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
