"""Leaving with one's data; taking a conversation out and putting it back."""

import json
import re
from datetime import timedelta
from io import StringIO
from itertools import chain
from pathlib import Path
from typing import Any

import pytest
import time_machine
from django.core.management import CommandError, call_command
from django.db import connection
from django.test import Client
from django.utils import timezone

from chats.api.views import export
from chats.db.uuids import uuid7
from chats.models import (
    AccessToken,
    AuditEntry,
    Conversation,
    Event,
    Message,
    Participant,
    User,
    UserSession,
)
from chats.services.conversations import (
    add_participant,
    delete_conversation,
    remove_participant,
)
from chats.services.messages import (
    delete_message,
    edit_message,
    mark_as_read,
    send_message,
)
from chats.services.users import delete_user
from tests.support.exports import lines_of, put_back, taken_out
from tests.support.factories import UserFactory, start

URL = "/api/users/me/export/"


@pytest.fixture
def lived_in(alice, bob, conversation) -> Conversation:
    """A conversation with an edit, a tombstone, a client_id and read cursors."""
    for number in range(1, 6):
        send_message(
            (alice, bob)[number % 2],
            conversation.pk,
            message_body=f"Number {number}\nünï",
            client_id=uuid7(),
        )
    messages = list(conversation.messages.order_by("seq"))
    edit_message(bob, messages[0].pk, message_body="Edited")
    delete_message(alice, messages[1].pk)
    mark_as_read(alice, messages[3].pk)
    conversation.refresh_from_db()
    return conversation


# --- One's own data -------------------------------------------------------------


@pytest.fixture
def signed_in_alice(alice) -> Client:
    client = Client()
    client.force_login(alice)
    return client


def of_type(lines: list[dict], kind: str) -> list[dict]:
    return [line for line in lines if line["type"] == kind]


def test_export_has_all_that_is_mine_and_nothing_else(
    signed_in_alice, as_alice, alice, bob, mallory, lived_in
):
    token, _ = AccessToken.objects.issue(alice, "laptop", None)
    send_message(mallory, start(mallory, bob).pk, message_body="Not for alice")

    now = timezone.now()
    with time_machine.travel(now, tick=False):
        response = signed_in_alice.get(URL)
        lines = lines_of(response)

    assert response.headers["Content-Type"] == "application/x-ndjson"
    assert response.headers["Content-Disposition"] == (
        f'attachment; filename="messaging-{now.date()}.ndjson"'
    )
    assert [line["type"] for line in lines] == (
        ["export", "user", "token", "session", "conversation"]
        + ["participant"] * 2
        + ["message"] * 5
        + ["end"]
    )
    me = as_alice.get("/api/users/me/").json()
    assert of_type(lines, "user") == [{"type": "user", **me}]
    assert of_type(lines, "token")[0]["token_id"] == str(token.pk)
    assert "digest" not in of_type(lines, "token")[0]
    asked = {"ordering": "seq", "conversation_id": lived_in.pk}
    page = as_alice.get("/api/messages/", asked)
    shown = [{"type": "message", **message} for message in page.json()["results"]]
    assert of_type(lines, "message") == shown


def test_export_has_sessions_as_the_list_of_them_has(signed_in_alice, as_alice, bob):
    Client().force_login(bob)

    lines = of_type(lines_of(signed_in_alice.get(URL)), "session")

    (shown,) = (
        item
        for item in as_alice.get("/api/auth/sessions/").json()["results"]
        if item.pop("kind") == "session"
    )
    assert shown.pop("is_current") is False
    assert lines == [{"type": "session", **shown}]


def test_export_leaves_out_sessions_that_have_run_out(signed_in_alice, alice):
    ended = timezone.now() - timedelta(seconds=1)
    UserSession.objects.create(session_key="k", user=alice, expire_date=ended)

    assert len(of_type(lines_of(signed_in_alice.get(URL)), "session")) == 1


def test_export_is_recorded_as_of_its_person(signed_in_alice, alice):
    lines_of(signed_in_alice.get(URL))

    deed = AuditEntry.objects.get()
    assert (deed.action, deed.actor_id, deed.user_id) == (
        "user.exported",
        alice.pk,
        alice.pk,
    )


def test_export_has_each_message_in_its_conversation(signed_in_alice, alice, lived_in):
    other = start(alice)
    send_message(alice, other.pk, message_body="Elsewhere")

    lines = of_type(lines_of(signed_in_alice.get(URL)), "message")

    told = [(line["conversation"], line["seq"]) for line in lines]
    assert told == [*((str(lived_in.pk), n) for n in range(1, 6)), (str(other.pk), 1)]


def test_export_goes_on_over_chunks(signed_in_alice, alice, lived_in, monkeypatch):
    monkeypatch.setattr(export, "CHUNK", 2)
    for _ in range(4):
        start(alice)

    lines = lines_of(signed_in_alice.get(URL))

    assert [message["seq"] for message in of_type(lines, "message")] == [1, 2, 3, 4, 5]
    assert len(of_type(lines, "conversation")) == 5
    assert len(of_type(lines, "participant")) == 6


def test_export_leaves_out_what_arrives_meanwhile(signed_in_alice, bob, lived_in):
    answer = signed_in_alice.get(URL).streaming_content
    begun = []
    for line in answer:
        begun.append(json.loads(line))
        if begun[-1]["type"] == "conversation":
            break
    send_message(bob, lived_in.pk, message_body="Late")

    lines = begun + [json.loads(line) for line in answer]

    assert of_type(lines, "conversation")[0]["last_seq"] == 5
    assert len(of_type(lines, "message")) == 5
    assert lines[-1] == {"type": "end"}


def test_export_stops_at_ones_removal(alice, bob, lived_in, monkeypatch):
    monkeypatch.setattr(export, "CHUNK", 2)
    client = Client()
    client.force_login(bob)
    lines = (json.loads(line) for line in client.get(URL).streaming_content)
    first = next(line for line in lines if line["type"] == "message")
    remove_participant(alice, lived_in.pk, user_id=bob.pk)

    rest = [line for line in lines if line["type"] == "message"]

    assert [first["seq"], *(line["seq"] for line in rest)] == [1, 2]


def test_export_ends_unfinished_with_the_session(signed_in_alice, lived_in):
    answer = signed_in_alice.get(URL).streaming_content
    next(answer)
    signed_in_alice.logout()

    kinds = {json.loads(line)["type"] for line in answer}

    assert kinds == {"user"}  # a session is told of only while there is one


def test_export_is_for_the_signed_in(anonymous, db):
    assert anonymous.get(URL).status_code == 401


def test_export_is_throttled_and_recorded(signed_in_alice, alice, settings):
    settings.THROTTLE_RATES = settings.THROTTLE_RATES | {"export": (1, 3600)}

    assert [signed_in_alice.get(URL).status_code for _ in range(2)] == [200, 429]
    assert AuditEntry.objects.get().action == "user.exported"


def test_export_asked_for_by_head_is_none(signed_in_alice):
    response = signed_in_alice.head(URL)

    assert (response.status_code, response.getvalue()) == (200, b"")
    assert not AuditEntry.objects.exists()


# --- A conversation out and back ------------------------------------------------


def database() -> dict[str, list[dict]]:
    """Everything a conversation is, but for what a new insertion must choose."""
    chosen = {"id", "first_event_id"}
    kept = {}
    for model in (User, Conversation, Participant, Message):
        # In the order in which they joined: the only thing their ids say.
        order = ["conversation_id", "id"] if model is Participant else ["pk"]
        rows = model.objects.order_by(*order).values()
        kept[model.__name__] = [
            {key: row[key] for key in row.keys() - chosen} for row in rows
        ]
    return kept


def test_conversation_comes_back_as_it_was(alice, lived_in, tmp_path):
    send_message(alice, start(alice).pk, message_body="Elsewhere")
    before = database()
    file = taken_out(lived_in, tmp_path)
    delete_conversation(alice, lived_in.pk)
    assert database() != before

    said = put_back(file)

    assert database() == before
    assert said == (
        f"Conversation {lived_in.pk}: 5 messages, 2 participants; 0 users created.\n"
    )
    call_command("doctor", verbosity=0, stdout=StringIO())
    assert Event.objects.last().type == "conversation.created"
    assert (
        list(lived_in.participations.values_list("first_event_id", flat=True))
        == [Event.objects.last_id()] * 2
    )


@pytest.mark.parametrize("is_older", [False, True])
def test_newcomer_comes_back_as_one(is_older, alice, mallory, lived_in, tmp_path):
    """Also from a file of a release that had no joined_seq."""
    add_participant(alice, lived_in.pk, user_id=mallory.pk)
    send_message(alice, lived_in.pk, message_body="Welcome")
    before = database()
    file = taken_out(lived_in, tmp_path)
    if is_older:
        text = file.read_text()
        file.write_text(re.sub(r'"joined_seq": ?\d+, ?', "", text))
        assert file.read_text() != text
    delete_conversation(alice, lived_in.pk)

    put_back(file)

    assert database() == before
    seqs = lived_in.participations.order_by("id").values_list("joined_seq", flat=True)
    assert list(seqs) == [0, 0, 5]


def test_conversation_without_messages_comes_back(alice, conversation, tmp_path):
    before = database()
    file = taken_out(conversation, tmp_path)
    delete_conversation(alice, conversation.pk)

    put_back(file)

    assert database() == before


def test_followers_see_an_import_and_can_go_on(alice, as_bob, lived_in, tmp_path):
    file = taken_out(lived_in, tmp_path)
    delete_conversation(alice, lived_in.pk)
    cursor = as_bob.get("/api/events/").json()["cursor"]

    put_back(file)
    message, _ = send_message(alice, lived_in.pk, message_body="Again")

    events = as_bob.get("/api/events/", {"after": cursor}).json()["events"]
    assert [event["type"] for event in events] == [
        "conversation.created",
        "message.created",
    ]
    assert message.seq == 6


def test_import_of_what_is_there_changes_nothing(lived_in, tmp_path):
    file = taken_out(lived_in, tmp_path)
    before = database()

    with pytest.raises(CommandError, match="already exists"):
        put_back(file)

    assert database() == before


def elsewhere(file: Path) -> Path:
    """Rewrite an export as if from another installation: other ids throughout."""
    text = file.read_text()
    ids = {str(pk) for pk in User.objects.values_list("pk", flat=True)}
    ids |= {str(pk) for pk in Conversation.objects.values_list("pk", flat=True)}
    ids |= {str(pk) for pk in Message.objects.values_list("pk", flat=True)}
    for old in ids:
        text = text.replace(old, str(uuid7()))
    file.write_text(text)
    return file


def test_missing_people_are_created_only_if_asked_for(lived_in, tmp_path):
    file = elsewhere(taken_out(lived_in, tmp_path))
    before = database()

    with pytest.raises(CommandError, match="2 people do not exist here"):
        put_back(file)
    assert database() == before
    put_back(file, create_missing=True)

    strangers = User.objects.filter(username__startswith="imported-")
    assert {person.first_name for person in strangers} == {"Alice", "Bob"}
    assert {person.is_active for person in strangers} == {False}
    assert not strangers[0].has_usable_password()
    call_command("doctor", verbosity=0, stdout=StringIO())


def test_who_was_deleted_since_does_not_come_back(alice, bob, lived_in, tmp_path):
    file = taken_out(lived_in, tmp_path)
    delete_conversation(alice, lived_in.pk)
    delete_user(alice, actor=alice)

    put_back(file)

    lived_in.refresh_from_db()
    assert (lived_in.owner_id, lived_in.participant_count) == (bob.pk, 1)
    call_command("doctor", verbosity=0, stdout=StringIO())


def drop(kind: str, place: int = 0):
    def change(lines: list[dict]) -> list[dict]:
        lines.remove([line for line in lines if line["type"] == kind][place])
        return lines

    return change


def set_value(kind: str, field: str, value: Any):
    def change(lines: list[dict]) -> list[dict]:
        next(line for line in lines if line["type"] == kind)[field] = value
        return lines

    return change


@pytest.mark.parametrize(
    "change",
    [
        drop("conversation"),
        drop("person"),
        drop("message"),
        drop("message", 2),
        drop("message", -1),
        drop("end"),
        lambda lines: [],
        lambda lines: ["text"],
        lambda lines: [*lines[:-1], lines[-2], lines[-1]],
        set_value("conversation", "format", 2),
        set_value("conversation", "last_seq", 4),
        set_value("participant", "last_read_seq", 6),
        set_value("participant", "last_read_seq", None),
        set_value("participant", "joined_seq", 6),
        set_value("participant", "joined_seq", -1),
        set_value("participant", "joined_seq", None),
        set_value("message", "message_body", ""),
        set_value("message", "message_body", "x" * 10_001),
        set_value("message", "sent_at", "yesterday"),
        set_value("message", "sent_at", None),
        set_value("message", "message_id", "1"),
        set_value("message", "message_id", None),
        set_value("message", "message_body", ["a"]),
        set_value("message", "message_body", "a\0b"),
        set_value("message", "message_body", "\ud800"),
        set_value("message", "sent_at", 5),
        set_value("message", "sent_at", "2026-01-01T00:00:00"),
        set_value("message", "seq", 10**30),
        set_value("conversation", "last_seq", None),
        set_value("conversation", "title", None),
        set_value("person", "user_id", None),
    ],
)
def test_wrong_file_is_refused_whole(change, alice, lived_in, tmp_path):
    file = taken_out(lived_in, tmp_path)
    delete_conversation(alice, lived_in.pk)
    before = database(), Event.objects.count()
    lines = change([json.loads(line) for line in file.read_text().splitlines()])
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))

    with pytest.raises(CommandError):
        put_back(file)

    assert (database(), Event.objects.count()) == before


def test_export_of_nothing_leaves_no_file(db, tmp_path):
    file = tmp_path / "none.ndjson"

    with pytest.raises(CommandError, match="This conversation does not exist"):
        call_command("export_conversation", str(uuid7()), output=file, verbosity=0)

    assert not file.exists()


def test_export_does_not_overwrite(lived_in, tmp_path):
    file = taken_out(lived_in, tmp_path)
    before = file.read_text()

    with pytest.raises(CommandError, match="exists"):
        taken_out(lived_in, tmp_path)

    assert file.read_text() == before


@pytest.mark.django_db(transaction=True)
def test_export_to_standard_output_reads_one_state(tmp_path):
    alice = UserFactory()
    place = start(alice)
    send_message(alice, place.pk, message_body="Hello")
    out = StringIO()

    call_command("export_conversation", str(place.pk), stdout=out, verbosity=0)

    kinds = [json.loads(line)["type"] for line in out.getvalue().splitlines()]
    assert kinds == ["conversation", "person", "participant", "message", "end"]
    assert not connection.in_atomic_block
    assert list(chain(AuditEntry.objects.values_list("action", flat=True))) == [
        "conversation.exported"
    ]
