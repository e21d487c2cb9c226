"""The system checks: silent when all is well, a hint when not."""

import os
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from io import StringIO
from pathlib import Path

import pytest
from django.core import checks as checks_of_django
from django.core.checks import Tags, run_checks
from django.core.checks.registry import registry
from django.core.management import call_command
from django.core.management.base import SystemCheckError
from django.db import connection

from chats.db.sqlite3.base import DatabaseWrapper
from chats.management.checks import database as database_checks
from chats.management.checks import mail as mail_checks
from chats.management.checks import settings as checks
from chats.management.commands.seed_demo import PASSWORD as DEMO
from chats.models import User
from tests.support.databases import on_postgresql
from tests.support.factories import UserFactory
from tests.support.servers import database_url


def ids(messages) -> list[str]:
    return [message.id for message in messages]


def test_commands_run_the_checks_of_every_module():
    """In a process that imports nothing else, as ``check`` and ``migrate`` are."""
    code = (
        "import django; django.setup();"
        "from django.core.checks.registry import registry as r;"
        "print(*{check.__module__ for check in r.get_checks(True)})"
    )
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    folder = Path(checks.__file__).parent
    modules = {
        f"chats.management.checks.{file.stem}" for file in folder.glob("[!_]*.py")
    }
    assert len(modules) == 3
    assert modules - set(done.stdout.split()) == set()


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
        "PostgreSQL has synchronous_commit off: acknowledged messages can be lost if "
        "the machine fails.",
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


@pytest.fixture
def mail_settings(settings):
    """Settings with which e-mails arrive, and their links lead somewhere."""
    settings.DEBUG = False
    settings.EMAIL_BACKEND = mail_checks.SMTP
    settings.EMAIL_HOST, settings.EMAIL_HOST_PASSWORD = "mail.example", "secret"
    settings.EMAIL_USE_TLS, settings.EMAIL_USE_SSL = True, False
    settings.DEFAULT_FROM_EMAIL = "Chat <chat@chat.example>"
    settings.ALLOWED_HOSTS = ["chat.example"]
    settings.WEB_CLIENT, settings.PASSWORD_RESET_URL = True, ""
    return settings


def backend(name: str) -> str:
    return f"django.core.mail.backends.{name}.EmailBackend"


ELSEWHERE = "https://app.example/{uid}/{token}"


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({}, []),
        ({"EMAIL_BACKEND": backend("console")}, ["chats.W004"]),
        ({"EMAIL_BACKEND": backend("console"), "DEBUG": True}, []),
        ({"EMAIL_BACKEND": backend("dummy")}, ["chats.W012"]),
        ({"EMAIL_BACKEND": backend("filebased")}, ["chats.W012"]),
        ({"DEFAULT_FROM_EMAIL": "messaging@localhost"}, ["chats.W013"]),
        ({"DEFAULT_FROM_EMAIL": "Chat <chat@localhost>"}, ["chats.W013"]),
        ({"EMAIL_USE_TLS": False}, ["chats.W014"]),
        ({"EMAIL_USE_TLS": False, "EMAIL_USE_SSL": True}, []),
        ({"EMAIL_USE_TLS": False, "EMAIL_HOST": "127.0.0.1"}, []),
        ({"EMAIL_USE_TLS": False, "EMAIL_HOST_PASSWORD": ""}, []),
        ({"WEB_CLIENT": False}, ["chats.W015"]),
        ({"ALLOWED_HOSTS": ["*", ".chat.example"]}, ["chats.W015"]),
        ({"WEB_CLIENT": False, "PASSWORD_RESET_URL": ELSEWHERE}, []),
    ],
)
def test_mail_that_cannot_work_warns(mail_settings, changed, expected):
    for name, value in changed.items():
        setattr(mail_settings, name, value)
    assert ids(mail_checks.check_email(None)) == expected


def test_mail_is_the_deployment_checks_matter(mail_settings):
    mail_settings.EMAIL_BACKEND = backend("console")
    assert "chats.W004" in ids(run_checks(include_deployment_checks=True))
    assert "chats.W004" not in ids(run_checks())


# --- What the database is -------------------------------------------------------


@pytest.fixture
def other_database() -> Iterator[Callable[[str], None]]:
    """Return a function that has the checks look at a new, empty database, made with
    these options of CREATE DATABASE."""
    name = f"{connection.settings_dict['NAME']}_other"
    usual = connection.settings_dict["NAME"]

    def execute(statement: str) -> None:
        with connection._nodb_cursor() as cursor:
            cursor.execute(statement)

    def make(options: str) -> None:
        execute(f'CREATE DATABASE "{name}" TEMPLATE template0 {options}')
        connection.close()
        connection.settings_dict["NAME"] = name

    yield make
    connection.close()
    connection.settings_dict["NAME"] = usual
    execute(f'DROP DATABASE IF EXISTS "{name}"')


ICU = "ENCODING UTF8 LOCALE 'C' LOCALE_PROVIDER icu ICU_LOCALE 'und'"


@on_postgresql
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    ("options", "found", "said"),
    [
        ("ENCODING LATIN1 LOCALE 'C'", "chats.E001", "encoding is LATIN1"),
        ("ENCODING SQL_ASCII LOCALE 'C'", "chats.E001", "encoding is SQL_ASCII"),
        ("ENCODING UTF8 LOCALE 'C'", "chats.W006", "only for the letters A to Z"),
        (ICU, "chats.W006", "only for words of A to Z and digits"),
    ],
)
def test_encodings_and_locales_that_lose_text(other_database, options, found, said):
    other_database(options)
    [message] = database_checks.check_encoding(None, ["default"])
    assert message.id == found
    assert said in message.msg


@on_postgresql
@pytest.mark.django_db(transaction=True)
def test_encoding_that_loses_text_stops_migrate(other_database):
    other_database("ENCODING LATIN1 LOCALE 'C'")
    with pytest.raises(SystemCheckError, match=r"chats\.E001"):
        call_command("migrate", verbosity=0, skip_checks=False, stderr=StringIO())


@pytest.mark.django_db(transaction=True)
def test_right_database_has_no_findings():
    found = run_checks(tags=[Tags.database], databases=["default"])
    assert [message for message in found if message.id != "chats.W003"] == []


@on_postgresql
@pytest.mark.django_db
def test_sessions_without_limits_warn():
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL lock_timeout = 0")
    [warning] = database_checks.check_limits(None, ["default"])
    assert (warning.id, warning.msg.split(":")[0]) == (
        "chats.W009",
        "Database sessions have no lock_timeout",
    )


@on_postgresql
@pytest.mark.django_db
def test_direct_address_of_another_database_warns(settings):
    usual = database_url()
    settings.DATABASE_DIRECT_URL = usual
    assert database_checks.check_direct_address(None, ["default"]) == []
    settings.DATABASE_DIRECT_URL = f"{usual.rpartition('/')[0]}/postgres"
    assert ids(database_checks.check_direct_address(None, ["default"])) == [
        "chats.W008"
    ]
    settings.DATABASE_DIRECT_URL = "postgres://127.0.0.1:1/postgres"
    assert ids(database_checks.check_direct_address(None, ["default"])) == [
        "chats.W008"
    ]


@pytest.mark.skipif(connection.vendor != "sqlite", reason="SQLite's file")
@pytest.mark.django_db(transaction=True)
def test_file_that_everybody_can_read_warns():
    file = Path(connection.settings_dict["NAME"])
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    file.chmod(0o644)
    found = ids(database_checks.check_file_mode(None, ["default"]))
    file.chmod(0o640)
    then = ids(database_checks.check_file_mode(None, ["default"]))
    file.chmod(0o600)
    assert (found, then) == (["chats.W010"], [])


@pytest.mark.skipif(connection.vendor != "sqlite", reason="SQLite's file")
@pytest.mark.django_db
def test_new_file_and_what_is_beside_it_are_private(tmp_path):
    before = os.umask(0o022)
    try:
        database = DatabaseWrapper(
            connection.settings_dict | {"NAME": tmp_path / "new.sqlite3"}, "new"
        )
        with database.cursor() as cursor:
            cursor.execute("CREATE TABLE one (two)")
        modes = {
            file.name: stat.S_IMODE(file.stat().st_mode) for file in tmp_path.iterdir()
        }
        database.close()
    finally:
        os.umask(before)
    names = ("new.sqlite3", "new.sqlite3-shm", "new.sqlite3-wal")
    assert modes == dict.fromkeys(names, 0o600)


@pytest.mark.django_db
def test_accounts_that_the_demos_password_opens_warn(alice, settings):
    def found() -> list[str]:
        every = run_checks(databases=["default"], include_deployment_checks=True)
        return [warning.msg for warning in every if warning.id == "chats.W011"]

    assert found() == []
    powers = {"is_superuser": True, "role": User.Role.ADMIN}
    root = UserFactory(username="root", password=DEMO, **powers)
    UserFactory(username="dora", email="dora@demo.example", password=DEMO)
    UserFactory(username="gone", is_active=False, password=DEMO, **powers)
    UserFactory(username="safe", **powers)
    [said] = found()
    assert said.endswith("have the public demo password: root, dora.")
    root.set_password("something else, and long")
    root.save()
    assert [said.split()[-1] for said in found()] == ["dora."]
    assert "chats.W011" not in ids(run_checks(databases=["default"]))


@pytest.mark.django_db(transaction=True)
def test_findings_are_logged_at_the_start(caplog, settings):
    finding = checks_of_django.Warning("Something is odd.", hint="Mend it.", id="x.W1")
    registry.register(lambda app_configs, **kwargs: [finding], Tags.database)
    try:
        database_checks.log_findings()
    finally:
        registry.registered_checks = {
            check
            for check in registry.registered_checks
            if check.__name__ != "<lambda>"
        }
    lines = [record.getMessage() for record in caplog.records]
    assert "x.W1: Something is odd. Mend it." in lines
