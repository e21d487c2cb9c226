"""Whose call it is, as far as that is known before Django has looked at it.

A credential counts for its person once Django has accepted it in this process. Until
then the address counts, whatever a client claims.
"""

import re
import time
from collections.abc import Callable
from contextlib import suppress
from hashlib import blake2b
from typing import Any, Literal

from django.conf import settings

REMEMBERED = 20_000  # credentials, the ones used last
REFUSALS_KEPT = 20_000  # callers whose allowance is used up
SCHEMES = (b"token", b"bearer")  # of Authorization; Django ignores others

Headers = list[tuple[bytes, bytes]]
Peer = tuple[str, int] | None
Kind = Literal["token", "session", ""]


class Caller:
    """Who makes one call; the views add what they find out (``chats.caller``)."""

    __slots__ = ("credential", "key", "kind", "refused", "user_id")

    def __init__(self, key: str, kind: Kind = "", credential: bytes = b""):
        self.key = key  # the person's id, or the address
        self.kind = kind
        self.credential = credential  # its digest; nothing for an anonymous call
        self.user_id: Any = None  # whose the credential is, once Django knows
        # Whose allowance is used up, and until when.
        self.refused: tuple[str, float] | None = None


class Callers:
    """What this process knows of callers. For the event loop's thread only.

    ``locate`` returns the address that counts, of the connection's peer and a head.
    """

    def __init__(
        self,
        locate: Callable[[Peer, Headers], str],
        *,
        clock: Callable[[], float] = time.time,
    ):
        self._locate, self._clock = locate, clock
        self._people: dict[bytes, str] = {}  # by credential, the last used one last
        self._refused_until: dict[str, float] = {}

    def identify(self, peer: Peer, headers: Headers) -> Caller:
        """Return the caller of a request with this head.

        Credentials that are not known yet count together, by address, and apart from
        calls without one.
        """
        kind, credential = credential_in(headers)
        if person := self._people.pop(credential, None):
            self._people[credential] = person
            return Caller(person, kind, credential)
        address = self._locate(peer, headers)
        return Caller(f"{address} {kind}" if kind else address, kind, credential)

    def learn(self, caller: Caller) -> None:
        """Keep what the application has found out about the caller.

        A credential by which it accepted nobody is forgotten: it may have ended.
        """
        is_known = caller.credential in self._people
        if is_known and caller.user_id is None:
            del self._people[caller.credential]
        elif not is_known and caller.user_id is not None:
            self._people[caller.credential] = str(caller.user_id)
            drop_oldest(self._people, REMEMBERED)
        if caller.refused:
            key, until = caller.refused
            self._refused_until[key] = until
            drop_oldest(self._refused_until, REFUSALS_KEPT)

    def wait_of(self, caller: Caller) -> float:
        """Return for how many seconds the caller's allowance is used up; 0 if not.

        An unknown credential may be somebody's whose allowance is not.
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
    """Return the kind and a digest of the credential that Django will look at."""
    for name, value in headers:
        if name == b"authorization":
            scheme, _, secret = value.partition(b" ")
            if scheme.lower() in SCHEMES:
                return "token", digest(secret.strip())
    for name, value in headers:
        # Of several cookies of one name Django takes the last.
        if name == b"cookie" and (keys := session_pattern().findall(value)):
            return "session", digest(keys[-1])
    return "", b""


def digest(secret: bytes) -> bytes:
    return blake2b(secret, digest_size=16).digest()


def session_pattern() -> re.Pattern[bytes]:
    name = re.escape(settings.SESSION_COOKIE_NAME.encode())
    return re.compile(rb"(?:^|[;\s])" + name + rb"=([^;\s]+)")


# --- What the views tell ---------------------------------------------------------


def note_person(meta: dict[str, Any], kind: Kind, user_id: Any) -> None:
    """Note in ``request.META`` whose the token, or the session, of the call is."""
    with suppress(KeyError):
        caller = meta["chats.caller"]
        if caller.kind == kind:
            caller.user_id = user_id


def note_refusal(meta: dict[str, Any], key: str, until: float) -> None:
    """Note in ``request.META`` that every call of ``key`` is refused until then.

    The key is a person's id or an address, as the throttles count.
    """
    with suppress(KeyError):
        meta["chats.caller"].refused = (key, until)
