"""The pages read well anywhere: prose is wrapped, headings can be linked to."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.conf import settings

ROOT = Path(settings.BASE_DIR)
PAGES = sorted([ROOT / "README.md", ROOT / "SECURITY.md", *ROOT.glob("docs/**/*.md")])
each_page = pytest.mark.parametrize(
    "page", PAGES, ids=lambda page: str(page.relative_to(ROOT))
)
WIDTH = 100
# What stays on one line, however long: code, a link with a short text.
WORD = re.compile(r"(?:`[^`]+`|\[[^\]]{1,40}\]\(\S*?\)|\S)+")


def outside_code(text: str) -> Iterator[tuple[int, str]]:
    """Yield the numbered lines that are in no fence."""
    is_code = False
    for number, line in enumerate(text.splitlines(), start=1):
        if line.startswith("```"):
            is_code = not is_code
        elif not is_code:
            yield number, line


def too_long(text: str) -> list[int]:
    """Return the numbers of the lines of prose that ought to be wrapped."""
    return [
        number
        for number, line in outside_code(text)
        if len(line) > WIDTH
        and not line.startswith(("|", "!["))
        and len(WORD.findall(line)) > 1
    ]


def anchors(text: str) -> list[str]:
    """Return the anchors of the headings, as hosting sites make them."""
    lines = "\n".join(line for _, line in outside_code(text))
    headings = re.findall(r"^#+ (.*)$", lines, re.MULTILINE)
    return [re.sub(r"[^\w -]", "", head.lower()).replace(" ", "-") for head in headings]


@each_page
def test_prose_is_wrapped(page):
    assert too_long(page.read_text()) == []


@each_page
def test_headings_can_be_linked_to(page):
    found = anchors(page.read_text())
    assert len(found) == len(set(found))
    assert len(found) > 1 or page.parent.name == "decisions"


def test_long_lines_of_prose_alone_are_found():
    words, code = "word " * 21, f"`{'code ' * 21}`."
    text = f"{words}\n| {words} |\n```\n{words}\n```\n* {words}\n{code}\n![{words}](x)"
    assert too_long(text) == [1, 6]
