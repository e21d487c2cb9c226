"""Through a pooler: PgBouncer in transaction mode, where it is installed."""

import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from pathlib import Path
from urllib.parse import quote
from uuid import UUID, uuid4

import httpx
import pytest
from django.db import connection

from chats.management.checks import database as database_checks
from chats.models import Message
from tests.support.factories import UserFactory, start
from tests.support.servers import (
    Follower,
    Server,
    database_url,
    serving_in_process,
    token_of,
    wait_until,
)

PGBOUNCER = shutil.which("pgbouncer", path=f"{os.environ['PATH']}:/usr/sbin")
REQUIRED = bool(os.environ.get("REQUIRE_PGBOUNCER"))
pytestmark = [
    pytest.mark.skipif(connection.vendor != "postgresql", reason="PostgreSQL's"),
    pytest.mark.skipif(not (PGBOUNCER or REQUIRED), reason="needs pgbouncer"),
    pytest.mark.django_db(transaction=True),
]
LIMITS = (
    "SET lock_timeout = 5000", "SET idle_in_transaction_session_timeout = 60000"
)  # fmt: skip
SENDS = 120


@pytest.fixture
def pooler(request) -> Iterator[int]:
    """Start PgBouncer before the test database; yield its port.

    With three sessions for all, so that transactions do change theirs. A parameter:
    lines of its configuration.
    """
    database = connection.settings_dict
    with closing(socket.create_server(("127.0.0.1", 0))) as spare:
        port = spare.getsockname()[1]
    server = f"host={database['HOST'] or '127.0.0.1'} port={database['PORT'] or 5432}"
    if database["PASSWORD"]:
        server += f" password='{database['PASSWORD']}'"
    lines = [
        "[databases]",
        f"* = {server} connect_query='{'; '.join(LIMITS)}'",
        "[pgbouncer]",
        "listen_addr = 127.0.0.1",
        f"listen_port = {port}",
        "unix_socket_dir =",
        "pool_mode = transaction",
        "default_pool_size = 3",
        "auth_type = trust",
        *getattr(request, "param", ()),
    ]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)  # it does not run as root
        (folder / "users").write_text(f'"{database["USER"]}" ""\n')
        lines.append(f"auth_file = {folder / 'users'}")
        (folder / "ini").write_text("\n".join(lines))
        user = "nobody" if os.getuid() == 0 else None
        command = [PGBOUNCER, "--quiet", folder / "ini"]
        with subprocess.Popen(command, user=user, stderr=subprocess.PIPE) as process:
            wait_until(lambda: answers(port))
            yield port
            process.terminate()


def answers(port: int) -> bool:
    with socket.socket() as attempt:
        return attempt.connect_ex(("127.0.0.1", port)) == 0


@pytest.fixture
def pooled(pooler, monkeypatch) -> Iterator[int]:
    """Have this process's own connection go through the pooler, with our settings for
    it but for the announcement."""
    connection.close()
    with monkeypatch.context() as patch:
        patch.setitem(connection.settings_dict, "HOST", "127.0.0.1")
        patch.setitem(connection.settings_dict, "PORT", str(pooler))
        patch.setitem(
            connection.settings_dict,
            "OPTIONS",
            {"server_side_binding": True, "prepare_threshold": None},
        )
        yield pooler
        connection.close()


def ids(check: Callable) -> list[str]:
    return [found.id for found in check(None, ["default"])]


# --- The whole thing ------------------------------------------------------------


def call(server: Server, credentials: dict[str, str], work) -> list:
    with httpx.Client(base_url=server.url, headers=credentials, timeout=30) as http:
        return work(http)


def send(conversation_id: UUID, count: int) -> Callable[[httpx.Client], list[int]]:
    def work(http: httpx.Client) -> list[int]:
        return [
            http.post(
                "/api/messages/",
                json={
                    "conversation": str(conversation_id),
                    "message_body": f"Number {number}",
                    "client_id": str(uuid4()),
                },
            ).status_code
            for number in range(count)
        ]

    return work


def test_two_processes_lose_and_double_nothing(pooler):
    alice, bob = UserFactory(username="alice"), UserFactory(username="bob")
    people = [token_of(alice), token_of(bob)]
    conversation = start(alice, bob)
    url = database_url()
    database = connection.settings_dict
    here = f"{quote(database['USER'])}@127.0.0.1:{pooler}/{database['NAME']}"
    pooled = {"DATABASE_URL": f"postgres://{here}", "DATABASE_DIRECT_URL": url}
    with ExitStack() as stack:
        one = stack.enter_context(serving_in_process(**pooled))
        other = stack.enter_context(serving_in_process(**pooled))
        followers = [
            stack.enter_context(Follower(server, person))
            for server in (one, other)
            for person in people
        ]
        each = SENDS // 4
        with ThreadPoolExecutor(4) as threads:
            sending = [
                threads.submit(call, server, person, send(conversation.pk, each))
                for server in (one, other)
                for person in people
            ]
            received = [seqs(follower, 4 * each) for follower in followers]
            statuses = {status for each in sending for status in each.result()}
        pages = call(one, people[0], pages_of(conversation.pk))
    assert statuses == {201}
    assert received == [list(range(1, 4 * each + 1))] * 4
    assert Message.objects.count() == 4 * each
    assert pages == [200] * len(pages)


def seqs(follower: Follower, count: int) -> list[int]:
    """Return the numbers of the next ``count`` messages, in the order they came."""
    found = []
    while len(found) < count:
        event = follower.next()
        if event["event"] == "message.created":
            found.append(event["message"]["seq"])
    return found


def pages_of(conversation_id: UUID) -> Callable[[httpx.Client], list[int]]:
    """Ask for whatever has statements of its own, twice: with the same session and
    with another one."""
    urls = (
        "/api/conversations/?unread=true",
        f"/api/conversations/{conversation_id}/",
        f"/api/messages/?conversation_id={conversation_id}&ordering=seq",
        "/api/messages/?search=number+1",
        "/api/users/?search=bob",
        "/api/events/",
        "/api/auth/tokens/",
        "/api/users/me/export/",
        "/readyz",
    )

    def work(http: httpx.Client) -> list[int]:
        return [http.get(url).status_code for _ in range(2) for url in urls]

    return work


# --- The checks -----------------------------------------------------------------


def test_transaction_pooler_without_the_setting_is_noticed(pooled):
    assert ids(database_checks.check_pooler) == ["chats.W007"]


@pytest.mark.parametrize("pooler", [["pool_mode = session"]], indirect=True)
def test_session_pooler_is_no_finding(pooled):
    assert ids(database_checks.check_pooler) == []


def test_pooler_that_refuses_our_options_is_noticed(pooled):
    connection.settings_dict["OPTIONS"]["options"] = "-c lock_timeout=5000"
    assert ids(database_checks.check_pooler) == ["chats.W007"]


def test_announced_pooler_with_limits_has_no_findings(pooled, settings):
    settings.DATABASE_DIRECT_URL = direct_url()
    assert ids(database_checks.check_pooler) == []
    assert ids(database_checks.check_direct_address) == []
    assert ids(database_checks.check_limits) == []


def direct_url() -> str:
    """Return the server's own address, while the connection's is the pooler's."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT inet_server_port()")
        [port] = cursor.fetchone()
    return database_url().replace(f":{connection.settings_dict['PORT']}/", f":{port}/")
