"""The demo data: there, told apart, whole or not at all."""

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.db.models import Count

from chats.management.commands.seed_demo import PASSWORD, Dialogue, Line, read_dialogues
from chats.management.demo import data as demo
from chats.models import Conversation, Event, Message, Participant, User
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


def test_seed_demo_leaves_some_conversations_read_and_some_unread(capsys):
    seed(capsys)

    unread = [
        row.conversation.last_seq - row.last_read_seq
        for row in Participant.objects.filter(user__username="alice").select_related(
            "conversation"
        )
    ]
    assert 0 in unread
    assert max(unread) > 0


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


def test_read_dialogues_reads_edits_deletions_and_further_lines():
    text = """
== A title: with a colon: alice bob
alice: One: more
    and more
bob: First. => Second.
bob: Gone. =>
== Another: bob
"""
    assert read_dialogues(text) == [
        Dialogue(
            "A title: with a colon",
            ["alice", "bob"],
            [
                Line("alice", "One: more\nand more"),
                Line("bob", "First.", "Second."),
                Line("bob", "Gone.", ""),
            ],
        ),
        Dialogue("Another", ["bob"], []),
    ]
