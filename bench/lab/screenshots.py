"""Take screenshots of the web client with demo data, for docs/img.

Starts its own server. Needs chromium on the PATH. Exits with 1 if a picture is larger
than MOST.
"""

import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from playwright.sync_api import sync_playwright

from bench.lab.servers import ROOT, Server, environment, run_python, sqlite

MOST = 150_000  # bytes of a picture
PASSWORD = "demo-pass-2026"
SIZES = {"wide": (1120, 700), "phone": (390, 760), "tablet": (820, 700)}
PICTURES = [  # name, size, theme, title of the opened conversation
    ("client-wide", "wide", "light", "Lake cabin"),
    ("client-dark", "wide", "dark", "Cleaning and keys"),
    ("client-phone", "phone", "light", "House rules"),
    ("client-sign-in", "tablet", "light", ""),
]


@contextmanager
def demo_server() -> Iterator[Server]:
    with sqlite() as url:
        run_python("manage.py", "seed_demo", "--yes", env=environment(url))
        with Server(url, DEMO_PASSWORD=PASSWORD) as server:
            yield server


def photograph(browser: Any, url: str, size: str, theme: str, title: str) -> bytes:
    width, height = SIZES[size]
    context = browser.new_context(
        viewport={"width": width, "height": height}, color_scheme=theme, locale="en-GB"
    )
    page = context.new_page()
    page.goto(url)
    page.get_by_role("button", name="Try it as Alice").wait_for()
    if title:
        page.get_by_role("button", name="Try it as Alice").click()
        page.locator(".entry", has_text=title).click()
        page.locator(".message").last.wait_for()
        page.mouse.move(0, 0)  # elements under the pointer look different
    picture = page.screenshot(animations="disabled", caret="hide")
    context.close()
    return picture


def main() -> int:
    """Take the pictures; return the number that are too large."""
    options = {"executable_path": shutil.which("chromium"), "args": ["--no-sandbox"]}
    too_large = 0
    with demo_server() as server, sync_playwright() as engine:
        browser = engine.chromium.launch(**options)
        for name, size, theme, title in PICTURES:
            picture = photograph(browser, server.url, size, theme, title)
            path = ROOT / "docs/img" / f"{name}.png"
            path.write_bytes(picture)
            too_large += len(picture) > MOST
            print(f"{path.relative_to(ROOT)}: {len(picture) / 1000:.0f} kB")
        browser.close()
    return too_large


if __name__ == "__main__":
    sys.exit(min(1, main()))
