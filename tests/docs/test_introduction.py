"""The API page's introduction: what it shows by curl works, as it stands there."""

import os
import re
import shutil
import signal
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import takewhile
from pathlib import Path

import pytest

from chats.api.schema import INTRODUCTION
from chats.management.commands.seed_demo import PASSWORD as DEMO
from tests.support.browser import PASSWORD, PATIENCE, serving

TEXT = INTRODUCTION.read_text()


def steps() -> list[str]:
    return re.findall(r"^```bash\n(.*?)^```$", TEXT, re.DOTALL | re.MULTILINE)


@contextmanager
def bash(script: str, directory: Path) -> Iterator[Iterator[str]]:
    """Run a script; yield the lines that it prints, and end it."""
    process = subprocess.Popen(
        ["bash", "-eo", "pipefail", "-c", script],
        cwd=directory,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    too_late = threading.Timer(PATIENCE, os.killpg, (process.pid, signal.SIGKILL))
    too_late.start()
    with process:
        try:
            yield (line.rstrip("\n") for line in process.stdout)
        finally:
            too_late.cancel()
            os.killpg(process.pid, signal.SIGKILL)
    too_late.join()


@pytest.mark.skipif(
    not (shutil.which("bash") and shutil.which("curl")), reason="needs bash and curl"
)
def test_steps_sign_in_list_send_and_follow(tmp_path):
    with serving(tmp_path) as server:
        alice, bob = server.sign_up("alice", "bob")
        token = server.token_of("alice")
        start = {"participant_ids": [bob], "title": "Lake"}
        there = server.call("POST", "conversations/", start, token)["conversation_id"]
        script = "echo\n".join(steps()).replace("http://localhost:8000", server.url)
        assert DEMO in script
        with bash(script.replace(DEMO, PASSWORD), tmp_path) as lines:
            said = [*takewhile(lambda line: line != "event: ready", lines)]
            server.send(server.token_of("bob"), there, "Hello, Alice!")
            followed = [*takewhile(lambda line: '"message_body"' not in line, lines)]

        [sent] = server.call("GET", f"messages/?sender={alice}", token=token)["results"]
    assert any('"title":"Lake"' in line for line in said)
    assert sent["message_body"] == "Hello!"
    assert any(f'"message_id":"{sent["message_id"]}"' in line for line in said)
    assert followed[-1] == "event: message.created"


def test_introduction_is_the_schemas_description(client, db):
    schema = client.get("/api/schema/", {"format": "json"}).json()
    assert schema["info"]["description"] == TEXT
    assert [step.count("curl ") for step in steps()] == [1, 1, 1, 1]


def test_every_tag_has_a_sentence(client, db):
    schema = client.get("/api/schema/", {"format": "json"}).json()
    calls = [call for item in schema["paths"].values() for call in item.values()]
    used = {tag for call in calls for tag in call["tags"]}
    assert {tag["name"] for tag in schema["tags"]} == used
    for tag in schema["tags"]:
        assert re.fullmatch(r"[A-Z][^.]{20,}\.", tag["description"])
