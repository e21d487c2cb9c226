"""What docs/clients.md generates clients with, and the clients of others."""

import os
import shutil
import subprocess
from pathlib import Path
from typing import NoReturn

import pytest
from django.conf import settings

ROOT = Path(settings.BASE_DIR)
CLIENTS = ROOT / "tests/support/clients"
OLDEST_NODE = 20


def generators() -> Path:
    """Return their folder; skip the test, or fail it where they are required."""
    folder = ROOT / os.environ.get("GENERATORS", ".generators")
    tools = [
        folder / "node_modules/.bin/openapi-typescript",
        folder / "node_modules/.bin/redocly",
        folder / "node_modules/.bin/spectral",
        folder / "venv/bin/openapi-python-client",
    ]
    missing = [str(tool) for tool in tools if not tool.exists()]
    if not shutil.which("node"):
        missing.append("node")
    if missing:
        do_without(f"needs `make generators`: there is no {', '.join(missing)}")
    return folder


def node() -> None:
    """Skip the test where there is no Node 20 or later, with npm; fail it where they
    are required."""
    if not (shutil.which("node") and shutil.which("npm")):
        do_without("needs node and npm")
    said = subprocess.check_output(["node", "--version"], text=True)
    if int(said.removeprefix("v").partition(".")[0]) < OLDEST_NODE:
        do_without(f"needs node {OLDEST_NODE} or later: this is {said.strip()}")


def do_without(reason: str) -> NoReturn:
    if os.environ.get("REQUIRE_CLIENTS") == "1":
        pytest.fail(reason)
    pytest.skip(reason)
