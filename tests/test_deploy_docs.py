"""docs/deploy.md agrees with the code: what it names exists, its numbers fit."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from django.conf import settings
from django.core.management import get_commands
from django.db import connection

from chats import stream
from chats.events import cursors
from tests.factories import start
from tests.settings import READS, SETTINGS_FILE

PAGE = (Path(settings.BASE_DIR) / "docs/deploy.md").read_text()
NOT_OURS = {"WEB_CONCURRENCY", "LISTEN"}  # read by uvicorn, and by the unit itself


def found(pattern: str, count: int | None = None) -> list[str]:
    """Return what the page has of a pattern: something, so that tests look."""
    matches = re.findall(pattern, PAGE, re.MULTILINE | re.DOTALL)
    assert matches if count is None else len(matches) == count
    return matches


def test_page_has_at_most_200_lines():
    assert PAGE.count("\n") <= 200


def test_settings_exist():
    [file] = found(r"messaging\.env\) <<END\n(.*?)^END$", 1)
    names = set(re.findall(r"^([A-Z_]+)=", file, re.MULTILINE))
    assert names - set(READS.findall(SETTINGS_FILE.read_text())) == NOT_OURS


def test_commands_exist():
    commands = set(found(r"messaging-manage ([a-z_]+)"))
    assert commands - set(get_commands()) == set()


def test_uvicorn_takes_the_options():
    [line] = found(r"^ExecStart=(.*?uvicorn.*?[^\\])\n", 1)
    command = [sys.executable, "-m", "uvicorn", "--help"]
    options = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    wanted = re.findall(r"--[a-z-]+", line)
    assert [option for option in wanted if option not in options] == []


def test_nginx_takes_the_largest_body():
    [megabytes] = found(r"client_max_body_size (\d+)m;", 1)
    assert int(megabytes) << 20 == settings.DATA_UPLOAD_MAX_MEMORY_SIZE


def test_nginx_outwaits_heartbeats_and_uvicorn_outwaits_nginx():
    [patience] = found(r"proxy_read_timeout (\d+)s;", 1)
    [keep_alive] = found(r"--timeout-keep-alive (\d+)", 1)
    assert int(patience) >= 2 * stream.HEARTBEAT_EVERY
    assert int(keep_alive) > 60  # nginx's keepalive_timeout in an upstream


def test_shutdown_waits_for_streams_to_end():
    [grace] = found(r"--timeout-graceful-shutdown (\d+)", 1)
    assert int(grace) > stream.LINGER


def test_static_files_are_not_collected():
    assert "There is no `STATIC_ROOT`" in PAGE
    assert settings.STATIC_ROOT is None


# --- The log after a restored backup ------------------------------------------


def restart_log() -> None:
    """Run the page's statements, inside the test's transaction."""
    if connection.vendor == "postgresql":
        [first, rest] = found(r"^(SELECT setval.*?) \\gset\n(.*?)^END$", 1)[0]
    else:
        [first, rest] = found(r'"BEGIN; (UPDATE sqlite_sequence.*?;)(.*?)COMMIT"', 1)[0]
    with connection.cursor() as cursor:
        cursor.execute(first)
        position = cursor.fetchone()[0] if cursor.description else None
        for statement in filter(str.strip, rest.split(";")):
            cursor.execute(statement.replace(":start", str(position)))


@pytest.fixture
def _sequence_kept(db):
    """Put PostgreSQL's sequence back: a rollback does not."""
    yield
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT setval('chats_event_event_id_seq', last_value - 1000000000)"
                " FROM chats_event_event_id_seq"
            )


@pytest.mark.usefixtures("_sequence_kept")
def test_restarted_log_refuses_every_older_cursor(alice, bob, conversation, as_bob):
    before = as_bob.get("/api/events/").json()["cursor"]
    lost = cursors.encode(cursors.decode(before) + 3)  # seen before the restoring

    restart_log()

    beginning = as_bob.get("/api/events/").json()["cursor"]
    for _ in range(5):
        start(alice, bob)
    for cursor in (cursors.encode(0), before, lost):
        assert as_bob.get("/api/events/", {"after": cursor}).status_code == 410
    events = as_bob.get("/api/events/", {"after": beginning}).json()["events"]
    assert [event["type"] for event in events] == ["conversation.created"] * 5
