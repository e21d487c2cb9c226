"""The command that forgets what sign-in has no more use for."""

from datetime import timedelta

import pytest
from django.core.management import call_command
from django.utils import timezone

from chats.models import AccessToken, SignInAttempts, UserSession

HOUR = timedelta(hours=1)


@pytest.mark.django_db
def test_prune_sign_in_deletes_the_expired_and_keeps_the_rest(alice, capsys):
    now = timezone.now()
    for name, at in (("old", now - HOUR), ("new", now + HOUR)):
        AccessToken.objects.issue(alice, name, at)
        SignInAttempts.objects.create(key=name, attempts=1, window_ends_at=at)
        UserSession.objects.create(session_key=name, session_data="", expire_date=at)

    call_command("prune_sign_in")

    assert [token.name for token in AccessToken.objects.all()] == ["new"]
    assert [counter.key for counter in SignInAttempts.objects.all()] == ["new"]
    assert [session.session_key for session in UserSession.objects.all()] == ["new"]
    assert capsys.readouterr().out == "1 tokens and 1 counters deleted.\n"
