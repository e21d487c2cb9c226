"""docs/clients.md keeps what it says: what generators make of the schema compiles and
talks, and so do the clients written by hand.

The generators are those of ``make generators``; its folder is ``.generators``, or what
GENERATORS names. Where there is none, their tests are skipped.
"""

import os
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.renderers import OpenApiJsonRenderer2

from tests.support.browser import (
    PASSWORD,
    PATIENCE,
    Restartable,
    browsing,
    playwright_and_chromium,
    serving,
    talking,
)
from tests.support.generators import ROOT, generators

PAGE = (ROOT / "docs" / "clients.md").read_text()
HERE = "http://localhost:8000"


def section(title: str) -> str:
    """Return the page's text below a heading, up to the next one."""
    _, _, after = PAGE.partition(f"# {title}\n")
    assert after, f"docs/clients.md has no {title!r}"
    return re.split(r"\n##+ ", after)[0]


def fenced(title: str, language: str, server: Restartable) -> list[str]:
    """Return the blocks of a section, speaking to the server."""
    fence = rf"^```{language}\n(.*?)^```$"
    found = re.findall(fence, section(title), re.DOTALL | re.MULTILINE)
    assert found
    return [block.replace(HERE, server.url) for block in found]


# --- Generated ------------------------------------------------------------------


def with_node_modules(directory: Path) -> Path:
    """Let a directory use the generators' packages; return their folder."""
    folder = generators()
    (directory / "node_modules").symlink_to(folder / "node_modules")
    (directory / "package.json").write_text('{"type": "module"}')
    return folder


def run(command: str, directory: Path, folder: Path) -> str:
    """Run a block of the page with the generators; return everything it said."""
    path = f"{folder / 'venv/bin'}:{folder / 'node_modules/.bin'}:{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-eo", "pipefail", "-c", command],
        cwd=directory,
        env=os.environ | {"PATH": path, "NO_COLOR": "1", "NO_UPDATE_NOTIFIER": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


def operation_ids() -> set[str]:
    schema = SchemaGenerator().get_schema(request=None, public=True)
    calls = [call for item in schema["paths"].values() for call in item.values()]
    return {call["operationId"] for call in calls}


def shown(block: str) -> str:
    return "".join(f"{line}\n" for line in re.findall(r"^#> (.*)$", block, re.M))


def test_typescript_from_the_schema_compiles_and_talks(tmp_path):
    folder = with_node_modules(tmp_path)
    with serving(tmp_path) as server:
        [program] = fenced("TypeScript", "ts", server)
        (tmp_path / "talk.ts").write_text(program)
        generate, talk = fenced("TypeScript", "bash", server)
        said = run(generate, tmp_path, folder)
        assert not re.search("warn|⚠", said, re.IGNORECASE), said
        assert run(talk, tmp_path, folder) == shown(talk)


def test_typescript_refuses_what_the_schema_does_not_have(tmp_path):
    folder = with_node_modules(tmp_path)
    with serving(tmp_path) as server:
        [program] = fenced("TypeScript", "ts", server)
        generate, talk = fenced("TypeScript", "bash", server)
        run(generate, tmp_path, folder)
    mistakes = {
        'message_body: "Yes!"': 'message_text: "Yes!"',
        "event.message.message_body": "event.message.text",
        '"/api/events/"': '"/api/event/"',
        "marked, unread_count }": "marked, unread }",
    }
    for number, (right, wrong) in enumerate(mistakes.items()):
        assert right in program
        (tmp_path / f"wrong{number}.ts").write_text(program.replace(right, wrong))
    compiling, _, _ = talk.partition(" && ")
    assert "talk.ts" in compiling
    names = [f"wrong{number}.ts" for number in range(len(mistakes))]
    with pytest.raises(AssertionError) as refused:
        run(compiling.replace("talk.ts", " ".join(names)), tmp_path, folder)
    refusals = re.findall(r"(wrong\d\.ts)\(.*error TS", str(refused.value))
    assert sorted(set(refusals)) == names


def test_python_from_the_schema_passes_mypy_and_talks(tmp_path):
    folder = generators()
    with serving(tmp_path) as server:
        [program] = fenced("Python", "python", server)
        [config] = fenced("Python", "yaml", server)
        (tmp_path / "talk.py").write_text(program)
        (tmp_path / "config.yml").write_text(config)
        generate, talk = fenced("Python", "bash", server)
        said = run(generate, tmp_path, folder)
        assert not re.search("warning|error", said, re.IGNORECASE), said
        assert run(talk, tmp_path, folder) == shown(talk)
    # client.py is the generator's own, the same for every schema.
    (tmp_path / "mypy.ini").write_text(
        "[mypy]\nstrict = true\n[mypy-messaging_client.client]\nignore_errors = true\n"
    )
    assert "Success" in run("mypy messaging_client", tmp_path, folder)
    calls = {path.stem for path in tmp_path.glob("messaging_client/api/*/*.py")}
    assert calls - {"__init__"} == operation_ids()


# --- The schema by the rules of others -------------------------------------------


def schema_file(directory: Path, **changes: object) -> None:
    """Write the schema, changed or not, where the linters are run."""
    schema = SchemaGenerator().get_schema(request=None, public=True)
    text = OpenApiJsonRenderer2().render(schema | changes)
    (directory / "schema.json").write_bytes(text)


LINTERS = {
    "spectral": "spectral lint -F warn -r {config}/spectral.yaml schema.json",
    "redocly": "redocly lint --config {config}/redocly.yaml schema.json",
}


@pytest.mark.parametrize("name", LINTERS)
def test_schema_keeps_the_recommended_rules(tmp_path, name):
    folder = generators()
    schema_file(tmp_path)
    command = LINTERS[name].format(config=ROOT / "tests/support/clients")
    said = run(command, tmp_path, folder)
    assert re.search("No results|Your API description is valid", said), said
    assert not re.search("[0-9] warning", said), said


@pytest.mark.parametrize("name", LINTERS)
def test_rules_refuse_a_schema_that_lacks_its_servers(tmp_path, name):
    folder = generators()
    schema_file(tmp_path, servers=[])
    command = LINTERS[name].format(config=ROOT / "tests/support/clients")
    with pytest.raises(AssertionError, match=r"[Ss]ervers"):
        run(command, tmp_path, folder)


# --- By hand --------------------------------------------------------------------


def test_browser_client_shows_and_sends(tmp_path):
    playwright_and_chromium()
    with talking(tmp_path) as (server, token, there), browsing(server.url) as page:
        server.send(token, there, "before", "<b>not markup</b>")
        [markup], [script] = (
            fenced("In a browser", language, server) for language in ("html", "js")
        )
        page.set_content(markup)
        page.add_script_tag(content=script)
        page.fill("[name=username]", "nina")
        page.fill("[name=password]", PASSWORD)
        page.click("text=Sign in")
        page.wait_for_function("document.querySelectorAll('li').length === 2")
        server.send(token, there, "live")
        page.wait_for_function("document.querySelectorAll('li').length === 3")
        page.fill("[name=message_body]", "mine")
        page.click("text=Send")
        page.wait_for_function("document.querySelectorAll('li').length === 4")
        page.wait_for_function("document.querySelector('#send input').value === ''")

        assert page.locator("li").all_text_contents() == [
            "omar: before",
            "omar: <b>not markup</b>",
            "omar: live",
            "nina: mine",
        ]
        sent = server.call("GET", f"messages/?conversation_id={there}", token=token)
        assert sent["results"][0]["message_body"] == "mine"


@pytest.mark.skipif(
    not (shutil.which("bash") and shutil.which("curl")), reason="needs bash and curl"
)
def test_shell_client_shows_and_sends(tmp_path):
    with talking(tmp_path) as (server, token, there):
        script = tmp_path / "chat"
        [text] = fenced("In a shell", "sh", server)
        script.write_text(text.replace("http://localhost:8000", server.url))
        nina = server.token_of("nina")
        with chatting(script, there, nina) as (line, say):
            say('it\'s "quoted" \\ and $HOME')
            assert line() == 'nina: it\'s "quoted" \\ and $HOME'
            server.send(token, there, "hello")
            assert line() == "omar: hello"


@contextmanager
def chatting(
    script: Path, conversation_id: str, token: str
) -> Iterator[tuple[Callable[[], str], Callable[[str], None]]]:
    """Run the client; yield what waits for its next line and what types one."""
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    process = subprocess.Popen(
        ["bash", script, conversation_id],
        env=os.environ | {"TOKEN": token, "PATH": path},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        bufsize=1,
        start_new_session=True,
    )
    too_late = threading.Timer(PATIENCE, os.killpg, (process.pid, 9))
    too_late.start()
    with process:
        try:
            yield (
                lambda: process.stdout.readline().rstrip("\n"),
                lambda text: print(text, file=process.stdin),
            )
        finally:
            too_late.cancel()
            os.killpg(process.pid, 9)
    too_late.join()
