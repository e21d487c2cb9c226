"""Ending what a user is signed in with, sessions and tokens.

An open stream depends on the row that it was opened with: it ends seconds after it.
"""

from uuid import UUID

from django.db import transaction
from django.db.models import QuerySet

from chats.models import AccessToken, AuditEntry, User, UserSession
from chats.services.audit import record_all
from chats.web.exceptions import NotFound


@transaction.atomic
def end_sign_in(user: User, session_id: UUID, *, actor: User) -> None:
    """End the user's session or token with this id, or raise NotFound."""
    sessions = UserSession.objects.visible_to(user).filter(session_id=session_id)
    tokens = AccessToken.objects.visible_to(user).filter(pk=session_id)
    if not _end(sessions, tokens, user, actor):
        raise NotFound


@transaction.atomic
def end_others(user: User, *, current: UUID | None) -> None:
    """End all sessions and tokens of the user except the current one."""
    sessions = user.sessions.exclude(session_id=current)
    _end(sessions, user.access_tokens.exclude(pk=current), user, user)


def _end(sessions: QuerySet, tokens: QuerySet, user: User, actor: User) -> int:
    """End these and record each kind; return how many there were."""
    ended = 0
    for signed_in, action in (
        (sessions, AuditEntry.Action.SESSION_REVOKED),
        (tokens, AuditEntry.Action.TOKEN_REVOKED),
    ):
        names = [str(row) for row in signed_in]
        if names:
            signed_in.delete()
            record_all(action, names, actor=actor, user_id=user.pk)
        ended += len(names)
    return ended


def end_everything(user: User) -> None:
    """End all sessions and tokens of the user, in the caller's transaction."""
    user.sessions.all().delete()
    user.access_tokens.all().delete()
