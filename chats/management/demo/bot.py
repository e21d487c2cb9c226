"""A user of the demo who answers, through the public API as any client."""

import json
import time
import urllib.error
import urllib.request
import uuid
from typing import Any

ANSWERS = (
    "Hello! I am only a small program, but I read every word of that.",
    "Tell me more: I have all day.",
    "You can edit or delete what you said; I would see it at once.",
    "Biscuit agrees 🐶",
)


class Bot:
    """Answers each message of others in its conversations once.

    The ``client_id`` of an answer is derived from the message's id: if it is sent again
    after an interruption, it is not stored twice.
    """

    def __init__(self, url: str, username: str, password: str):
        self.url, self.username, self.token = url, username, ""
        who = {"username": username, "password": password, "name": "bot"}
        self.token = self.call("POST", "auth/tokens/", who)["token"]
        self.cursor = self.call("GET", "events/")["cursor"]
        self.answered = 0

    def call(self, method: str, path: str, body: Any = None) -> Any:
        """Call the API; raises HTTPError if it refuses."""
        headers = {"Content-Type": "application/json"}
        if self.token:
            headers["Authorization"] = f"Token {self.token}"
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(  # noqa: S310 (the demo's own server)
            f"{self.url}/api/{path}", data, headers, method=method
        )
        with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310
            text = answer.read()
        return json.loads(text) if text else None

    def turn(self, pause: float = 1.0) -> None:
        """Answer the messages since the last turn, typing for ``pause`` seconds."""
        page = self.call("GET", f"events/?after={self.cursor}")
        for event in page["events"]:
            message = event.get("message")
            if event["type"] != "message.created":
                continue
            if message["sender"]["username"] == self.username:
                continue
            try:
                self.answer(message, pause)
            except (
                urllib.error.HTTPError
            ) as error:  # removed meanwhile, which is harmless
                if error.code == 429 or error.code >= 500:
                    raise
        self.cursor = page["cursor"]

    def answer(self, message: dict, pause: float) -> None:
        there = message["conversation"]
        self.call("POST", f"messages/{message['message_id']}/mark_as_read/")
        self.call("POST", f"conversations/{there}/typing/")
        time.sleep(pause)
        key = uuid.uuid5(uuid.UUID(message["message_id"]), "answer")
        text = ANSWERS[self.answered % len(ANSWERS)]
        body = {"conversation": there, "message_body": text, "client_id": str(key)}
        self.call("POST", "messages/", body)
        self.answered += 1
