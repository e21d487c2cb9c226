"""What the web client draws of light Markdown: the subset in docs/clients.md."""

import re
from collections.abc import Iterator
from html import unescape
from pathlib import Path

import pytest
from django.conf import settings

from tests.support.stage import Stage, staged, talking

PHONE = {"viewport": {"width": 390, "height": 844}, "has_touch": True}
CELL = re.compile(r"(`+) ?(.+?) ?\1")
SHOWN = """
(body) => {
    const copy = body.cloneNode(true);
    copy.querySelectorAll("[hidden]").forEach((mark) => mark.remove());
    copy.querySelectorAll("*").forEach((part) =>
        [...part.attributes].forEach(({name}) => part.removeAttribute(name)));
    return copy.innerHTML;
}
"""


@pytest.fixture(scope="module")
def stage(tmp_path_factory) -> Iterator[Stage]:
    with staged(tmp_path_factory.mktemp("markdown")) as stage:
        yield stage


def examples() -> list[tuple[str, str]]:
    """Return what is written and what is drawn of it, from the table in the docs."""
    page = Path(settings.BASE_DIR, "docs/clients.md").read_text(encoding="utf-8")
    table = page.partition("## How the web client draws messages")[2]
    rows = re.findall(r"^\|.+?\| (`.+`) \| (`.+`) \|$", table, re.MULTILINE)
    return [tuple(plain(cell) for cell in row) for row in rows]


def plain(cell: str) -> str:
    return CELL.fullmatch(cell)[2].replace("\\n", "\n")


def test_table_in_the_docs_is_drawn_as_it_says_and_stays_the_text(stage):
    assert len(examples()) == 19
    texts = [written for written, _ in examples()]
    with talking(stage) as (nina, omar, there):
        stage.server.send(omar.token, there, *texts, "last")
        nina.message("last").wait_for()
        bodies = nina.page.locator(".body").all()
        drawn = [unescape(body.evaluate(SHOWN)) for body in bodies]
        assert drawn == [*(drawn for _, drawn in examples()), "last"]
        assert nina.bodies() == [*texts, "last"]

        link = nina.page.get_by_role("link", name="the plan")
        assert link.get_attribute("href") == "https://example.org/plan"
        assert link.get_attribute("title") == "https://example.org/plan"
        assert link.get_attribute("rel") == "noopener noreferrer nofollow"


COPIED = """
([first, last]) => {
    const body = [...document.querySelectorAll(".body")].at(-1);
    const find = (text) => {
        const walker = document.createTreeWalker(body, NodeFilter.SHOW_TEXT);
        while (walker.nextNode())
            if (walker.currentNode.data.includes(text)) return walker.currentNode;
    };
    const range = new Range();
    range.setStart(find(first), 0);
    range.setEnd(find(last), find(last).data.length);
    getSelection().removeAllRanges();
    getSelection().addRange(range);
    const event = new ClipboardEvent("copy",
        {clipboardData: new DataTransfer(), bubbles: true, cancelable: true});
    body.dispatchEvent(event);
    return event.clipboardData.getData("text/plain");
}
"""


def test_what_is_copied_is_the_source_and_previews_have_no_marks(stage):
    text = "**Plan**: *tea* and `cake` at [ours](https://example.org/a)"
    with talking(stage) as (nina, omar, there):
        stage.server.send(omar.token, there, text)
        nina.page.get_by_role("link", name="Plan: tea and cake at ours").wait_for()
        assert nina.page.evaluate(COPIED, ["Plan", "ours"]) == text
        part = nina.page.evaluate(COPIED, ["tea", "cake"])
        assert part == "tea* and `cake"
        nina.page.locator("#announcer", has_text="Plan: tea and cake").wait_for()


HOSTILE = [
    *("*" * 10_000, "[" * 10_000, ">" * 10_000, "> " * 5_000, "`" * 10_000),
    *("_a *b " * 1_666, "**_~~*" * 1_666, "[](" * 3_333, "[a](https://x/" * 700),
    *("```\n" * 2_500, "- a\n" * 2_500, "> - `\n" * 1_666, "https://a(b" * 900),
    *("a@" * 5_000, "a.b@c." * 1_666, "www." * 2_500, "a" * 9_999 + "@"),
    "".join("`" * length + "a" for length in range(140)),
    "[" * 600 + "x" + "](https://a.org)" * 580,
]
# The quickest of some runs: others use the machine, too.
MEASURE = """
async (texts) => {
    const {parse} = await import("/static/chats/client/markdown.js");
    const depth = (parts) => Math.max(0, ...parts.map((part) =>
        typeof part === "string" ? 0 : 1 + depth(part.parts)));
    const flat = (parts) => parts.map((part) =>
        typeof part === "string" ? part : flat(part.parts)).join("");
    return texts.map((text) => {
        let quickest = Infinity;
        for (let run = 0; run < 5; run += 1) {
            const since = performance.now();
            parse(text);
            quickest = Math.min(quickest, performance.now() - since);
        }
        return [quickest, depth(parse(text)), flat(parse(text)) === text];
    });
}
"""


def test_hostile_texts_cost_little_and_are_not_deep(stage):
    with talking(stage) as (nina, _omar, _there):
        for text, (took, depth, is_whole) in zip(
            HOSTILE, nina.page.evaluate(MEASURE, HOSTILE), strict=True
        ):
            assert took < 1_000, text[:20]  # ms: some take 20, what backtracks for ever
            assert depth <= 9, text[:20]
            assert is_whole


def test_long_messages_are_folded_until_one_asks_for_the_rest(stage):
    long = "\n".join(f"line {number}" for number in range(60))
    with talking(stage, long, "short", **PHONE) as (nina, _omar, _there):
        body = nina.message("line 0").locator(".body")
        folded = body.bounding_box()["height"]
        assert folded < 700
        nina.page.get_by_role("button", name="Show more").tap()
        assert body.bounding_box()["height"] > 2 * folded
        less = nina.page.get_by_role("button", name="Show less", expanded=True)
        assert less.bounding_box()["height"] >= 44
        less.tap()
        assert body.bounding_box()["height"] == folded
