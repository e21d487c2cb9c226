"""The system checks: silent when all is well, a hint when not."""

import sqlite3

import pytest
from django.core.checks import run_checks
from django.db import connection

from chats import checks


def ids(messages) -> list[str]:
    return [message.id for message in messages]


def test_checks_are_silent_with_one_process(monkeypatch):
    monkeypatch.delenv("WEB_CONCURRENCY", raising=False)
    assert [found for found in ids(run_checks()) if found.startswith("chats.")] == []


def test_shared_cache_missing_with_two_processes_warns(monkeypatch, settings):
    monkeypatch.setenv("WEB_CONCURRENCY", "2")
    settings.REDIS_URL = ""
    assert ids(checks.check_shared_cache(None)) == ["chats.W001"]


def test_shared_cache_given_with_two_processes_is_silent(monkeypatch, settings):
    monkeypatch.setenv("WEB_CONCURRENCY", "2")
    settings.REDIS_URL = "redis://localhost"
    assert checks.check_shared_cache(None) == []


@pytest.mark.parametrize(
    ("version", "expected"), [((3, 51, 2), ["chats.W002"]), ((3, 51, 3), [])]
)
def test_sqlite_version_with_two_processes(monkeypatch, settings, version, expected):
    monkeypatch.setenv("WEB_CONCURRENCY", "2")
    monkeypatch.setattr(sqlite3, "sqlite_version_info", version)
    settings.USES_SQLITE = True
    assert ids(checks.check_sqlite_version(None)) == expected


def test_sqlite_version_with_one_process_is_silent(monkeypatch, settings):
    monkeypatch.setenv("WEB_CONCURRENCY", "1")
    settings.USES_SQLITE = True
    assert checks.check_sqlite_version(None) == []


@pytest.mark.skipif(connection.vendor != "postgresql", reason="PostgreSQL's setting")
@pytest.mark.django_db
def test_synchronous_commit_off_warns():
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL synchronous_commit = off")
    assert ids(checks.check_durability(None, ["default"])) == ["chats.W003"]


@pytest.mark.django_db
def test_durable_database_is_silent():
    assert checks.check_durability(None, ["default"]) == []
