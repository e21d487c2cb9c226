"""The JavaScript package that the web client is made of, as others install it.

It is packed and installed without the network; all that is tested here is what was
packed. The programs are in ``tests/support/clients/library``.
"""

import json
import os
import re
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.conf import settings

from tests.support.browser import PASSWORD, PATIENCE, Restartable, serving
from tests.support.generators import CLIENTS, ROOT, generators, node

LIBRARY = ROOT / "chats/static/chats/client/library"
PROGRAMS = CLIENTS / "library"
README = (LIBRARY / "README.md").read_text()
ABOUT = json.loads((LIBRARY / "package.json").read_text())


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """A folder with the programs, where the packed package is installed."""
    node()
    folder = tmp_path_factory.mktemp("library")
    packed = npm("pack", "--silent", "--pack-destination", str(folder), cwd=LIBRARY)
    (folder / "package.json").write_text('{"private": true, "type": "module"}')
    npm("install", "--offline", "--no-audit", "--no-fund", packed.strip(), cwd=folder)
    for program in PROGRAMS.iterdir():
        shutil.copy(program, folder)
    return folder


@pytest.fixture(scope="module")
def server(tmp_path_factory) -> Iterator[Restartable]:
    node()
    with serving(tmp_path_factory.mktemp("server")) as server:
        yield server


def npm(*arguments: str, cwd: Path) -> str:
    return run("npm", *arguments, cwd=cwd, npm_config_update_notifier="false")


def run(*command: str, cwd: Path, **environment: str) -> str:
    """Run a command to its end, and return what it printed."""
    done = subprocess.run(
        command,
        cwd=cwd,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        timeout=4 * PATIENCE,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def run_tests(folder: Path, name: str, **environment: str) -> None:
    run("node", "--test", name, cwd=folder, **environment)


def talk(server: Restartable, *names: str) -> tuple[list[str], str]:
    """Make people and a conversation of the first with the others; return their
    tokens, and its id."""
    _, *others = server.sign_up(*names)
    tokens = [server.token_of(name) for name in names]
    body = {"participant_ids": others, "title": "Picnic"}
    there = server.call("POST", "conversations/", body, tokens[0])
    return tokens, there["conversation_id"]


# --- The package --------------------------------------------------------------------


def test_package_has_the_modules_and_nothing_else():
    node()
    [packed] = json.loads(npm("pack", "--dry-run", "--json", cwd=LIBRARY))
    modules = {path.name for path in LIBRARY.glob("*.js")}
    others = {"package.json", "README.md", "LICENSE", "index.d.ts"}
    assert {file["path"] for file in packed["files"]} == modules | others
    assert {path.name for path in LIBRARY.iterdir()} == modules | others


def test_package_is_of_the_projects_version_and_licence():
    assert ABOUT["version"] == settings.SPECTACULAR_SETTINGS["VERSION"]
    assert f"{ABOUT['name']}-{ABOUT['version']}.tgz" in README
    assert (LIBRARY / "LICENSE").read_text() == (ROOT / "LICENSE").read_text()
    assert not ABOUT.keys() & {"dependencies", "peerDependencies"}


def test_types_are_those_of_what_is_exported(folder):
    types = (LIBRARY / "index.d.ts").read_text()
    typed = re.findall(r"^export (?:class|function) (\w+)", types, re.MULTILINE)
    names = (
        f'import * as all from "{ABOUT["name"]}"; console.log(Object.keys(all).join())'
    )
    said = run("node", "--input-type=module", "--eval", names, cwd=folder)
    assert sorted(typed) == sorted(said.strip().split(","))


def test_types_compile_and_refuse_mistakes(folder):
    tools = generators()
    tsc = str(tools / "node_modules/.bin/tsc")
    strict = ["--strict", "--noEmit", "--target", "es2022", "--module", "nodenext"]
    run(tsc, *strict, "--lib", "es2022,dom,dom.iterable", "types.ts", cwd=folder)


# --- Without a server ---------------------------------------------------------------


def test_frames_are_the_same_wherever_the_stream_is_cut(folder):
    run_tests(folder, "frames.test.mjs")


def test_parts_do_what_answers_ask_for(folder):
    run_tests(folder, "parts.test.mjs")


# --- With one -----------------------------------------------------------------------


def test_example_of_the_readme_runs(folder, server):
    (nina, omar), there = talk(server, "nina", "omar")
    server.send(omar, there, "Noon?", "Or later?")
    [example] = re.findall(r"^```js\n(.*?)^```$", README, re.DOTALL | re.MULTILINE)
    assert PASSWORD in example
    assert len([line for line in example.splitlines() if line]) <= 20
    example = example.replace("http://localhost:8000", server.url)
    with subprocess.Popen(
        ["node", "--input-type=module", "--eval", example],
        cwd=folder,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            assert process.stdout.readline() == "2 unread in Picnic\n"
            assert process.stdout.readline() == "sent as number 3: Hello!\n"
            server.send(omar, there, "Hello to you!")
            assert process.stdout.readline() == "omar: Hello to you!\n"
        finally:
            process.kill()
    page = server.call("GET", "messages/", token=nina)
    assert page["results"][1]["message_body"] == "Hello!"


def test_store_is_what_would_be_loaded_whatever_has_happened(folder, server):
    names = [f"person{number}" for number in range(4)]
    tokens, there = talk(server, *names)
    environment = {"TOKENS": " ".join(tokens), "CONVERSATION": there}
    run_tests(folder, "store.test.mjs", SERVER=server.url, **environment)


def test_messages_are_sent_once_over_kills_of_server_and_client(folder, server):
    (token, _), there = talk(server, "sender", "receiver")
    command = ["node", "send.mjs", server.url, token, there, "outbox.json"]

    def sending(first: int, last: int) -> subprocess.Popen:
        numbers = [str(first), str(last)]
        return subprocess.Popen(
            [*command, *numbers], cwd=folder, stdout=subprocess.PIPE, text=True
        )

    with sending(1, 40) as process:
        for stop in (5, 15):
            wait_for_line(process, f'"number {stop}"\n')
            server.stop(signal.SIGKILL)
            server.start()
        wait_for_line(process, '"number 25"\n')
        process.kill()
    with sending(41, 50) as process:
        wait_for_line(process, '"number 45"\n')
        server.stop(signal.SIGTERM)
        server.start()
        said, _ = process.communicate(timeout=PATIENCE)
    assert "refused" not in said

    page = server.call(
        "GET", f"messages/?conversation_id={there}&ordering=seq", token=token
    )
    bodies = [message["message_body"] for message in page["results"]]
    assert bodies == [f"number {number}" for number in range(1, 51)]
    assert json.loads((folder / "outbox.json").read_text()) == []


def wait_for_line(process: subprocess.Popen, wanted: str) -> None:
    for line in process.stdout:
        assert "refused" not in line
        if line == wanted:
            return
    raise AssertionError(f"It ended before {wanted}")


@pytest.mark.parametrize("seed", [1, 2])
def test_events_come_once_each_over_cut_connections(folder, server, seed):
    names = [f"{name}-{seed}" for name in ("writer", "reader")]
    (writer, reader), there = talk(server, *names)
    with subprocess.Popen(
        ["node", "follow.mjs", server.url, reader, str(seed)],
        cwd=folder,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            assert json.loads(process.stdout.readline()) == ["ready", None]
            server.send(writer, there, *(f"żółw {number} 🐢" for number in range(59)))
            server.send(writer, there, "the last")
            got = [json.loads(line) for line in process.stdout]
        finally:
            process.kill()
    *events, (_, cuts) = got
    created = [seq for kind, seq in events if kind == "message.created"]
    assert created == list(range(1, 61))
    assert "reset" not in {kind for kind, _ in events}
    assert cuts >= 10
