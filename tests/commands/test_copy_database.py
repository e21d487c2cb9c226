"""``manage.py copy_database``: all rows arrive as they were, or none does."""

import json
import os
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from django.conf import settings
from django.contrib.auth.models import Permission
from django.core.management import CommandError, call_command
from rest_framework.test import APIClient

from chats.management.copying import SOURCE, connected, copied_models
from chats.models import Conversation, Event, EventLog, Message, User
from chats.realtime import cursors
from tests.support.databases import on_postgresql
from tests.support.factories import UserFactory, send
from tests.support.servers import database_url

pytestmark = pytest.mark.django_db(transaction=True)
SIGN_IN = """
import json
from django.contrib.auth.models import Group, Permission
from django.test import Client
from chats.models import AccessToken, Event, User
alice = User.objects.get(username="alice")
group = Group.objects.create(name="Readers")
group.permissions.add(Permission.objects.get(codename="read_message_body"))
alice.groups.add(group)
client = Client(); client.force_login(alice)
print(json.dumps({
    "token": AccessToken.objects.issue(alice, "test", None)[1],
    "session": client.cookies["sessionid"].value,
    "cursor": f"1-{Event.objects.last_id()}",
}))
"""


def manage(file: Path, *arguments: str) -> str:
    """Run a command on the SQLite file, with the tests' SECRET_KEY."""
    done = subprocess.run(
        [sys.executable, "manage.py", *arguments],
        cwd=settings.BASE_DIR,
        env=os.environ
        | {
            "DJANGO_SETTINGS_MODULE": "messaging_app.settings",
            "DATABASE_URL": f"sqlite:///{file}",
            "SECRET_KEY": settings.SECRET_KEY,
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def origin(tmp_path_factory) -> tuple[Path, dict]:
    """An SQLite database with the demo's people, and how alice is signed in there."""
    file = tmp_path_factory.mktemp("origin") / "db.sqlite3"
    manage(file, "migrate", "--verbosity", "0")
    manage(file, "seed_demo")
    return file, json.loads(manage(file, "shell", "--no-imports", "-c", SIGN_IN))


@pytest.fixture
def source(origin, tmp_path) -> Path:
    """A copy of it, to be changed."""
    return shutil.copy(origin[0], tmp_path / "source.sqlite3")


def change(file: Path, *statements: str) -> None:
    with closing(sqlite3.connect(file)) as database:
        for statement in statements:
            database.execute(statement)
        database.commit()


def copy(file: Path) -> None:
    call_command("copy_database", source=f"sqlite:///{file}", verbosity=0)


def rows_of(alias: str) -> dict[str, set]:
    """Return every row of every table, but for the log's identity."""
    return {
        model._meta.db_table: set(model._base_manager.using(alias).values_list())
        for model in copied_models()
        if model is not EventLog
    }


def assert_untouched() -> None:
    assert not User.objects.exists()
    assert not Message.objects.exists()
    assert Permission.objects.exists()


# --- A copy ---------------------------------------------------------------------


def test_every_row_arrives_as_it_was(source, capsys):
    copy(source)
    said = capsys.readouterr().out
    with connected(f"sqlite:///{source}"):
        expected = rows_of(SOURCE)
        assert rows_of("default") == expected
    assert {name for name, rows in expected.items() if not rows} == {
        "django_admin_log",
        "django_session",
        "chats_pastparticipant",
        "chats_startedconversation",
        "chats_hourlycount",
        "chats_signinattempts",
        "chats_user_user_permissions",
    }
    total = sum(len(rows) for rows in expected.values())
    assert said == f"{total} rows of {len(expected) + 1} tables copied and compared.\n"
    call_command("doctor", verbosity=0)


def test_people_stay_signed_in_and_their_cursors_are_void_once(source, origin):
    copy(source)
    cursors._log_identity = ""
    by_token, by_session = APIClient(), APIClient()
    by_token.credentials(HTTP_AUTHORIZATION=f"Token {origin[1]['token']}")
    by_session.cookies["sessionid"] = origin[1]["session"]
    for client in (by_token, by_session):
        assert client.get("/api/users/me/").json()["username"] == "alice"
    old = by_token.get("/api/events/", {"after": origin[1]["cursor"]})
    assert (old.status_code, old.json()["code"]) == (410, "gone")
    now = by_token.get("/api/events/").json()["cursor"]
    assert by_token.get("/api/events/", {"after": now}).status_code == 200


def test_life_goes_on(source):
    copy(source)
    conversation = Conversation.objects.order_by("pk").first()
    last_id, last_seq = Event.objects.last_id(), conversation.last_seq
    message = send(conversation.owner, conversation, "On another database")
    assert message.seq == last_seq + 1
    assert Event.objects.last_id() == last_id + 1
    UserFactory(username="newcomer")
    call_command("doctor", verbosity=0)


def test_numbers_of_deleted_events_are_not_given_again(source):
    with closing(sqlite3.connect(source)) as database:
        [last] = database.execute("SELECT max(event_id) FROM chats_event").fetchone()
    change(
        source,
        "DELETE FROM chats_event",
        "INSERT OR REPLACE INTO chats_eventlog (id, identity, pruned_through_id)"
        f" VALUES (1, '1', {last - 1})",
    )
    copy(source)
    conversation = Conversation.objects.order_by("pk").first()
    send(conversation.owner, conversation, "First of a new log")
    assert list(Event.objects.values_list("event_id", flat=True)) == [last + 1]


def test_copy_may_go_back(source, tmp_path):
    copy(source)
    back = tmp_path / "back.sqlite3"
    manage(back, "migrate", "--verbosity", "0")
    manage(back, "copy_database", "--verbosity", "0", "--from", database_url())
    with connected(f"sqlite:///{back}"):
        assert rows_of(SOURCE) == rows_of("default")
    assert "no problems" in manage(back, "doctor", "--verbosity", "0")


# --- No copy --------------------------------------------------------------------


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM django_migrations WHERE id ="
        " (SELECT max(id) FROM django_migrations WHERE app = 'chats')",
        "INSERT INTO django_migrations (app, name, applied) VALUES ('chats', 'x', '')",
    ],
)
def test_source_of_another_release_is_refused(source, statement):
    change(source, statement)
    with pytest.raises(CommandError) as refused:
        copy(source)
    assert str(refused.value) == (
        "Nothing was copied. The source's schema is not the one of this release: run "
        "`manage.py migrate` on it first."
    )
    assert_untouched()


def test_target_with_rows_is_refused(source, alice):
    with pytest.raises(CommandError, match="The target is not empty"):
        copy(source)
    assert list(User.objects.all()) == [alice]


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        (
            "sqlite:////nowhere/db.sqlite3",
            "The file /nowhere/db.sqlite3 does not exist.",
        ),
        ("mysql://here/chats", "--from must be a URL, in the form of DATABASE_URL."),
        (
            "postgres://here:port/chats",
            "--from must be a URL, in the form of DATABASE_URL.",
        ),
        ("nonsense", "--from must be a URL, in the form of DATABASE_URL."),
        ("sqlite://:memory:", "The file :memory: does not exist."),
    ],
)
def test_source_that_is_none_is_refused(url, reason):
    with pytest.raises(CommandError) as refused:
        call_command("copy_database", source=url, verbosity=0)
    assert str(refused.value) == f"Nothing was copied. {reason}"


def test_copy_that_fails_leaves_nothing(source):
    """Messages of no conversation, as stored past the constraints of SQLite."""
    change(
        source,
        f"UPDATE chats_message SET conversation_id = '{'0' * 32}'"
        " WHERE message_id = (SELECT max(message_id) FROM chats_message)",
    )
    with pytest.raises(CommandError, match="Nothing was copied"):
        copy(source)
    assert_untouched()


@on_postgresql
@pytest.mark.parametrize(
    ("change_to", "reason"),
    [
        (
            "UPDATE chats_user SET first_name = 'a' || char(0) WHERE username = 'bob'",
            "contains a NUL, which PostgreSQL cannot store",
        ),
        (
            "UPDATE chats_user SET first_name = hex(zeroblob(200))"
            " WHERE username = 'bob'",
            "value too long for type character varying",
        ),
    ],
)
def test_what_the_target_cannot_hold_is_named(source, change_to, reason):
    change(source, change_to)
    with pytest.raises(CommandError, match=reason):
        copy(source)
    assert_untouched()
