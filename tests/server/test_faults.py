"""Outages: 503 in bounded time, no restart needed, nothing lost."""

import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

import httpx
import pytest
import redis
import time_machine
from django.conf import settings as project_settings
from django.core.cache import caches
from django.db import InternalError, close_old_connections, connection, connections
from django.utils import timezone
from rest_framework.test import APIClient

from chats.api.handlers import exception_handler
from chats.models import Message, User
from chats.realtime.hub import IDLE_AFTER
from chats.services.messages import send_message
from chats.web.throttles import breaker, count
from messaging_app.settings import SESSION_LIMITS, SQLITE_OPTIONS
from tests.support.databases import committed, on_postgresql
from tests.support.factories import PASSWORD
from tests.support.servers import Follower, serving_in_thread, token_of, wait_until

BOUND = 6.0  # seconds until a call that waits for the database is 503


def execute(sql: str) -> list[tuple]:
    with connection.cursor() as cursor:
        cursor.execute(sql)
        return cursor.fetchall() if cursor.description else []


@contextmanager
def all_locked() -> Iterator[None]:
    """Hold, on another connection, what every send has to lock."""
    other = connection.copy()
    with other.cursor() as rival:
        rival.execute("BEGIN IMMEDIATE" if connection.vendor == "sqlite" else "BEGIN")
        if connection.vendor == "postgresql":
            for table in ("conversation", "user", "accesstoken"):
                rival.execute(f"SELECT 1 FROM chats_{table} FOR UPDATE")
        try:
            yield
        finally:
            rival.execute("ROLLBACK")
            other.close()


# --- Locks ----------------------------------------------------------------------


def test_both_databases_wait_for_a_lock_as_long():
    assert SQLITE_OPTIONS["timeout"] == 5
    assert "lock_timeout=5000" in SESSION_LIMITS


@pytest.mark.django_db
@on_postgresql
def test_connections_to_postgresql_have_their_limits():
    assert execute("SHOW lock_timeout") == [("5s",)]
    assert execute("SHOW idle_in_transaction_session_timeout") == [("1min",)]


@committed
def test_a_send_to_a_locked_database_is_503_in_bounded_time_and_the_stream_goes_on(
    alice, bob, conversation
):
    body = {"conversation": str(conversation.pk), "message_body": "Hello"}
    with (
        serving_in_thread() as server,
        Follower(server, token_of(bob)) as follower,
        httpx.Client(base_url=server.url, headers=token_of(alice)) as client,
    ):
        assert follower.next()["event"] == "ready"
        with all_locked():
            began = time.monotonic()
            response = client.post("/api/messages/", json=body, timeout=30)
            took = time.monotonic() - began
            alive = client.get("/healthz").status_code
        sent = client.post("/api/messages/", json=body)
        event = follower.next()
    assert (response.status_code, response.headers["Retry-After"]) == (503, "1")
    assert took < BOUND
    assert alive == 200
    assert (sent.status_code, sent.json()["seq"]) == (201, 1)
    assert event["message"]["message_id"] == sent.json()["message_id"]


@committed
def test_reading_from_a_locked_database_is_not_held_up(alice, conversation):
    """By the marks of presence and of the token's use, which can wait for later."""
    User.objects.update(last_seen_at=None)
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=token_of(alice)["Authorization"])
    with all_locked():
        began = time.monotonic()
        status = client.get("/api/conversations/").status_code
        took = time.monotonic() - began
    assert status == 200
    assert took < 2
    assert client.get("/api/conversations/").status_code == 200
    alice.refresh_from_db()
    assert alice.is_online
    assert alice.access_tokens.get().last_used_at is not None


# --- PostgreSQL -----------------------------------------------------------------


@committed
@on_postgresql
def test_a_server_that_may_only_be_read_is_503_to_writers(
    as_alice, alice, conversation
):
    """As after a failover, on a standby not yet promoted."""
    body = {"conversation": str(conversation.pk), "message_body": "Hello"}
    execute("SET default_transaction_read_only = on")
    response = as_alice.post("/api/messages/", body)
    reading = as_alice.get("/api/messages/")
    execute("SET default_transaction_read_only = off")
    assert (response.status_code, response.headers["Retry-After"]) == (503, "1")
    assert reading.status_code == 200
    assert as_alice.post("/api/messages/", body).json()["seq"] == 1


@committed
@on_postgresql
@pytest.mark.parametrize("state", ["53100", "53200", "53300", "57P03", "58030"])
def test_a_want_of_resources_is_503_and_loses_no_number(as_alice, conversation, state):
    """No disk, no memory, no connections, starting up, an error of the disk."""
    body = {"conversation": str(conversation.pk), "message_body": "Hello"}
    execute(
        "CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS "
        f"$$ BEGIN RAISE EXCEPTION 'no room' USING ERRCODE = '{state}'; END $$"
    )
    execute("CREATE TRIGGER fails BEFORE INSERT ON chats_event EXECUTE FUNCTION fail()")
    response = as_alice.post("/api/messages/", body)
    execute("DROP FUNCTION fail CASCADE")
    assert (response.status_code, response.headers["Retry-After"]) == (503, "1")
    assert not Message.objects.exists()
    assert as_alice.post("/api/messages/", body).json()["seq"] == 1


def test_a_transaction_that_the_database_has_ended_is_503():
    response = exception_handler(InternalError("aborted"), {})
    assert (response.status_code, response.headers["Retry-After"]) == (503, "1")


# --- Connections that have died -------------------------------------------------


def execute_apart(sql: str) -> list[tuple]:
    """Execute a query on a connection of its own."""
    other = connection.copy()
    with other.cursor() as cursor:
        cursor.execute(sql)
        found = cursor.fetchall()
    other.close()
    return found


def end_other_connections() -> int:
    """End every other connection to the database, as a restart does; return how many
    there were."""
    ended = execute(
        "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity "
        "WHERE datname = current_database() AND pid <> pg_backend_pid()"
    )
    return len(ended)


@committed
@on_postgresql
def test_the_first_calls_after_connections_died_are_answered(alice, bob, conversation):
    """In every thread: the API's, the one of sign-in, the hub's and the listener's."""
    body = {"conversation": str(conversation.pk), "message_body": "Hello"}
    login = {"username": "alice", "password": PASSWORD}
    export = "/api/users/me/export/"
    with (
        serving_in_thread() as server,
        Follower(server, token_of(bob)) as follower,
        httpx.Client(base_url=server.url, headers=token_of(alice)) as client,
    ):
        assert follower.next()["event"] == "ready"
        for _ in range(3):
            answers = [
                client.post("/api/messages/", json=body).status_code,
                client.get("/api/conversations/").status_code,
                client.post("/api/auth/login/", json=login).status_code,
                client.get(export).status_code,
            ]
            assert answers == [201, 200, 200, 200]
            assert end_other_connections() >= 2  # of both pools
        assert client.get("/readyz").status_code == 200
        seqs = [follower.next()["message"]["seq"] for _ in range(3)]
    assert seqs == [1, 2, 3]


@committed
@on_postgresql
def test_the_hub_that_slept_wakes_with_another_connection(alice, conversation, caplog):
    body = {"conversation": str(conversation.pk), "message_body": "Hello"}
    with serving_in_thread() as server:
        with Follower(server, token_of(alice)) as follower:
            assert follower.next()["event"] == "ready"
            wait_until(lambda: server.shell.hub and server.shell.hub.audience.listeners)
        hub = server.shell.hub
        hub._clock = lambda: time.monotonic() + IDLE_AFTER  # nobody has come for long
        hub.notify_new_events()
        wait_until(lambda: hub.position is None)
        end_other_connections()
        hub._clock = time.monotonic
        with Follower(server, token_of(alice)) as follower:
            assert follower.next()["event"] == "ready"
            server.call(alice, "POST", "/api/messages/", body)
            assert follower.next()["message"]["seq"] == 1
    assert "The event hub waits" not in caplog.text


@committed
@on_postgresql
def test_a_connection_used_just_now_is_tried_by_no_statement():
    wrapper = connections["default"]
    wrapper.ensure_connection()
    pid, tried = wrapper.connection.info.backend_pid, []
    for idle in (0, 4.9, 5.1):
        wrapper._used_at = time.monotonic() - idle
        close_old_connections()
        [(pid_after, query)] = execute_apart(
            f"SELECT pid, query FROM pg_stat_activity WHERE pid = {pid}"
        )
        tried.append(query == "SELECT 1")
    assert tried == [False, False, True]
    assert pid_after == wrapper.connection.info.backend_pid


@committed
@on_postgresql
def test_a_connection_that_a_firewall_forgot_fails_within_seconds():
    """While a statement waits, and while nothing is asked, respectively."""
    connection.ensure_connection()
    with socket.socket(fileno=os.dup(connection.connection.fileno())) as raw:
        if raw.family == socket.AF_UNIX:
            pytest.skip("no network between")
        limits = [
            raw.getsockopt(socket.IPPROTO_TCP, option)
            for option in (
                socket.TCP_USER_TIMEOUT,
                socket.TCP_KEEPIDLE,
                socket.TCP_KEEPINTVL,
                socket.TCP_KEEPCNT,
            )
        ]
    assert limits == [5000, 30, 10, 3]


# --- The cache ------------------------------------------------------------------


def test_a_cache_emptied_between_two_steps_of_counting_fails_no_call(monkeypatch):
    class Forgetful:
        def incr(self, key: str, delta: int = 1) -> int:
            raise ValueError(key)

        def add(self, key: str, value: int, timeout: int) -> bool:
            return True

    monkeypatch.setattr("chats.web.throttles.cache", Forgetful())
    assert count("a key", 60) == 0


@pytest.mark.skipif(not project_settings.REDIS_URL, reason="a matter of Redis")
def test_the_first_count_after_connections_to_the_cache_died_is_counted():
    address = project_settings.REDIS_URL
    assert count("key", 3600) == 1
    with redis.Redis.from_url(address, client_name="other") as other:
        here = other.client_info()
        ended = [
            other.client_kill_filter(_id=client["id"])
            for client in other.client_list()
            if client["db"] == str(here["db"]) and client["name"] != "other"
        ]
    assert ended
    assert count("key", 3600) == 2
    assert breaker.may_ask()


@pytest.mark.django_db
def test_a_cache_that_does_not_answer_fails_no_call(as_alice, settings):
    settings.THROTTLE_RATES = settings.THROTTLE_RATES | {"user": (1, 60)}
    settings.CACHES = {
        "default": {
            "BACKEND": "django.core.cache.backends.redis.RedisCache",
            "LOCATION": "redis://127.0.0.1:1/0",
        }
    }
    with pytest.raises(redis.exceptions.ConnectionError):
        caches["default"].get("anything")
    answers = [as_alice.get("/api/users/me/").status_code for _ in range(3)]
    assert answers == [200, 200, 200]


# --- Clocks ---------------------------------------------------------------------


@pytest.mark.django_db
def test_times_and_events_rise_though_a_nodes_clock_is_an_hour_behind(
    alice, bob, conversation, as_bob
):
    after = as_bob.get("/api/events/").json()["cursor"]
    first, _ = send_message(alice, conversation.pk, message_body="one")
    with time_machine.travel(timezone.now() - timedelta(hours=1), tick=False):
        second, _ = send_message(bob, conversation.pk, message_body="two")
        page = as_bob.get(f"/api/messages/?conversation_id={conversation.pk}")
        listed = as_bob.get("/api/messages/")
    third, _ = send_message(alice, conversation.pk, message_body="three")
    assert first.sent_at < second.sent_at < third.sent_at
    assert [row["seq"] for row in page.json()["results"]] == [2, 1]
    assert [row["seq"] for row in listed.json()["results"]] == [2, 1]
    events = as_bob.get(f"/api/events/?after={after}").json()["events"]
    assert [event["message"]["seq"] for event in events] == [1, 2, 3]
