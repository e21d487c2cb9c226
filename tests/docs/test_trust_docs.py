"""docs/trust.md: the tests that it names as holding a fault exist."""

import re

import pytest
from django.conf import settings

# Of a test: its file below tests/, what it is called, or both.
NAME = r"(?<![\w/])((?:\w+/)?test_\w+\.py)?(?:::(test_\w+))?"
TESTS = settings.BASE_DIR / "tests"
PAGE = (settings.BASE_DIR / "docs" / "trust.md").read_text()
ROWS = re.findall(r"^\| ([A-E]\d+) \| .*? \| (.*?) \|", PAGE, re.MULTILINE)


def named(cell: str) -> list[tuple[str, str]]:
    """Return the files and tests that a cell names; a test without a file is in the
    file named last."""
    found, file = [], ""
    for name, test in re.findall(NAME, cell):
        file = name or file
        if name or test:
            found.append((file, test))
    return found


def test_every_fault_has_a_row():
    counts = {"A": 10, "B": 10, "C": 17, "D": 11, "E": 9}
    wanted = [f"{kind}{n}" for kind, most in counts.items() for n in range(1, most + 1)]
    assert [fault for fault, _ in ROWS] == wanted


@pytest.mark.parametrize(("fault", "cell"), ROWS, ids=[fault for fault, _ in ROWS])
def test_what_holds_a_fault_is_there(fault, cell):
    assert named(cell) or "by hand" in cell
    for file, test in named(cell):
        source = (TESTS / file).read_text()
        assert not test or f"def {test}(" in source, (file, test)
