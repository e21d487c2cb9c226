"""The demo data: there, told apart, whole or not at all."""

from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from django.core.management import CommandError, call_command
from django.db import connection, transaction
from django.db.models import Count

from chats.management.commands.seed_demo import PASSWORD
from chats.management.demo import data as demo
from chats.management.demo.story import Dialogue, Line, read_dialogues
from chats.models import Conversation, Event, Message, User
from tests.support.factories import UserFactory

pytestmark = pytest.mark.django_db


def seed(capsys, **options) -> list[str]:
    """Run the command; return the lines it printed."""
    call_command("seed_demo", **{"yes": True, "no_color": True} | options)
    return capsys.readouterr().out.splitlines()


def test_seed_demo_makes_people_of_every_role_and_prints_how_to_sign_in(capsys):
    lines = seed(capsys)

    roles = User.objects.values_list("role").annotate(Count("pk")).order_by("role")
    assert list(roles) == [("admin", 2), ("guest", 6), ("host", 4)]
    assert User.objects.get(is_superuser=True).username == "admin"
    assert lines[0] == f"Sign in as any of these users, with the password {PASSWORD}"
    printed = {line.split()[0] for line in lines[2:]}
    assert printed == set(User.objects.values_list("username", flat=True))


def test_seed_demo_people_sign_in_with_the_printed_password(capsys, anonymous):
    seed(capsys, password="another-pass-2026")

    login = {"username": "alice", "password": "another-pass-2026"}
    assert anonymous.post("/api/auth/login/", login).status_code == 200


def test_seed_demo_conversations_are_titled_and_numbered_without_a_gap(capsys):
    seed(capsys)

    assert Conversation.objects.count() == 8
    for conversation in Conversation.objects.all():
        seqs = conversation.messages.order_by("seq").values_list("seq", flat=True)
        assert conversation.title
        assert list(seqs) == list(range(1, conversation.last_seq + 1))


def test_seed_demo_messages_are_varied(capsys):
    seed(capsys)

    assert Message.objects.count() >= 250
    assert Message.objects.filter(edited_at__isnull=False).count() == 3
    assert Message.objects.filter(deleted_at__isnull=False).count() == 2
    for text in ("\n", "https://", "🙂", "五月", "Привет", "مرحبا"):
        assert Message.objects.filter(message_body__contains=text).exists(), text
    assert not Message.objects.filter(message_body__contains="=>").exists()


def test_seed_demo_leaves_alice_a_few_unread_messages(capsys, anonymous):
    seed(capsys)
    anonymous.force_login(User.objects.get(username="alice"))

    rows = anonymous.get("/api/conversations/").json()["results"]
    unread = {row["title"]: row["unread_count"] for row in rows}
    assert len(unread) == 4
    assert {title: n for title, n in unread.items() if n} == demo.UNREAD


NOW = datetime(2026, 7, 15, 0, 20, tzinfo=UTC)  # a day that has just begun


def told() -> list[tuple]:
    fields = ("conversation__title", "seq", "message_body", "sent_at", "edited_at")
    return list(Message.objects.order_by(*fields[:2]).values_list(*fields))


@time_machine.travel(NOW, tick=False)
def test_seed_demo_is_the_same_at_the_same_time(capsys):
    with transaction.atomic():
        seed(capsys)
        first = told()
        transaction.set_rollback(True)
    assert told() == []
    seed(capsys)
    assert told() == first


@time_machine.travel(NOW, tick=False)
def test_seed_demo_tells_of_three_weeks_that_are_over(capsys):
    seed(capsys)

    times = Message.objects.order_by("sent_at").values_list("sent_at", flat=True)
    days = {moment.date() for moment in times}
    assert NOW - timedelta(days=21) < times[0] < NOW - timedelta(days=19)
    assert NOW - timedelta(minutes=15) < times.last() < NOW
    assert len(days) >= 19
    assert len({moment.hour for moment in times}) >= 14
    for conversation in Conversation.objects.all():
        in_order = list(conversation.messages.order_by("seq"))
        sent = [message.sent_at for message in in_order]
        assert sent == sorted(set(sent))
        assert len({moment.date() for moment in sent}) >= 2
        assert conversation.created_at < sent[0]
        assert conversation.updated_at == sent[-1]
    lake = Conversation.objects.get(title__startswith="Lake")
    assert lake.messages.filter(edited_at__isnull=False).get().edited_at < NOW


@time_machine.travel(NOW, tick=False)
def test_seed_demo_events_have_the_times_of_what_they_tell(capsys):
    seed(capsys)

    events = list(Event.objects.order_by("pk"))
    times = [event.created_at for event in events]
    created = {
        event.message_id: event.created_at
        for event in events
        if event.type == Event.Type.MESSAGE_CREATED
    }
    assert times == sorted(times)
    assert times[-1] < NOW
    assert created == dict(Message.objects.values_list("pk", "sent_at"))


@pytest.mark.django_db(transaction=True)
def test_seed_demo_leaves_nothing_to_the_doctor(capsys):
    seed(capsys)
    call_command("doctor")
    assert "no problems" in capsys.readouterr().out


def test_seed_demo_is_announced_like_everything_else(capsys):
    seed(capsys)

    sent = Event.objects.filter(type=Event.Type.MESSAGE_CREATED).count()
    assert sent == Message.objects.count()


def test_seed_demo_again_does_nothing_and_says_how_to_sign_in(capsys):
    seed(capsys)
    events = Event.objects.count()

    lines = seed(capsys)

    assert Event.objects.count() == events
    assert lines == [
        "There are already users: nothing to do. You can sign in as alice, bob or "
        f"admin, with the password {PASSWORD}"
    ]


def test_seed_demo_beside_other_people_does_nothing(capsys):
    UserFactory(username="alice")

    assert seed(capsys) == ["There are already users: nothing to do."]
    assert User.objects.count() == 1


def test_seed_demo_refuses_a_weak_password(capsys):
    with pytest.raises(CommandError, match="too common"):
        seed(capsys, password="password")

    assert not User.objects.exists()


@pytest.mark.parametrize("debug", [False, True])
def test_seed_demo_on_a_server_needs_yes_unless_debugging(
    capsys, monkeypatch, settings, debug
):
    monkeypatch.setattr(connection, "vendor", "a server")
    settings.DEBUG = debug

    if debug:
        seed(capsys, yes=False)
    else:
        with pytest.raises(CommandError, match="--yes"):
            seed(capsys, yes=False)

    assert User.objects.exists() is debug


def test_seed_demo_that_breaks_off_leaves_nothing(capsys, monkeypatch):
    monkeypatch.setattr(demo, "DIALOGUES", "== Plans: alice bob\nnobody: Hello?")

    with pytest.raises(KeyError):
        seed(capsys)

    assert not User.objects.exists()
    assert not Event.objects.exists()


def test_read_dialogues_reads_times_edits_deletions_and_further_lines():
    text = """
== A title: with a colon: alice bob
-- 3 days ago, 09:40
alice: One: more
    and more
bob: First. => Second.
-- 25 minutes ago
bob: Gone. =>
== Another: bob
"""
    first, another = read_dialogues(text, NOW)
    begun = datetime(2026, 7, 12, 9, 40, tzinfo=UTC)
    two = first.lines[1]
    assert 60 <= (two.at - begun).total_seconds() <= 180
    assert first == Dialogue(
        "A title: with a colon",
        ["alice", "bob"],
        [
            Line("alice", "One: more\nand more", begun),
            Line("bob", "First.", two.at, "Second."),
            Line("bob", "Gone.", NOW - timedelta(minutes=25), ""),
        ],
    )
    assert another == Dialogue("Another", ["bob"], [])
