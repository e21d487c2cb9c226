"""Files of conversations: what a wrong one is told, and how one is written."""

import json
import subprocess
import sys
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError

from chats.db.uuids import uuid7
from chats.models import Conversation, Event, Message, User
from chats.models.conversations import END_OF_TIME
from chats.services import transfer
from chats.services.conversations import delete_conversation
from chats.services.messages import send_message
from chats.services.transfer_lines import MOST_BYTES
from tests.support.browser import migrated, options_for
from tests.support.factories import start

LAST_MOMENT = "9999-12-31T23:59:59.999999Z"


@pytest.fixture
def lines(alice, bob, conversation, tmp_path) -> list[dict]:
    """The lines of a conversation of three messages, which is gone: first the
    conversation, two people, two participants, three messages, the end."""
    for body in ("One", "Two", "Three"):
        send_message(alice, conversation.pk, message_body=body)
    file = tmp_path / "whole.ndjson"
    call_command("export_conversation", str(conversation.pk), output=file, verbosity=0)
    delete_conversation(alice, conversation.pk)
    return [json.loads(line) for line in file.read_text().splitlines()]


def refusal(file: Path, text: bytes) -> str:
    """Return what the import of a file says; it must store nothing."""
    file.write_bytes(text)
    counted = (User, Conversation, Message, Event)
    before = [model.objects.count() for model in counted]
    with pytest.raises(CommandError) as refused:
        call_command("import_conversation", file, create_missing=True, verbosity=0)
    assert [model.objects.count() for model in counted] == before
    return str(refused.value)


def written(lines: list[dict]) -> bytes:
    return "".join(json.dumps(line) + "\n" for line in lines).encode()


@pytest.mark.parametrize(
    ("place", "field", "value", "said"),
    [
        (0, "conversation_id", None, "is missing."),
        (0, "conversation_id", 5, "has the wrong type."),
        (0, "conversation_id", "x", "“x” is not a valid UUID."),
        (0, "title", {"a": 1}, "has the wrong type."),
        (0, "title", "a\0b", "contains a NUL character."),
        (0, "title", "\ud800", "contains half a character."),
        (0, "last_seq", True, "has the wrong type."),
        (0, "last_seq", 3.0, "has the wrong type."),
        (0, "last_seq", 10**20, "Ensure this value is less than or equal to"),
        (0, "last_seq", -1, "Ensure this value is greater than or equal to 0."),
        (0, "created_at", "9999-12-31T23:59:59-23:59", "is not a possible date."),
        (0, "created_at", "0001-01-01T00:00:00+23:59", "is not a possible date."),
        (0, "created_at", "2026-01-01T00:00:00", "has no time zone."),
        (0, "updated_at", LAST_MOMENT, "is in the future."),
        (0, "updated_at", "2020-01-01T00:00:00Z", "is before the last message."),
        (1, "user_id", "x", "“x” is not a valid UUID."),
        (3, "joined_at", LAST_MOMENT, "is in the future."),
        (3, "last_read_seq", "1", "has the wrong type."),
        (5, "seq", 2, "is out of order."),
        (
            6,
            "sent_at",
            "2020-01-01T00:00:00Z",
            "is earlier than in the previous message.",
        ),
        (6, "edited_at", LAST_MOMENT, "is in the future."),
        (6, "message_body", ["x"], "has the wrong type."),
        (7, "client_id", 5, "has the wrong type."),
        (7, "sent_at", LAST_MOMENT, "is in the future."),
    ],
)
def test_import_names_line_and_field_at_fault(
    place, field, value, said, lines, tmp_path
):
    lines[place][field] = value

    told = refusal(tmp_path / "wrong.ndjson", written(lines))

    assert told.startswith(f"Line {place + 1}, {field}: {said}")
    assert "\n" not in told


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (b"", "The file has no line of type conversation."),
        (b"{", "Line 1 is not valid JSON."),
        (b"\xff", "Line 1 is not valid JSON."),
        (b"[" * 200_000, "Line 1 is not valid JSON."),
        (b'{"a":' * 50_000, "Line 1 is not valid JSON."),
        (
            b'{"type": "conversation", "last_seq": Infinity}',
            "Line 1 is not valid JSON.",
        ),
        (b'{"type": "conversation", "last_seq": NaN}', "Line 1 is not valid JSON."),
        (b'{"last_seq": ' + b"9" * 5000 + b"}", "Line 1 is not valid JSON."),
        (b"[]", "Line 1 is not an object."),
        (b"x" * (MOST_BYTES + 1), f"Line 1 is longer than {MOST_BYTES} bytes."),
        (b'{"type": ["conversation"]}', "The file has no line of type conversation."),
    ],
    ids=lambda value: str(value[:30]),
)
def test_import_refuses_what_is_no_line(text, said, db, tmp_path):
    assert refusal(tmp_path / "wrong.ndjson", text) == said


def test_import_refuses_whatever_number_overflows(lines, tmp_path):
    text = written(lines).replace(b'"seq": 2', b'"seq": 1e999')

    told = refusal(tmp_path / "wrong.ndjson", text)

    assert told == "Line 7, seq: has the wrong type."


@pytest.mark.parametrize("more", [{"type": "end"}, {"type": "message"}, {}])
def test_import_refuses_lines_after_the_end(more, lines, tmp_path):
    told = refusal(tmp_path / "wrong.ndjson", written([*lines, more]))

    assert told == "The file is incomplete."


def test_import_refuses_more_people_than_it_holds(lines, tmp_path, monkeypatch):
    monkeypatch.setattr(transfer, "MOST_PEOPLE", 1)

    told = refusal(tmp_path / "wrong.ndjson", written(lines))

    assert told == "Line 3, type: there can be at most 1 lines of type person."


def test_import_takes_the_longest_body(alice, lines, tmp_path):
    lines[5]["message_body"] = "\U0001f600" * 10_000
    file = tmp_path / "long.ndjson"
    file.write_bytes(written(lines))

    call_command("import_conversation", file, verbosity=0, stdout=StringIO())

    assert Message.objects.get(seq=1).message_body == "\U0001f600" * 10_000


# --- What is written --------------------------------------------------------------


def test_export_to_an_ascii_terminal_is_whole(tmp_path):
    (tmp_path / "scratch.sqlite3").write_bytes(migrated())
    options = options_for(tmp_path)
    options["env"] |= {"PYTHONIOENCODING": "ascii", "LC_ALL": "C", "PYTHONUTF8": "0"}
    code = (
        "import django, sys; django.setup()\n"
        "from django.core.management import call_command\n"
        "from tests.support.factories import UserFactory, start\n"
        "alice = UserFactory(first_name='\\u00c5sa')\n"
        "place = start(alice, title='\\u041f\\u043b\\u0430\\u043d\\u044b')\n"
        "call_command('export_conversation', str(place.pk), verbosity=0)\n"
    )

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, **options)

    assert done.stderr == b""
    first, person, *_, last = done.stdout.decode().splitlines()
    assert json.loads(first)["title"] == "Планы"
    assert json.loads(person)["first_name"] == "Åsa"
    assert json.loads(last) == {"type": "end"}


def test_export_that_breaks_off_leaves_no_file(alice, tmp_path):
    place = start(alice)
    folder = tmp_path / "out"
    folder.mkdir()

    with pytest.raises(CommandError):
        call_command("export_conversation", str(uuid7()), output=folder / "a")
    with pytest.raises(CommandError):
        call_command("export_conversation", str(place.pk), output=folder / "no" / "a")

    assert list(folder.iterdir()) == []


# --- Times that a wrong clock has stored ------------------------------------------


@pytest.fixture
def at_the_end(alice, conversation) -> Conversation:
    """A conversation whose times have reached the end of the calendar."""
    send_message(alice, conversation.pk, message_body="Before")
    Conversation.objects.update(updated_at=END_OF_TIME)
    Message.objects.update(sent_at=END_OF_TIME)
    return conversation


def test_send_at_the_end_of_the_calendar_is_stored(at_the_end, as_alice, as_bob):
    body = {"conversation": str(at_the_end.pk), "message_body": "Hello"}

    sent = [as_alice.post("/api/messages/", body) for _ in range(2)]

    assert [answer.status_code for answer in sent] == [201, 201]
    assert [answer.json()["seq"] for answer in sent] == [2, 3]
    assert {answer.json()["sent_at"] for answer in sent} == {LAST_MOMENT}


@pytest.mark.parametrize(
    "path",
    [
        "/api/conversations/",
        "/api/conversations/{0}/",
        "/api/messages/?conversation={0}",
        "/api/messages/?conversation={0}&search=Before",
        "/api/events/",
        "/api/users/me/export/",
    ],
)
def test_pages_at_the_end_of_the_calendar_are_answered(path, at_the_end, as_bob):
    answer = as_bob.get(path.format(at_the_end.pk))

    assert answer.status_code == 200


def test_conversation_at_the_end_of_the_calendar_is_changed(at_the_end, as_alice):
    url = f"/api/conversations/{at_the_end.pk}/"

    renamed = as_alice.patch(url, {"title": "Later"})
    whole = {"conversation_id": str(at_the_end.pk)}
    read = as_alice.post("/api/messages/mark_conversation_as_read/", whole)

    assert (renamed.status_code, read.status_code) == (200, 200)
