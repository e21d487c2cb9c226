"""The system checks: silent when all is well, a hint when not."""

import sqlite3

import pytest
from django.core.checks import run_checks
from django.db import connection

from chats import checks

on_postgresql = pytest.mark.skipif(
    connection.vendor != "postgresql", reason="PostgreSQL's setting"
)


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


@pytest.mark.parametrize(("threads", "expected"), [(1, []), (2, ["chats.W002"])])
def test_old_sqlite_with_one_process(monkeypatch, settings, threads, expected):
    monkeypatch.setenv("WEB_CONCURRENCY", "1")
    monkeypatch.setattr(sqlite3, "sqlite_version_info", (3, 40, 1))
    settings.USES_SQLITE, settings.WEB_THREADS = True, threads
    assert ids(checks.check_sqlite_version(None)) == expected


def test_sqlite_version_does_not_matter_on_postgresql(monkeypatch, settings):
    monkeypatch.setenv("WEB_CONCURRENCY", "2")
    monkeypatch.setattr(sqlite3, "sqlite_version_info", (3, 40, 1))
    settings.USES_SQLITE, settings.WEB_THREADS = False, 2
    assert checks.check_sqlite_version(None) == []


# --- Durability ---------------------------------------------------------------


@on_postgresql
@pytest.mark.django_db
def test_synchronous_commit_off_warns():
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL synchronous_commit = off")
    [warning] = checks.check_durability(None, ["default"])
    assert (warning.id, warning.msg) == (
        "chats.W003",
        "PostgreSQL has synchronous_commit off: messages that were acknowledged can be "
        "lost when the machine fails.",
    )


@pytest.mark.django_db
def test_durable_database_is_silent():
    assert checks.check_durability(None, ["default"]) == []


@on_postgresql
@pytest.mark.django_db
def test_fsync_and_full_page_writes_are_asked_of_the_server():
    """They are the whole server's: seen through a view of the test's own."""
    with connection.cursor() as cursor:
        cursor.execute(
            "CREATE TEMPORARY VIEW pg_settings AS SELECT name, 'off' AS setting"
            " FROM pg_catalog.pg_settings"
        )
        cursor.execute("SET LOCAL search_path = pg_temp, public, pg_catalog")
    found = checks.check_durability(None, ["default"])
    assert ids(found) == ["chats.W003"] * 3
    assert [warning.hint.split()[1] for warning in found] == [
        "fsync",
        "full_page_writes",
        "synchronous_commit",
    ]


@on_postgresql
@pytest.mark.django_db(transaction=True)
def test_durability_of_a_database_that_is_away_is_not_an_error(monkeypatch):
    connection.close()
    with monkeypatch.context() as patch:
        patch.setitem(connection.settings_dict, "PORT", "1")
        assert checks.check_durability(None, ["default"]) == []
    connection.close()


def test_durability_is_asked_only_where_databases_are_checked():
    assert checks.check_durability(None) == []


# --- E-mail -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("backend", "debug", "expected"),
    [
        ("console", False, ["chats.W004"]),
        ("console", True, []),
        ("smtp", False, []),
    ],
)
def test_letters_in_the_log_of_a_server_in_use_warn(settings, backend, debug, expected):
    settings.EMAIL_BACKEND = f"django.core.mail.backends.{backend}.EmailBackend"
    settings.DEBUG = debug
    warnings = run_checks(include_deployment_checks=True)
    assert [found for found in ids(warnings) if found == "chats.W004"] == expected


def test_letters_in_the_log_are_the_deployment_checks_matter(settings):
    settings.EMAIL_BACKEND = "django.core.mail.backends.console.EmailBackend"
    assert "chats.W004" not in ids(run_checks())
