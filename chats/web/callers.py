"""Identifies the caller of a request before Django handles it.

A credential identifies its user once Django has accepted it in this process. Until
then the call counts for its address, whatever the client claims.
"""

import re
import time
from collections.abc import Callable
from contextlib import suppress
from hashlib import blake2b
from typing import Any, Literal

from django.conf import settings

REMEMBERED = 20_000  # most recently used credentials
REFUSALS_KEPT = 20_000  # callers whose allowance is used up
SCHEMES = (b"token", b"bearer")  # of Authorization; the application ignores others

Headers = list[tuple[bytes, bytes]]
Peer = tuple[str, int] | None
Kind = Literal["token", "session", ""]


class Caller:
    """The caller of one request; the views add what they learn (``chats.caller``)."""

    __slots__ = ("credential", "key", "kind", "refused", "user_id")

    def __init__(self, key: str, kind: Kind = "", credential: bytes = b""):
        self.key = key  # the user's id, or the address
        self.kind = kind
        self.credential = credential  # its digest; empty for an anonymous call
        self.user_id: Any = None  # the credential's user, once Django knows
        # The key whose allowance is used up, and until when.
        self.refused: tuple[str, float] | None = None


class Callers:
    """The callers that this process knows. For the event loop's thread only.

    ``locate`` returns the address to count by, from the connection's peer and the
    headers.
    """

    def __init__(
        self,
        locate: Callable[[Peer, Headers], str],
        *,
        clock: Callable[[], float] = time.time,
    ):
        self._locate, self._clock = locate, clock
        self._users: dict[bytes, str] = {}  # by credential, the last used one last
        self._refused_until: dict[str, float] = {}

    def identify(self, peer: Peer, headers: Headers) -> Caller:
        """Return the caller of a request with this head.

        All unknown credentials of one address count together, but separately from
        calls without a credential.
        """
        kind, credential = credential_in(headers)
        if user_id := self._users.pop(credential, None):
            self._users[credential] = user_id
            return Caller(user_id, kind, credential)
        address = self._locate(peer, headers)
        return Caller(f"{address} {kind}" if kind else address, kind, credential)

    def learn(self, caller: Caller) -> None:
        """Remember what the application has found out about the caller.

        A credential that it did not accept is forgotten: the credential may have ended.
        """
        is_known = caller.credential in self._users
        if is_known and caller.user_id is None:
            del self._users[caller.credential]
        elif not is_known and caller.user_id is not None:
            self._users[caller.credential] = str(caller.user_id)
            drop_oldest(self._users, REMEMBERED)
        if caller.refused:
            key, until = caller.refused
            self._refused_until[key] = until
            drop_oldest(self._refused_until, REFUSALS_KEPT)

    def wait_of(self, caller: Caller) -> float:
        """Return the seconds until the caller may call again; 0 if they may now.

        An unknown credential has its own key, so it is not refused with the anonymous
        calls of its address: its user may have an allowance left.
        """
        until = self._refused_until.get(caller.key)
        if until is None:
            return 0.0
        left = until - self._clock()
        if left <= 0:
            del self._refused_until[caller.key]
        return max(0.0, left)


def drop_oldest(entries: dict, most: int) -> None:
    while len(entries) > most:
        del entries[next(iter(entries))]


def credential_in(headers: Headers) -> tuple[Kind, bytes]:
    """Return the kind and a digest of the credential that Django will check."""
    for name, value in headers:
        if name == b"authorization":
            scheme, _, secret = value.partition(b" ")
            if scheme.lower() in SCHEMES:
                return "token", digest(secret.strip())
    for name, value in headers:
        # Django uses the last of several cookies with the same name.
        if name == b"cookie" and (keys := session_pattern().findall(value)):
            return "session", digest(keys[-1])
    return "", b""


def digest(secret: bytes) -> bytes:
    return blake2b(secret, digest_size=16).digest()


def session_pattern() -> re.Pattern[bytes]:
    name = re.escape(settings.SESSION_COOKIE_NAME.encode())
    return re.compile(rb"(?:^|[;\s])" + name + rb"=([^;\s]+)")


# --- Called by views --------------------------------------------------------------


def note_person(meta: dict[str, Any], kind: Kind, user_id: Any) -> None:
    """Record in ``request.META`` the user of the call's token or session."""
    with suppress(KeyError):
        caller = meta["chats.caller"]
        if caller.kind == kind:
            caller.user_id = user_id


def note_refusal(meta: dict[str, Any], key: str, until: float) -> None:
    """Record in ``request.META`` that all calls of ``key`` are refused until then.

    The key is that of the throttles: a user's id or an address. ``until`` is in seconds
    since the epoch.
    """
    with suppress(KeyError):
        meta["chats.caller"].refused = (key, until)
