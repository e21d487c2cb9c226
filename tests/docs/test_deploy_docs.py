"""docs/deploy.md agrees with the code: what it names exists, its numbers fit."""

import re
import subprocess
import sys
from pathlib import Path

from django.conf import settings
from django.core.management import get_commands

from chats.server import shell as stream
from tests.support.settings import READS, SETTINGS_FILE

PAGE = (Path(settings.BASE_DIR) / "docs/deploy.md").read_text()
NOT_OURS = {"LISTEN"}  # read by the unit itself


def found(pattern: str, count: int | None = None) -> list[str]:
    """Return what the page has of a pattern: something, so that tests look."""
    matches = re.findall(pattern, PAGE, re.MULTILINE | re.DOTALL)
    assert matches if count is None else len(matches) == count
    return matches


def test_files_of_a_release_are_asked_of_each_process():
    """While processes are replaced, each has those of its own release only."""
    found(r"/static/ \{ [^\n]* proxy_next_upstream error timeout http_404;", 2)


def test_writes_over_plain_http_are_refused_by_nginx_too():
    [server] = found(r"^server \{\n    listen 80;(.*?)^\}", 1)
    assert server.index("return 403") < server.index("return 301")


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


def test_nginx_passes_to_the_ports_of_the_services():
    ports = found(r"server 127\.0\.0\.1:80(\d\d) ")
    assert set(ports) == set(found(r"messaging@(\d\d)\b"))


def test_nginx_takes_the_largest_body():
    [megabytes] = found(r"client_max_body_size (\d+)m;", 1)
    assert int(megabytes) << 20 == settings.DATA_UPLOAD_MAX_MEMORY_SIZE


def test_nginx_outwaits_heartbeats_and_uvicorn_outwaits_nginx():
    [patience] = set(found(r"proxy_read_timeout (\d+)s;", 2))
    [keep_alive] = found(r"--timeout-keep-alive (\d+)", 1)
    assert int(patience) >= 2 * stream.HEARTBEAT_EVERY
    assert int(keep_alive) > 60  # nginx's keepalive_timeout in an upstream


def test_shutdown_waits_for_streams_to_end():
    [grace] = found(r"--timeout-graceful-shutdown (\d+)", 1)
    assert int(grace) > stream.LINGER


def test_static_files_are_not_collected():
    assert "There is no `STATIC_ROOT`" in PAGE
    assert settings.STATIC_ROOT is None


def test_log_is_renewed_after_each_way_of_restoring():
    for section in ("Restoring a backup", "SQLite"):
        [commands] = found(rf"^## {section}\n(.*?)^## ", 1)
        assert "messaging-manage renew_log" in commands
