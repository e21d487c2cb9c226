"""The session or token that a user is signed in with, and whether it is still valid."""

import hashlib
from collections.abc import Iterable, Iterator
from typing import Literal, NamedTuple
from uuid import UUID

from django.db.models import QuerySet

from chats.models.sessions import UserSession
from chats.models.sign_in import AccessToken
from chats.models.users import User

CHUNK = 500  # keys in one query
Kind = Literal["session", "token"]


class Credential(NamedTuple):
    """The session or token that opened a stream or an export, to be rechecked later."""

    user_id: UUID
    kind: Kind
    key: str  # the digest of the session's key, or the token's id
    fingerprint: str  # of the user's password and sign-outs at that time

    @classmethod
    def of(cls, user: User, kind: Kind, key: str) -> "Credential":
        """Return the credential of a user who is signed in with it now."""
        fingerprint = _fingerprint(user.password, user.sessions_ended_at)
        return cls(user.pk, kind, key, fingerprint)


def valid(credentials: Iterable[Credential]) -> set[Credential]:
    """Return those that are still valid: for each ``CHUNK``, one query a kind."""
    asked = set(credentials)
    users = dict(_users({item.user_id for item in asked}))
    keys = {
        "session": set(_keys(asked, "session", UserSession.objects.valid())),
        "token": set(_keys(asked, "token", AccessToken.objects.valid())),
    }
    return {
        item
        for item in asked
        if users.get(item.user_id) == item.fingerprint and item.key in keys[item.kind]
    }


def _fingerprint(*secrets: object) -> str:
    """Return a digest that changes when all sessions of a user end."""
    text = " ".join(map(str, secrets))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _users(user_ids: set[UUID]) -> Iterator[tuple[UUID, str]]:
    for chunk in chunks(user_ids):
        users = User.objects.active().filter(pk__in=chunk).order_by()
        for pk, *secrets in users.values_list("pk", "password", "sessions_ended_at"):
            yield pk, _fingerprint(*secrets)


def _keys(asked: set[Credential], kind: str, there: QuerySet) -> Iterator[str]:
    for chunk in chunks({item.key for item in asked if item.kind == kind}):
        found = there.filter(pk__in=chunk).order_by()
        yield from map(str, found.values_list("pk", flat=True))


def chunks(items: Iterable) -> Iterator[list]:
    """Yield the items in lists that fit into one query."""
    items = list(items)
    for start in range(0, len(items), CHUNK):
        yield items[start : start + CHUNK]
