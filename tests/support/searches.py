"""Searches whose pages look through a stretch of rows."""

from itertools import chain

from django.db import connection

from chats.lists import searching

# A limit of time is a transaction on PostgreSQL, in a test an inner one: SAVEPOINT,
# ROLLBACK TO and RELEASE.
TIME_LIMIT = 3 if connection.vendor == "postgresql" else 0


def look(monkeypatch, few: int, most: int) -> None:
    """Have pages look through so few rows first, and no more than ``most``."""
    monkeypatch.setattr(searching, "FIRST", few)
    monkeypatch.setattr(searching, "INDEXED", few)
    monkeypatch.setattr(searching, "REST", most)


def follow(client, url: str | None, link: str) -> list[dict]:
    """Return the answers from ``url`` on, by one link."""
    answers = []
    while url:
        answers.append(client.get(url).json())
        url = answers[-1][link]
        assert len(answers) < 100, "no end"
    return answers


def pages(client, url: str) -> list[list[dict]]:
    """Follow ``next`` to the end; on the way back ``previous`` shows the same rows."""
    forward = follow(client, url, "next")
    there = [page["results"] for page in forward]
    if forward[-1]["previous"]:
        back = follow(client, forward[-1]["previous"], "previous")
        again = [*(page["results"] for page in back[::-1]), there[-1]]
        assert list(chain(*again)) == list(chain(*there))
    return there


def bodies(found: list[list[dict]]) -> list[str]:
    return [message["message_body"] for message in chain(*found)]
