"""What a person is signed in with, sessions and tokens together, and ending it.

An open stream hangs on the row it was opened with: it ends seconds after the row.
"""

from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import CharField, F, Q, QuerySet, Value

from chats.models import AccessToken, AuditEntry, User, UserSession
from chats.services.audit import record_all
from chats.web.exceptions import NotFound

COLUMNS = (
    "session_id",
    "kind",
    "name",
    "user_agent",
    "address",
    "created_at",
    "last_used_at",
    "expires_at",
)


class ActiveSignIns:
    """A person's valid sessions and tokens as one list, by one query a page.

    Has what pagination asks of a queryset. A union cannot be filtered, so both
    halves are, and are united when a page is taken.
    """

    model = UserSession  # whose columns the order is by

    def __init__(self, sessions: QuerySet, tokens: QuerySet):
        self._halves = (sessions, tokens)

    @classmethod
    def of(cls, user: User) -> "ActiveSignIns":
        sessions = UserSession.objects.visible_to(user).valid()
        tokens = AccessToken.objects.visible_to(user).valid()
        tokens = tokens.annotate(session_id=F("token_id"))
        order = UserSession._meta.ordering
        return cls(sessions.order_by(*order), tokens.order_by(*order))

    @property
    def query(self) -> Any:
        return self._halves[0].query

    def filter(self, condition: Q) -> "ActiveSignIns":
        return ActiveSignIns(*(half.filter(condition) for half in self._halves))

    def reverse(self) -> "ActiveSignIns":
        return ActiveSignIns(*(half.reverse() for half in self._halves))

    def __getitem__(self, bounds: slice) -> QuerySet:
        sessions, tokens = self._halves
        order = sessions.query.order_by
        united = (
            sessions.order_by()
            .annotate(kind=text("session"), name=text(""), expires_at=F("expire_date"))
            .values(*COLUMNS)
            .union(
                tokens.order_by()
                .annotate(kind=text("token"), user_agent=text(""))
                .values(*COLUMNS),
                all=True,
            )
        )
        return united.order_by(*order)[bounds]  # reversed, if the first half is


def text(value: str) -> Value:
    return Value(value, output_field=CharField())


@transaction.atomic
def end_sign_in(user: User, session_id: UUID, *, actor: User) -> None:
    """End the person's session or token with this id, or raise NotFound."""
    sessions = UserSession.objects.visible_to(user).filter(session_id=session_id)
    tokens = AccessToken.objects.visible_to(user).filter(pk=session_id)
    if not _end(sessions, tokens, user, actor):
        raise NotFound


@transaction.atomic
def end_others(user: User, *, current: UUID | None) -> None:
    """End all sessions and tokens of the person but the current one."""
    sessions = user.sessions.exclude(session_id=current)
    _end(sessions, user.access_tokens.exclude(pk=current), user, user)


def _end(sessions: QuerySet, tokens: QuerySet, user: User, actor: User) -> int:
    """End these, with an entry for each kind; return how many there were."""
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
    """End all sessions and tokens of the person, in the caller's transaction."""
    user.sessions.all().delete()
    user.access_tokens.all().delete()
