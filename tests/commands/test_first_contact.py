"""The first minutes: the demo, where somebody answers; what a server says at start."""

import re
import signal
import socket
import subprocess
import sys
from io import StringIO

import httpx
import pytest
from django.conf import settings
from django.core.management import CommandError, call_command
from django.db import connections

from chats.management.commands.seed_demo import PASSWORD
from chats.management.demo.bot import ANSWERS, Bot
from chats.management.demo.welcome import welcome
from tests.support.servers import wait_until


def test_demo_answers_over_the_api_and_ends_with_ctrl_c():
    command = [sys.executable, "manage.py", "demo"]
    process = subprocess.Popen(
        command, cwd=settings.BASE_DIR, stdout=subprocess.PIPE, text=True
    )
    with process:
        try:
            said = ""
            while "Ctrl-C" not in said:
                assert process.poll() is None, said
                said += process.stdout.readline()
            [url] = set(re.findall(r"http://localhost:\d+", said))
            assert "as Alice" in said
            assert "as Bob" in said
            alice = Bot(url, "alice", PASSWORD)
            rooms = alice.call("GET", "conversations/?search=Lake")["results"]
            there = rooms[0]["conversation_id"]
            body = {"conversation": there, "message_body": "Is Biscuit well?"}
            sent = alice.call("POST", "messages/", body)
            after = f"messages/?conversation_id={there}&after_seq={sent['seq']}"
            wait_until(lambda: alice.call("GET", after)["results"])
            [answer] = alice.call("GET", after)["results"]
            assert answer["sender"]["username"] == "erin"
            assert answer["message_body"] == ANSWERS[0]
        finally:
            process.send_signal(signal.SIGINT)
    assert process.returncode == 0
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"{url}/healthz")


def test_demo_does_not_take_a_port_that_is_taken():
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        with pytest.raises(CommandError, match=f"Port {port} is unavailable"):
            call_command("demo", port=port)


def test_welcome_says_where_everything_is_and_on_what(settings, monkeypatch):
    server = {"NAME": "chat", "HOST": "db", "PORT": "", "PASSWORD": "sesame"}
    monkeypatch.setattr(connections["default"], "settings_dict", server)
    settings.USES_SQLITE, settings.REDIS_URL = False, "redis://:sesame@cache:6380/2"
    said = StringIO()
    call_command("welcome", "http://localhost:8000/", stdout=said)
    assert said.getvalue().splitlines() == [
        "   Messages    http://localhost:8000/",
        "   API pages   http://localhost:8000/api/docs/",
        "   Schema      http://localhost:8000/api/schema/",
        "   Admin       http://localhost:8000/admin/",
        "   Database    PostgreSQL, chat at db:5432",
        "   Cache       Redis, cache:6380/2",
    ]


def test_welcome_on_one_machine(settings, monkeypatch):
    monkeypatch.setattr(
        connections["default"], "settings_dict", {"NAME": "/srv/db.sqlite3"}
    )
    settings.USES_SQLITE, settings.REDIS_URL = True, ""
    settings.WEB_CLIENT, settings.DEMO_PASSWORD = True, "a password"
    said = welcome("http://here")
    assert "http://here/  try it as Alice or Bob\n" in said
    assert "SQLite, /srv/db.sqlite3\n" in said
    assert "in this process's memory" in said
    assert "a password" not in said
