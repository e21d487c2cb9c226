"""Lists of the admin as CSV: what is in them, for whom, and what is recorded."""

import csv
from datetime import UTC, datetime
from uuid import UUID

import pytest
import time_machine
from django.contrib.auth.models import Permission

from chats.admin import exports
from chats.admin.exports import cell, lines_of
from chats.admin.messages import runs_of
from chats.models import AuditEntry, User
from chats.services.audit import joined
from chats.services.messages import send_message
from chats.services.staff import redact_message
from tests.support.admin import deeds, list_of, signed_in
from tests.support.factories import UserFactory

SECRET = "=cmd|'/c calc'!A1"


def clerk_who_may(*codenames: str) -> User:
    clerk = UserFactory(username="clerk", is_staff=True)
    clerk.user_permissions.set(Permission.objects.filter(codename__in=codenames))
    return clerk


def export(staff: User, model: str, *rows, **asked):
    keys = [row.pk for row in rows]
    data = {"action": "export_selected", "_selected_action": keys, **asked}
    return signed_in(staff).post(list_of(model), data)


def table(response) -> list[dict[str, str]]:
    return list(csv.DictReader(response.getvalue().decode().splitlines()))


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("=1+1", "'=1+1"),
        ("+1", "'+1"),
        ("-1", "'-1"),
        ("@x", "'@x"),
        ("\tx", "'\tx"),
        ("\rx", "'\rx"),
        ("\nx", "'\nx"),
        (" \u00a0=1+1", "' \u00a0=1+1"),
        ('"=1+1', "'\"=1+1"),
        ("\uff1d1+1", "'\uff1d1+1"),
        ("\uff0b1", "'\uff0b1"),
        ("\uff0d1", "'\uff0d1"),
        ("\uff20x", "'\uff20x"),
        ("a;=1+1", "a;'=1+1"),
        ("a; +1;@x", "a; '+1;'@x"),
        ("a\t=1", "a\t'=1"),
        ("a\r\n-1", "a\r\n'-1"),
        ('a;"\uff1d1', "a;\"'\uff1d1"),
        (";=1", ";'=1"),
        ("\n=1", "'\n'=1"),
        ("a=1", "a=1"),
        ("2 - 1, -3 @ home; fine", "2 - 1, -3 @ home; fine"),
        ('He said: "-5"', 'He said: "-5"'),
        ("a\n\tb;c", "a\n\tb;c"),
        ("'=1", "'=1"),
        (" a", " a"),
        (None, ""),
        (7, "7"),
        (datetime(2026, 3, 2, 12, tzinfo=UTC), "2026-03-02T12:00:00+00:00"),
    ],
)
def test_cell_is_no_formula(value, text):
    assert cell(value) == text


def test_long_runs_of_separators_are_quick_to_look_through():
    text = "a" + "\n;" * 50_000

    assert cell(text) == text


def test_every_cell_is_quoted(boss, alice):
    lines = export(boss, "user", alice).getvalue().decode().splitlines()

    assert all(line.startswith('"') and line.endswith('"') for line in lines)
    assert f'"{alice.pk}","{alice.username}",' in lines[1]


def test_numbers_in_the_audit_are_told_as_runs_and_cut_to_fit():
    assert runs_of([1, 2, 3, 5, 6, 9]) == ["1-3", "5", "6", "9"]
    assert list(joined(["10"] * 5, 10)) == ["10, 10, 10", "10, 10"]


def test_conversations_are_exported_with_what_is_found(boss, conversation, alice):
    with time_machine.travel(datetime(2026, 3, 2, 12, tzinfo=UTC), tick=False):
        response = export(boss, "conversation", conversation)

    assert response.headers["Content-Disposition"] == (
        'attachment; filename="conversation-2026-03-02.csv"'
    )
    assert response.headers["Content-Type"] == "text/csv; charset=utf-8"
    (row,) = table(response)
    assert row["title"] == "Plans"
    assert row["owner_id"] == str(alice.pk)
    assert row["participant_count"] == "2"


def test_export_keeps_the_order_of_the_list_over_chunks(boss, monkeypatch):
    monkeypatch.setattr(exports, "CHUNK", 2)
    people = [UserFactory() for _ in range(5)]

    rows = table(export(boss, "user", boss, select_across="1"))

    names = [person.username for person in reversed(people)]
    assert [row["username"] for row in rows] == [*names, "boss"]
    assert "password" not in rows[0]


def test_export_leaves_out_what_is_gone_when_it_is_read(alice, bob):
    lines = lines_of(User.objects.all(), [alice.pk, UUID(int=1), bob.pk], ("username",))

    assert "".join(lines).splitlines() == ['"username"', '"alice"', '"bob"']


def test_export_of_too_many_rows_is_refused(boss, alice, monkeypatch):
    monkeypatch.setattr(exports, "MOST_EXPORTED", 1)

    response = export(boss, "user", boss, select_across="1")

    assert response.status_code == 302
    assert deeds() == []


def test_bodies_are_exported_by_those_who_may_read_and_recorded(
    boss, alice, conversation
):
    sent = [
        send_message(alice, conversation.pk, message_body=SECRET)[0] for _ in range(4)
    ]
    redact_message(sent[3], actor=alice)
    AuditEntry.objects.all().delete()

    rows = table(export(boss, "message", *sent))

    assert [row["message_body"] for row in rows] == ["", *[f"'{SECRET}"] * 3]
    exported, read = deeds()
    assert exported[:2] == ("list.exported", boss.pk)
    assert exported[4].startswith("4 messages: message_id, ")
    assert read == ("messages.read", boss.pk, None, conversation.pk, "seq 1-3")


def test_bodies_are_not_exported_by_others(alice, conversation):
    sent, _ = send_message(alice, conversation.pk, message_body=SECRET)
    clerk = clerk_who_may("view_message")

    response = export(clerk, "message", sent)

    assert "cmd" not in response.getvalue().decode()
    assert [deed[0] for deed in deeds()] == ["list.exported"]


def test_nothing_is_exported_without_permission_to_view(alice, conversation):
    clerk = clerk_who_may("view_message")

    assert export(clerk, "user", alice).status_code == 403
    assert export(clerk, "auditentry", alice).status_code == 403
    assert deeds() == []
