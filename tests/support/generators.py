"""What docs/clients.md generates clients with, and the clients of others."""

import os
import shutil
from pathlib import Path
from typing import NoReturn

import pytest
from django.conf import settings

ROOT = Path(settings.BASE_DIR)
CLIENTS = ROOT / "tests/support/clients"


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
    """Return the path of Node.js; skip the test, or fail it where it is required."""
    return shutil.which("node") or lack("needs Node.js: there is no node")


def lack(reason: str) -> NoReturn:
    """Skip the test, or fail it where the clients are required."""
    if os.environ.get("REQUIRE_CLIENTS") == "1":
        pytest.fail(reason)
    pytest.skip(reason)
