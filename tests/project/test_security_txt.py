"""Whom to tell of a vulnerability, and the packages that are installed."""

import re
from pathlib import Path

import pytest
import time_machine
from django.conf import settings as ours

URL = "/.well-known/security.txt"
ROOT = Path(ours.BASE_DIR)
LOCKED = re.compile(r"^([a-z0-9-]+)==(\S+)(?: ; [^\\]*)? \\$")


@pytest.mark.parametrize(
    "contact", ["mailto:security@chat.example", "https://chat.example/security"]
)
@time_machine.travel("2026-11-30T17:00:00Z", tick=False)
def test_contact_is_told_and_expires_within_a_year(client, settings, contact):
    settings.SECURITY_CONTACT = contact
    response = client.get(URL)
    assert (response.status_code, response.content.decode()) == (
        200,
        f"Contact: {contact}\nExpires: 2027-05-29T00:00:00Z\n",
    )
    assert response.headers["Content-Type"] == "text/plain; charset=utf-8"
    assert response.headers["Cache-Control"] == "public, max-age=86400"
    assert client.post(URL).status_code == 405


def test_without_a_contact_there_is_none(client, settings):
    settings.SECURITY_CONTACT = ""
    assert client.get(URL).status_code == 404


# --- Locked packages ------------------------------------------------------------


def locked(text: str) -> dict[str, str]:
    """Return the versions in a part of the lock, where every package has its hashes."""
    versions, hashes = {}, {}
    for line in text.splitlines():
        if not line.startswith(" "):
            package, version = LOCKED.fullmatch(line).groups()
            versions[package], hashes[package] = version, 0
        else:
            assert re.fullmatch(r"    --hash=sha256:[0-9a-f]{64}(?: \\)?", line)
            hashes[package] += 1
    assert [package for package, count in hashes.items() if not count] == []
    return versions


def required(text: str) -> set[str]:
    names = re.findall(r"^([A-Za-z0-9_-]+)(?:\[\w+\])?~=", text, re.MULTILINE)
    return {name.lower().replace("_", "-") for name in names}


def test_lock_has_what_is_required_and_first_what_is_deployed():
    """docs/deploy.md installs what stands above the line that begins with "# Tests"."""
    text = (ROOT / "requirements.txt").read_text()
    lock = (ROOT / "constraints.txt").read_text()
    runtime, rest = map(locked, re.split(r"^#.*\n", lock, flags=re.MULTILINE)[1:])
    assert required(text.split("# Tests\n")[0]) - runtime.keys() == set()
    assert required(text) - runtime.keys() - rest.keys() == set()
    assert runtime.keys() & rest.keys() == set()
    assert "pytest" in rest
    assert re.findall("^# Tests", lock, re.MULTILINE) == ["# Tests"]
