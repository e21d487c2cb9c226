"""What an operator types after a command is looked at before anything is done."""

from argparse import Action
from io import StringIO

import pytest
from django.core.management import call_command, load_command_class
from django.core.management.base import CommandError

from chats.management.arguments import WholeNumber
from chats.models import AuditEntry, Event, User
from tests.support.commands import DJANGOS, NAMES
from tests.support.factories import PASSWORD, UserFactory

UNREADABLE = ("", "abc", "1e3", "0x10", "1.5", "-5", "\u0663", "9" * 5000, str(10**20))


def arguments_of(name: str) -> list[Action]:
    """Return the arguments of a command that are its own."""
    parser = load_command_class("chats", name).create_parser("manage.py", name)
    return [action for action in parser._actions if action.dest not in DJANGOS]


NUMBERS = [
    (name, argument.option_strings[0], argument.type)
    for name in NAMES
    for argument in arguments_of(name)
    if isinstance(argument.type, WholeNumber)
]


def refusal(*line: str) -> str:
    """Return the one line with which a command refuses its arguments."""
    with pytest.raises(CommandError) as refused:
        call_command(*line, verbosity=0)
    return str(refused.value)


def test_no_number_of_a_command_is_without_bounds():
    plain = [
        (name, argument.dest)
        for name in NAMES
        for argument in arguments_of(name)
        if argument.type in {int, float}
    ]

    assert plain == []
    assert ("prune_audit", "--days") in [number[:2] for number in NUMBERS]


@pytest.mark.parametrize(("name", "option", "kind"), NUMBERS)
def test_number_of_a_command_is_refused_out_of_bounds(name, option, kind):
    outside = (str(kind.minimum - 1), str(kind.maximum + 1))

    for odd in (*outside, *UNREADABLE):
        said = refusal(name, f"{option}={odd}")
        bounds = f"a whole number from {kind.minimum} to {kind.maximum}"
        assert said == (f"Error: argument {option}: must be {bounds}, not {odd[:50]!r}")


@pytest.mark.parametrize(("name", "option", "kind"), NUMBERS)
def test_bounds_of_a_number_are_numbers_themselves(name, option, kind):
    assert (kind(str(kind.minimum)), kind(str(kind.maximum))) == (
        kind.minimum,
        kind.maximum,
    )


def test_prune_refused_deletes_nothing(conversation):
    AuditEntry.objects.create(action="user.created")
    before = (AuditEntry.objects.count(), Event.objects.count())

    refusal("prune_audit", "--days", "-5")
    refusal("prune_events", "--days", "0")

    assert (AuditEntry.objects.count(), Event.objects.count()) == before


@pytest.mark.parametrize(
    "line",
    [
        ("export_conversation", "x"),
        ("import_conversation", "no-such-file"),
        ("import_conversation", "a\0b"),
        ("import_conversation", "."),
        ("runserver", "99999"),
        ("runserver", "127.0.0.1:" + "9" * 30),
        ("seed_demo", "--password=a"),
        ("seed_demo", "--password=\udcff" + PASSWORD),
        ("seed_demo", f"--password=\0{PASSWORD}"),
        ("welcome", ""),
        ("welcome", "localhost"),
        ("welcome", "http://"),
        ("welcome", "http://localhost:99999"),
        ("welcome", "http://[::1"),
        ("welcome", "http://a\x1b[2J"),
    ],
    ids=lambda line: " ".join(line)[:40].encode("ascii", "replace").decode(),
)
def test_argument_that_is_wrong_is_refused_in_one_line(line, db):
    assert "\n" not in refusal(*line)


def test_welcome_takes_an_address():
    out = StringIO()

    call_command("welcome", "http://localhost:8000/", stdout=out)

    assert "http://localhost:8000/api/docs/" in out.getvalue()


@pytest.mark.parametrize(
    "taken", [{"username": "ALICE"}, {"email": "Alice@Example.org"}]
)
def test_createsuperuser_is_refused_what_is_taken(taken, db, monkeypatch):
    UserFactory(username="alice", email="alice@example.org")
    monkeypatch.setenv("DJANGO_SUPERUSER_PASSWORD", PASSWORD)
    asked = {"username": "root", "email": "root@example.org", "first_name": "A"}
    asked |= {"last_name": "B"} | taken

    with pytest.raises(CommandError) as refused:
        call_command("createsuperuser", interactive=False, verbosity=0, **asked)

    assert "taken" in str(refused.value)
    assert list(User.objects.values_list("username", flat=True)) == ["alice"]
