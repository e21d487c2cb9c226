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
    if missing:
        lack(f"needs `make generators`: there is no {', '.join(missing)}")
    node()
    return folder


def vite() -> Path:
    """Return the folder of the packages that build pages; skip the test likewise."""
    folder = ROOT / os.environ.get("GENERATORS", ".generators")
    tools = [folder / "node_modules/.bin" / name for name in ("create-vite", "vite")]
    if missing := [str(tool) for tool in tools if not tool.exists()]:
        lack(f"needs `make generators`: there is no {', '.join(missing)}")
    node()
    return folder


def node() -> str:
    """Return the path of Node.js 20 or later, with npm; skip the test likewise."""
    found = shutil.which("node")
    if not found or not shutil.which("npm"):
        lack("needs node and npm")
    said = subprocess.check_output(["node", "--version"], text=True)
    if int(said.removeprefix("v").partition(".")[0]) < OLDEST_NODE:
        lack(f"needs node {OLDEST_NODE} or later: this is {said.strip()}")
    return found


def lack(reason: str) -> NoReturn:
    """Skip the test, or fail it where the clients are required."""
    if os.environ.get("REQUIRE_CLIENTS") == "1":
        pytest.fail(reason)
    pytest.skip(reason)
