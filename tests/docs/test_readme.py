"""README.md and the other pages keep what they say: commands run, links lead somewhere.

The examples by curl run in one bash, against a server with a database of its
own. What a line prints is compared with the ``#>`` lines that follow it.
"""

import os
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from django.conf import settings
from django.urls import resolve
from drf_spectacular.generators import SchemaGenerator

from chats.management.demo import data as demo
from tests.support.browser import migrated
from tests.support.settings import READS, SETTINGS_FILE

ROOT = Path(settings.BASE_DIR)
README = (ROOT / "README.md").read_text()
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
SETTINGS = SETTINGS_FILE.read_text()
METHODS = "GET|POST|PUT|PATCH|DELETE"
MARK = "\x1e"  # printed between the blocks
VARIES = {
    r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z": "TIME",
    r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}": "ID",
    r"(?m)^id: \S+$": "id: CURSOR",
}


def section(title: str) -> str:
    """Return the text below a heading of README.md, up to the next one."""
    _, _, after = README.partition(f"\n## {title}\n")
    assert after, f"README.md has no section {title!r}"
    return after.split("\n## ")[0]


def blocks(text: str) -> list[str]:
    return re.findall(r"^```bash\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)


def shown(block: str) -> str:
    """Return what a block says that its lines print."""
    return "\n".join(re.findall(r"^#> ?(.*)$", block, re.MULTILINE))


def alike(text: str) -> str:
    """Return the output without what differs from run to run."""
    for pattern, name in VARIES.items():
        text = re.sub(pattern, name, text)
    return text.strip()


@contextmanager
def server(directory: Path) -> Iterator[int]:
    """Serve a new SQLite database in ``directory``; yield the port.

    The socket listens before the server starts: early calls wait for it.
    """
    ours = {*READS.findall(SETTINGS), "DJANGO_SETTINGS_MODULE"}
    environment = {k: v for k, v in os.environ.items() if k not in ours}
    environment["DATABASE_URL"] = f"sqlite:///{directory / 'readme.sqlite3'}"
    options = {"cwd": ROOT, "env": environment, "stdout": subprocess.DEVNULL}
    (directory / "readme.sqlite3").write_bytes(migrated())
    with socket.create_server(("127.0.0.1", 0)) as listening:
        descriptor = str(listening.fileno())
        serve = ["-m", "uvicorn", "messaging_app.asgi:application", "--fd", descriptor]
        process = subprocess.Popen(
            [sys.executable, *serve, "--log-level", "error"],
            pass_fds=[listening.fileno()],
            **options,
        )
        try:
            yield listening.getsockname()[1]
        finally:
            process.terminate()
            process.wait(timeout=15)


@pytest.mark.skipif(
    not (shutil.which("bash") and shutil.which("curl")), reason="needs bash and curl"
)
@pytest.mark.parametrize("page", ["README.md", "docs/curl.md"])
def test_examples_by_curl_print_what_they_say(tmp_path, page):
    text = (ROOT / page).read_text()
    if page == "README.md":
        text = section("A conversation by curl")
    examples = blocks(text)
    with server(tmp_path) as port:
        script = f"printf '{MARK}'\n".join(examples)
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        done = subprocess.run(
            ["bash", "-eo", "pipefail", "-c", script.replace(":8000", f":{port}")],
            cwd=tmp_path,
            env=os.environ | {"PATH": path, "TMPDIR": str(tmp_path)},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    printed = [alike(part) for part in done.stdout.split(MARK)]
    assert printed == [alike(shown(block)) for block in examples], done.stderr
    assert (done.returncode, done.stderr) == (0, "")


def test_people_of_the_conversation_are_not_the_demos():
    signed_up = re.findall(r"\bsign_up (\w+)", README)
    taken = [line.split()[0] for line in demo.PEOPLE.strip().splitlines()]
    assert signed_up
    assert not set(signed_up) & set(taken)


def test_readme_is_short():
    assert len(README.split()) <= 1600


def test_map_names_what_exists():
    named = re.findall(r"`([\w./]+)`", section("Map"))
    assert named
    assert [path for path in named if not (ROOT / path).exists()] == []


@pytest.mark.parametrize(
    ("page", "needed"),
    [("README.md", {"run", "test"}), ("docs/contributing.md", {"test", "check"})],
)
def test_make_targets_exist(page, needed):
    targets = set(re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    text = (ROOT / page).read_text()
    named = set(re.findall(r"(?:^|`)make (\w+)", text, re.MULTILINE))
    assert needed <= named <= targets


def test_tests_to_change_exist():
    named = re.findall(r"`(test_\w+\.py)`", (ROOT / "docs/contributing.md").read_text())
    assert named
    assert set(named) <= {file.name for file in ROOT.glob("tests/**/test_*.py")}


@pytest.mark.parametrize("page", ["README.md", "docs/api.md"])
def test_endpoints_are_all_documented(page):
    text = section("Endpoints") if page == "README.md" else (ROOT / page).read_text()
    assert operations() - calls_in(text) == set()


def test_endpoints_documented_exist():
    documented = calls_in(section("Endpoints"))
    documented |= calls_in((ROOT / "docs/api.md").read_text())
    assert {call for call in documented - operations() if not routed(call)} == set()


def operations() -> set[str]:
    """Return the calls of the OpenAPI schema, such as ``GET /api/users/{}/``."""
    paths = SchemaGenerator().get_schema(request=None, public=True)["paths"]
    return {
        f"{method.upper()} {re.sub('{.*?}', '{}', path)}"
        for path, calls in paths.items()
        for method in calls
    }


def calls_in(text: str) -> set[str]:
    """Return the calls a page names: ```GET, PUT /api/users/{id}/```.

    A path alone has the methods of the one before it in its line.
    """
    found, methods = set(), ""
    for line in text.splitlines():
        pattern = rf"`((?:(?:{METHODS})(?:, )?)*) ?(/[^`\s?]*)[^`]*`"
        for own, path in re.findall(pattern, line):
            methods = own or methods
            for method in methods.split(", "):
                found.add(f"{method} {re.sub('{.*?}', '{}', path)}")
        methods = ""
    return found


def routed(call: str) -> bool:
    """Whether there is a route outside the schema, such as the schema's own."""
    _, path = call.split(" ")
    return "{}" not in path and bool(resolve(path))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_resolve(page):
    prose = re.sub(r"`[^`\n]*`", "", page.read_text())  # code shows links, too
    targets = re.findall(r"\]\(([^)\s]+)\)", prose)
    here = [target for target in targets if "://" not in target]
    assert [target for target in here if not leads_somewhere(page, target)] == []


def leads_somewhere(page: Path, target: str) -> bool:
    path, _, anchor = target.partition("#")
    file = page.parent / path if path else page
    return file.exists() and (not anchor or anchor in anchors(file))


def anchors(file: Path) -> set[str]:
    """Return the anchors of a page's headings, as hosting sites make them."""
    headings = re.findall(r"^#+ (.*)$", file.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", text.lower()).replace(" ", "-") for text in headings}
