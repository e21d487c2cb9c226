"""Measure the web client in a real browser: its first load, sending, a long scroll.

A server and a database of its own, SQLite, on loopback; Chromium from the PATH. Exits
with 1 if a goal is missed.
"""

import argparse
import shutil
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import get_context
from statistics import median
from typing import Any

from playwright.sync_api import sync_playwright

from bench.lab.figures import Verdict
from bench.lab.load import Plan, request, run_load
from bench.lab.report import finish, goals_table, parser_of, write_section
from bench.lab.servers import Server, sqlite
from bench.lab.small_dataset import PASSWORD, Account, fill

MOST_BYTES = 60_000  # of the first load, compressed
MOST_REQUESTS = 12
FIRST_MESSAGE = 1_000  # milliseconds
OWN_MESSAGE = 50  # milliseconds from Enter until the message is in the page
MOST_HEAP = 20_000_000  # bytes
LONGEST_TASK = 100  # milliseconds
MESSAGES = 10_000
OWN_MESSAGES = 20
PATIENCE = 60_000  # milliseconds until a step has failed

SEND = """
async (text) => {
    const field = document.querySelector("textarea");
    field.value = text;
    field.dispatchEvent(new Event("input"));
    const began = performance.now();
    const enter = {key: "Enter", bubbles: true, cancelable: true};
    field.dispatchEvent(new KeyboardEvent("keydown", enter));
    while (!document.getElementById("messages").textContent.includes(text))
        await new Promise(requestAnimationFrame);
    return performance.now() - began;
}
"""
# Page after page to the beginning, each as soon as the one before is there.
SCROLL = """
async () => {
    const longest = [0];
    const note = (list) => longest.push(...list.getEntries().map((e) => e.duration));
    new PerformanceObserver(note).observe({type: "longtask"});
    const scroller = document.getElementById("scroller");
    const isBegun = () => document.querySelector(".beginning");
    const deadline = performance.now() + 300_000;
    while (!isBegun() && performance.now() < deadline) {
        scroller.scrollTop = 0;
        await new Promise(requestAnimationFrame);
    }
    await new Promise((done) => setTimeout(done, 100));
    return {isBegun: Boolean(isBegun()), longest: Math.max(...longest)};
}
"""


@contextmanager
def served() -> Iterator[tuple[Server, Account]]:
    """Yield a server and somebody who has a conversation with MESSAGES in it."""
    context = get_context("spawn")
    with sqlite() as url, ProcessPoolExecutor(1, mp_context=context) as pool:
        member = pool.submit(fill, url).result()[0]
        with Server(url) as server:
            texts = [
                {"conversation": member.conversation_id, "message_body": f"Text {n}."}
                for n in range(MESSAGES)
            ]
            sends = [
                request("POST", "/api/messages/", member.token, text) for text in texts
            ]
            run_load([server.port], [Plan(sends, repeated=False)], 600)
            yield server, member


class Visit:
    """A new browser profile of somebody who is signed in; counts what it loads."""

    def __init__(self, browser: Any, url: str, member: Account):
        self.context = browser.new_context(viewport={"width": 1440, "height": 900})
        self.context.set_default_timeout(PATIENCE)
        who = {"username": member.username, "password": PASSWORD}
        answer = self.context.request.post(f"{url}/api/auth/login/", data=who)
        if not answer.ok:
            raise SystemExit(f"Signing in failed: {answer.status}")
        self.page = self.context.new_page()
        self.devtools = self.context.new_cdp_session(self.page)
        self.requests, self.bytes = 0, 0
        self.devtools.send("Network.enable")
        self.devtools.on("Network.requestWillBeSent", self._note_request)
        # The stream does not finish; it has a few bytes.
        self.devtools.on("Network.loadingFinished", self._note_finished)

    def _note_request(self, event: dict) -> None:
        self.requests += not event["request"]["url"].startswith("data:")

    def _note_finished(self, event: dict) -> None:
        self.bytes += event["encodedDataLength"]

    def heap(self) -> int:
        """Return the bytes of JavaScript that are in use after a collection."""
        self.devtools.send("HeapProfiler.collectGarbage")
        return self.devtools.send("Runtime.getHeapUsage")["usedSize"]


def first_load(browser: Any, url: str, member: Account) -> Iterator[Verdict]:
    """Load the list of conversations in a new profile."""
    visit = Visit(browser, url, member)
    visit.page.goto(f"{url}/")
    visit.page.locator(".entry").first.wait_for()
    visit.page.wait_for_timeout(500)  # what else is loaded
    size, count = visit.bytes, visit.requests
    yield Verdict(
        f"first load: ≤ {MOST_BYTES // 1000} kB",
        f"{size / 1000:.1f} kB",
        size <= MOST_BYTES,
    )
    yield Verdict(
        f"first load: ≤ {MOST_REQUESTS} requests", str(count), count <= MOST_REQUESTS
    )
    visit.context.close()


def first_message(browser: Any, url: str, member: Account) -> Iterator[Verdict]:
    """Load a conversation in new profiles, until its last message is seen."""
    times = []
    for _ in range(5):
        visit = Visit(browser, url, member)
        began = visit.page.evaluate("Date.now()")
        visit.page.goto(f"{url}/#/c/{member.conversation_id}", wait_until="commit")
        visit.page.locator(".message").first.wait_for()
        times.append(visit.page.evaluate("Date.now()") - began)
        visit.context.close()
    took = median(times)
    yield Verdict(
        f"first message seen: ≤ {FIRST_MESSAGE} ms",
        f"{took:.0f} ms",
        took <= FIRST_MESSAGE,
    )


def in_conversation(browser: Any, url: str, member: Account) -> Iterator[Verdict]:
    """Send, and scroll from the end to the beginning."""
    visit = Visit(browser, url, member)
    page = visit.page
    page.goto(f"{url}/#/c/{member.conversation_id}")
    page.locator(".message").first.wait_for()
    took = median(page.evaluate(SEND, f"Own {n}.") for n in range(OWN_MESSAGES))
    yield Verdict(
        f"own message drawn: ≤ {OWN_MESSAGE} ms", f"{took:.1f} ms", took <= OWN_MESSAGE
    )
    scrolled = page.evaluate(SCROLL)
    if not scrolled["isBegun"]:
        raise SystemExit("The beginning of the conversation was not reached.")
    heap, longest = visit.heap(), scrolled["longest"]
    name = f"{MESSAGES:,} messages scrolled"
    yield Verdict(
        f"{name}: heap ≤ {MOST_HEAP / 1e6:.0f} MB",
        f"{heap / 1e6:.1f} MB",
        heap <= MOST_HEAP,
    )
    yield Verdict(
        f"{name}: no task over {LONGEST_TASK} ms",
        f"{longest:.0f} ms",
        longest <= LONGEST_TASK,
    )
    visit.context.close()


def measure() -> Iterator[Verdict]:
    options = {"executable_path": shutil.which("chromium"), "args": ["--no-sandbox"]}
    with served() as (server, member), sync_playwright() as engine:
        browser = engine.chromium.launch(**options)
        for part in (first_load, first_message, in_conversation):
            yield from part(browser, server.url, member)
        browser.close()


def arguments() -> argparse.Namespace:
    parser = parser_of("bench.speed.page", __doc__)
    parser.add_argument("--write", action="store_true", help="into docs/performance.md")
    return parser.parse_args()


def main() -> None:
    options = arguments()
    verdicts = list(measure())
    if options.write:
        write_section("page", "The web client", goals_table(verdicts))
    finish(verdicts)


if __name__ == "__main__":
    main()
