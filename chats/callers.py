"""Whose call it is, as far as that is known before Django has looked at it.

A credential counts for its person once Django has accepted it in this process. Until
then, and without one, the address counts: whatever a client claims, it is one caller.
"""

import re
import time
from collections.abc import Callable
from contextlib import suppress
from hashlib import blake2b
from typing import Any

from django.conf import settings

REMEMBERED = 20_000  # credentials, the ones used last
REFUSALS_KEPT = 20_000  # callers whose allowance is used up

Headers = list[tuple[bytes, bytes]]
Peer = tuple[str, int] | None


class Caller:
    """Who makes one call; the views add what they find out (``chats.caller``)."""

    __slots__ = ("credential", "key", "user_id", "wait_until")

    def __init__(self, key: str, credential: bytes = b""):
        self.key = key  # the person's id, or the address
        self.credential = credential  # its digest; nothing for an anonymous call
        self.user_id: Any = None  # of the person, once a view knows
        self.wait_until = 0.0  # when an allowance that is used up begins anew


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
        """Return the caller of a request with this head."""
        credential = credential_in(headers)
        if credential and (person := self._people.pop(credential, None)):
            self._people[credential] = person
            return Caller(person, credential)
        return Caller(self._locate(peer, headers), credential)

    def learn(self, caller: Caller, status: int) -> None:
        """Keep what the application has found out about the caller."""
        is_known = caller.credential in self._people
        if is_known and status == 401:
            del self._people[caller.credential]
        elif not is_known and caller.credential and caller.user_id:
            self._people[caller.credential] = str(caller.user_id)
            drop_oldest(self._people, REMEMBERED)
        if caller.wait_until:
            person = caller.user_id and str(caller.user_id)
            self._refused_until[person or caller.key] = caller.wait_until
            drop_oldest(self._refused_until, REFUSALS_KEPT)

    def wait_of(self, caller: Caller) -> float:
        """Return for how many seconds the caller's allowance is used up; 0 if not.

        An unknown credential may be somebody's whose allowance is not.
        """
        if caller.credential and caller.credential not in self._people:
            return 0.0
        left = self._refused_until.get(caller.key, 0.0) - self._clock()
        if left <= 0:
            self._refused_until.pop(caller.key, None)
        return max(0.0, left)


def drop_oldest(entries: dict, most: int) -> None:
    while len(entries) > most:
        del entries[next(iter(entries))]


def credential_in(headers: Headers) -> bytes:
    """Return a digest of the token or the session's key in a head, or nothing."""
    for name, value in headers:
        if name == b"authorization":
            return digest(value)
    for name, value in headers:
        if name == b"cookie" and (match := session_pattern().search(value)):
            return digest(match[1])
    return b""


def digest(secret: bytes) -> bytes:
    return blake2b(secret, digest_size=16).digest()


def session_pattern() -> re.Pattern[bytes]:
    name = re.escape(settings.SESSION_COOKIE_NAME.encode())
    return re.compile(rb"(?:^|[;\s])" + name + rb"=([^;\s]+)")


# --- What the views tell ---------------------------------------------------------


def note_person(meta: dict[str, Any], user_id: Any) -> None:
    """Note in ``request.META`` whom a credential has proved the caller to be."""
    with suppress(KeyError):
        meta["chats.caller"].user_id = user_id


def note_refusal(meta: dict[str, Any], until: float) -> None:
    """Note in ``request.META`` that every call of this caller is refused until then."""
    with suppress(KeyError):
        meta["chats.caller"].wait_until = until
