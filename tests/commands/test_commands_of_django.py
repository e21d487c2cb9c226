"""Django's commands that change accounts: through the services, and recorded."""

from io import StringIO

import pytest
from django.core.management import CommandError, call_command, get_commands
from django.utils import timezone
from rest_framework.test import APIClient

from chats.models import AccessToken, AuditEntry, User, UserSession
from chats.services.session_store import SessionStore
from chats.services.users import delete_user
from tests.support.factories import PASSWORD


@pytest.fixture
def typed(monkeypatch) -> list[str]:
    """What the operator types at prompts for passwords."""
    answers: list[str] = []
    monkeypatch.setattr("getpass.getpass", lambda prompt: answers.pop(0))
    return answers


@pytest.mark.parametrize("name", ["alice", "ALICE", "alice@example.org"])
def test_password_changed_at_the_command_line_ends_everything_and_is_recorded(
    alice, typed, name, capsys
):
    AccessToken.objects.issue(alice, "script", None)
    session = APIClient()
    session.force_login(alice)
    typed += ["one", "another", "short", "short", "quiet-Meadow-42", "quiet-Meadow-42"]

    call_command("changepassword", name)

    assert not AccessToken.objects.exists()
    assert session.get("/api/users/me/").status_code == 401
    deeds = AuditEntry.objects.values_list("action", "actor_id", "user_id")
    assert list(deeds) == [("password.changed", None, alice.pk)]
    assert User.objects.get().check_password("quiet-Meadow-42")
    printed = capsys.readouterr()
    assert printed.out == (
        "Changing the password of 'alice'.\n"
        "Password changed for 'alice'; sessions and tokens ended.\n"
    )
    assert printed.err.splitlines()[:2] == [
        "The passwords do not match. Please try again.",
        "This password is too short. It must contain at least 8 characters.",
    ]


def test_password_changed_at_the_command_line_is_of_somebody_there(alice, bob, typed):
    delete_user(bob, actor=bob)
    typed += ["short"] * 6
    for name in ("nobody", f"deleted-{bob.pk.hex}", "alice"):
        with pytest.raises(CommandError):
            call_command("changepassword", name, stderr=StringIO())
    assert typed == []
    assert User.objects.get(username="alice").check_password(PASSWORD)


def test_commands_of_django_that_write_people_are_the_projects_own():
    assert get_commands()["changepassword"] == "chats"
    assert SessionStore.get_model_class() is UserSession  # what clearsessions clears


def test_expired_sessions_are_cleared_by_djangos_command(alice):
    for client in (APIClient(), APIClient()):
        client.force_login(alice)
    first = UserSession.objects.earliest("created_at")
    UserSession.objects.filter(pk=first.pk).update(expire_date=timezone.now())

    call_command("clearsessions")

    assert not UserSession.objects.filter(pk=first.pk).exists()
    assert UserSession.objects.count() == 1
