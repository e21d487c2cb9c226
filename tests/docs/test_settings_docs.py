"""docs/settings.md is whole and right; README.md shows a part of it."""

import re
from pathlib import Path

from django.conf import settings

from tests.support.settings import READS, SETTINGS_FILE

ROOT = Path(settings.BASE_DIR)
PAGE = (ROOT / "docs/settings.md").read_text()
README = (ROOT / "README.md").read_text()
SETTINGS = SETTINGS_FILE.read_text()
# Made at the start or for each call, and described in words.
DERIVED = {"DATABASE_URL", "SECRET_KEY", "PASSWORD_RESET_URL"}
# Where the code has each other default, after the setting's name.
DEFAULTS = (
    r'env_int\("(\w+)", ([\d_]+),',
    r'env_rate\("(\w+)", "(.*?)"\)',
    r'env_url\(\s*"(\w+)",\s*"(.*?)"',
    r'env_formats\(\s*"(\w+)", [\w.]+, \w+, "(.*?)"',
    r'env_str\("(\w+)"\) or "(.*?)"',
    r'= (\w+) or "(.*?)"',
)
ROW = re.compile(r"^\| `([A-Z][A-Z_]+)` \| (.*?) \| (.*) \|$", re.MULTILINE)


def rows(text: str) -> list[tuple[str, str, str]]:
    """Return the rows of a page's tables: name, default, and what it does."""
    return [
        (name, default.strip("`"), does) for name, default, does in ROW.findall(text)
    ]


def defaults() -> dict[str, str]:
    """Return the defaults that the code has, as the page writes them."""
    flags = re.findall(r'env_bool\("(\w+)", default=(\w+)\)', SETTINGS)
    found = {name: str(int(value == "True")) for name, value in flags}
    for pattern in DEFAULTS:
        found |= dict(re.findall(pattern, SETTINGS))
    numbers = {name for name, value in found.items() if re.fullmatch(r"[\d_]+", value)}
    return found | {name: found[name].replace("_", "") for name in numbers}


def test_every_setting_has_one_row():
    names = [name for name, _, _ in rows(PAGE)]
    assert sorted(names) == sorted(set(READS.findall(SETTINGS)))


def test_defaults_are_those_of_the_code():
    known = defaults()
    assert {"LOG_LEVEL", "EMAIL_URL", "EMAIL_FROM", "ALLOWED_HOSTS"} <= set(known)
    assert {
        name: default for name, default, _ in rows(PAGE) if name not in DERIVED
    } == {
        name: known.get(name, "none")
        for name in READS.findall(SETTINGS)
        if name not in DERIVED
    }


def test_ranges_are_those_of_the_code():
    pattern = r'env_int\(\s*"(\w+)", [\d_]+, minimum=([\d_]+), maximum=([\d_]+)'
    ranges = re.findall(pattern, SETTINGS)
    assert len(ranges) == SETTINGS.count("env_int(") - 1  # its definition
    does = {name: text for name, _, text in rows(PAGE)}
    assert [
        name
        for name, low, high in ranges
        if f"{low} to {high.replace('_', '')}" not in does[name]
    ] == []


def test_rows_are_short():
    long = [(name, text) for name, _, text in rows(PAGE) if len(text.split()) > 25]
    assert long == []


def test_readme_shows_the_ten_that_matter_most():
    page = {name: default for name, default, _ in rows(PAGE)}
    shown = {name: default for name, default, _ in rows(README)}
    assert len(shown) == 10
    assert shown.items() <= page.items()
