"""The web client in a browser: people who have one of their own, and talk."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any, NamedTuple

from tests.support.browser import (
    CHROMIUM,
    PASSWORD,
    PATIENCE,
    Restartable,
    playwright_and_chromium,
    serving,
)

TITLE = "Plans"
# What the page may not say: an error of its own, or of its policy. That a call failed
# is the browser's line, and expected where the server is away.
NETWORK = re.compile(r"Failed to load resource|ERR_CONNECTION|ERR_INCOMPLETE_CHUNKED")
LISTEN = """
window.violations = [];
document.addEventListener("securitypolicyviolation", (event) =>
    violations.push(`${event.violatedDirective} ${event.blockedURI}`));
"""


class Person:
    """Somebody with a browser of their own."""

    def __init__(self, server: Restartable, context: Any, name: str):
        self.url, self.name, self.token = f"{server.url}/", name, ""
        self.errors: list[str] = []
        context.set_default_timeout(PATIENCE * 1000)
        context.add_init_script(LISTEN)
        self.context = context
        self.page = self.new_page()

    def new_page(self) -> Any:
        page = self.context.new_page()
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.on("console", lambda line: self.note(line.type, line.text))
        return page

    def note(self, kind: str, text: str) -> None:
        if kind in {"error", "warning"} and not NETWORK.search(text):
            self.errors.append(text)

    def come_in(self, conversation_id: str) -> None:
        """Get a session, and open the conversation."""
        who = {"username": self.name, "password": PASSWORD}
        self.context.request.post(f"{self.url}api/auth/login/", data=who)
        self.open(self.page, conversation_id)

    def open(self, page: Any, conversation_id: str) -> None:
        page.goto(f"{self.url}#/c/{conversation_id}")
        page.locator("h2", has_text=TITLE).wait_for()

    def write(self, text: str) -> None:
        self.page.get_by_role("textbox", name="Message").fill(text)
        self.page.keyboard.press("Enter")

    def choose(self, text: str, verb: str) -> None:
        """Choose from a message's menu."""
        self.message(text).hover()
        self.message(text).get_by_role("button", name="Message actions").click()
        self.page.get_by_role("menuitem", name=verb).click()

    def message(self, text: str) -> Any:
        return self.page.locator(".message", has_text=text)

    def bodies(self) -> list[str]:
        return self.page.locator(".body").all_text_contents()


def sign_out(page: Any) -> None:
    page.get_by_role("button", name="Account menu").click()
    page.get_by_role("menuitem", name="Sign out").click()
    page.get_by_role("heading", name="Sign in").wait_for()


def settle(page: Any) -> None:
    """Wait until the page has dealt with every answer it had before."""
    page.evaluate("fetch('/api/users/me/').then((answer) => answer.text())")


class Stage(NamedTuple):
    """The server and the browser of all tests here: each brings its own people."""

    server: Restartable
    browser: Any

    def person(self, name: str, **screen: Any) -> Person:
        return Person(self.server, self.browser.new_context(**screen), name)


@contextmanager
def staged(directory: Path) -> Iterator[Stage]:
    playwright, chromium = playwright_and_chromium()
    with serving(directory) as server, playwright.sync_playwright() as engine:
        browser = engine.chromium.launch(executable_path=chromium, args=CHROMIUM)
        with browser:
            yield Stage(server, browser)


NUMBERS = count(1)


@contextmanager
def talking(
    stage: Stage, *texts: str, history: int = 0, **screen: Any
) -> Iterator[tuple[Person, Person, str]]:
    """Yield nina and omar, who have their conversation open, and its id.

    The texts have been written before, by both in turn, and before them ``number 1``,
    ``number 2`` and so on; both have read it all.
    """
    number = next(NUMBERS)
    names = [f"nina{number}", f"omar{number}"]
    _, omar_id = stage.server.sign_up(*names)
    tokens = [stage.server.token_of(name) for name in names]
    there = converse(stage.server, tokens, omar_id, history, *texts)
    people = [stage.person(name, **screen) for name in names]
    for person, token in zip(people, tokens, strict=True):
        person.token = token
        person.come_in(there)
    yield *people, there
    for person in people:
        assert person.errors == []
        for page in person.context.pages:
            assert page.evaluate("violations") == []
        person.context.close()


def converse(
    server: Restartable, tokens: list[str], other_id: str, history: int, *texts: str
) -> str:
    """Start the conversation, say all that and read it; return its id."""
    body = {"participant_ids": [other_id], "title": TITLE}
    there = server.call("POST", "conversations/", body, tokens[0])["conversation_id"]
    if history:
        server.manage("shell", "--command", HISTORY.format(there, history))
    for turn, text in enumerate(texts):
        server.send(tokens[turn % 2], there, text)
    body = {"conversation_id": there}
    for token in tokens:
        server.call("POST", "messages/mark_conversation_as_read/", body, token)
    return there


# All at once: to send them one by one would take longer than to scroll through them.
HISTORY = """
from datetime import timedelta
from django.utils import timezone
there, number, now = Conversation.objects.get(pk="{}"), {}, timezone.now()
messages = Message.objects.bulk_create(
    Message(conversation=there, sender=there.owner, seq=seq,
        message_body=f"number {{seq}}", sent_at=now - timedelta(minutes=number - seq))
    for seq in range(1, number + 1))
last = {{"last_seq": number, "last_message": messages[-1]}}
Conversation.objects.filter(pk=there.pk).update(**last)
"""


def named(locator: Any) -> str:
    """Return the element's accessible name, as far as this page makes names."""
    return locator.evaluate(
        """e => (e.getAttribute("aria-label")
            ?? (e.labels?.length ? e.labels[0].textContent : e.textContent)).trim()"""
    )
