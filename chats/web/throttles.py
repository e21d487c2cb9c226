"""Rate limits for each caller, with atomic counters of constant cost in the cache."""

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from math import ceil
from typing import Any, NamedTuple

from django.conf import settings
from django.contrib.auth.models import AnonymousUser
from django.core.cache import cache
from django.http import HttpRequest
from redis.exceptions import RedisError
from rest_framework.exceptions import Throttled
from rest_framework.request import Request
from rest_framework.throttling import BaseThrottle

from chats.web.addresses import client_network
from chats.web.callers import note_refusal
from chats.web.exceptions import ChatError, TooManyAttempts

logger = logging.getLogger(__name__)

TOO_MANY_STRANGERS = "You added too many people with whom you shared no conversation."
OUTAGE_PAUSE = 5.0  # seconds without attempts after the cache has failed


class Breaker:
    """A circuit breaker: after a failure, one call in each pause tries the service.

    Without it, every call would wait for the timeout of a service that hangs; with it,
    only one call in each pause does. Any thread may call any method.
    """

    def __init__(self, pause: float, *, clock: Callable[[], float] = time.monotonic):
        self._pause, self._clock = pause, clock
        self._lock = threading.Lock()
        self._closed_until: float | None = None  # None: the service answers

    def may_ask(self) -> bool:
        """Return whether to call the service; report the result to fail or succeed."""
        if self._closed_until is None:
            return True
        with self._lock:
            now = self._clock()
            if self._closed_until is not None and now < self._closed_until:
                return False
            if self._closed_until is not None:
                self._closed_until = now + self._pause  # for all other calls
            return True

    def fail(self) -> bool:
        """Record a failure; return whether an outage begins with it."""
        with self._lock:
            begins = self._closed_until is None
            self._closed_until = self._clock() + self._pause
            return begins

    def succeed(self) -> bool:
        """Record a success; return whether an outage ends with it."""
        if self._closed_until is None:
            return False
        with self._lock:
            ends = self._closed_until is not None
            self._closed_until = None
            return ends


breaker = Breaker(OUTAGE_PAUSE)


class Quota(NamedTuple):
    """A caller's remaining allowance; ``reset`` is in seconds."""

    limit: int
    remaining: int
    reset: int


class RateThrottle(BaseThrottle):
    """Counts calls per caller in windows of fixed length.

    REST framework's throttles rewrite a list of times at every call, without a lock. A
    counter is atomic and costs the same at any rate.
    """

    scope = "user"
    # Whether all calls of the caller are refused once the limit is reached: then the
    # server refuses them before Django is called.
    covers_all_calls = False

    def get_scope(self, request: Request) -> str:
        return self.scope

    def allow_request(self, request: Request, view) -> bool:
        scope, http_request = self.get_scope(request), request._request
        who = caller(request)
        self.seconds_left = over(scope, who, http_request)
        if self.seconds_left and self.covers_all_calls:
            note_refusal(http_request.META, who, time.time() + self.seconds_left)
        return not self.seconds_left

    def wait(self) -> float:
        return self.seconds_left


class CallerThrottle(RateThrottle):
    """All calls, counted by user or, if anonymous, by address."""

    covers_all_calls = True

    def get_scope(self, request: Request) -> str:
        return "user" if request.user.is_authenticated else "anon"


class SendThrottle(RateThrottle):
    """Messages sent."""

    scope = "send"


class ExportThrottle(RateThrottle):
    """Exports of the caller's own data."""

    scope = "export"


class SignUpThrottle(RateThrottle):
    """Accounts created."""

    scope = "signup"


class StartConversationThrottle(RateThrottle):
    """Conversations started."""

    scope = "conversations"


class AuthFailureThrottle(RateThrottle):
    """Unauthenticated calls, wrong tokens included, counted by address."""

    scope = "anon"


def throttle_auth_failure(request: Request) -> None:
    """Count a call that is answered with 401; raise Throttled over the limit.

    A call that was counted already is not counted again. REST framework checks its
    throttles only after authentication: without this, wrong tokens could be tried at
    any rate.
    """
    if getattr(request._request, "quota", None) is not None:
        return
    request.user = AnonymousUser()
    throttle = AuthFailureThrottle()
    if not throttle.allow_request(request, None):
        raise Throttled(throttle.wait())


def over(scope: str, who: str, request: HttpRequest | None = None) -> float:
    """Count a call; return 0 if it is allowed, otherwise the seconds to wait.

    ``who`` is the key of the caller. The remaining allowance is kept on ``request``,
    for the headers of the response.
    """
    rate = settings.THROTTLE_RATES[scope]
    if rate is None:
        return 0.0
    limit, window = rate
    seconds_left = window - time.time() % window
    counted = count(f"throttle:{scope}:{who}", window)
    if counted and request is not None:  # 0 if the cache is not answering
        left = max(0, limit - counted)
        note(request, Quota(limit, left, ceil(seconds_left)))
    return seconds_left if counted > limit else 0.0


def limit_password_checks(address: str) -> None:
    """Count a password check, right or wrong; raise TooManyAttempts over the limit.

    Each check takes a tenth of a second of processor time.
    """
    if wait := over("sign_in", address):
        raise TooManyAttempts(
            "Too many sign-ins from your address. Try again later.",
            retry_after=ceil(wait),
        )


@contextmanager
def strangers_counted(request: Request, number: Callable[[], int]) -> Iterator[None]:
    """Count the strangers whom the caller adds to a conversation in the block.

    ``number()`` returns how many; it is called only if there is a limit, and
    role-admins have none. Either all are counted or none. Raises ChatError if they
    exceed the limit itself, and Throttled if they exceed the rest of it. The count is
    taken back if the block, or this check, fails.
    """
    rate = settings.THROTTLE_RATES["strangers"]
    strangers = 0 if rate is None or request.user.is_role_admin else number()
    if not strangers:
        yield
        return
    limit, window = rate
    if strangers > limit:  # waiting would not help
        raise ChatError(
            f"At most {limit} people with whom you share no conversation can be added.",
            code="too_many_strangers",
        )
    seconds_left = window - time.time() % window
    key = _key_now(f"throttle:strangers:{caller(request)}", window)
    total = _count(key, window, strangers)
    try:
        if total > limit:
            raise Throttled(seconds_left, TOO_MANY_STRANGERS)
        if total:  # 0 if the cache is not answering
            note(request._request, Quota(limit, limit - total, ceil(seconds_left)))
        yield
    except Exception:
        if total:
            _take_back(key, strangers)
        raise


def note(request: HttpRequest, quota: Quota) -> None:
    """Keep the quota for the response's headers; of several, the one with the least."""
    earlier = getattr(request, "quota", None)
    if earlier is None or quota.remaining < earlier.remaining:
        request.quota = quota


def caller(request: Request | HttpRequest) -> str:
    """Return the key of the caller: the user's id, or the address if anonymous."""
    if request.user.is_authenticated:
        return str(request.user.pk)
    return client_network(request)


def count(key: str, seconds: int) -> int:
    """Increment the counter of ``key`` and return the count in the current window.

    Windows follow the clock of this process, not the cache's; old ones expire. Returns
    0 if the shared cache is not answering, or was just emptied: calls must not fail or
    wait because of a limit.
    """
    return _count(_key_now(key, seconds), seconds, 1)


def _key_now(key: str, seconds: int) -> str:
    """Return the key of the current window."""
    return f"{key}:{int(time.time() // seconds)}"


def _count(window: str, seconds: int, amount: int) -> int:
    try:
        return ask_cache(lambda: _add(window, seconds, amount)) or 0
    except ValueError:  # the cache was emptied between the two steps
        return 0


def _take_back(window: str, amount: int) -> None:
    with suppress(ValueError):  # the window has expired, or the cache was emptied
        ask_cache(lambda: cache.decr(window, amount))


def ask_cache(call: Callable[[], Any]) -> Any:
    """Return the result of ``call``, which uses the shared cache.

    Returns None if the cache fails, and for ``OUTAGE_PAUSE`` after a failure without
    calling it.
    """
    if not breaker.may_ask():
        return None
    try:
        answer = call()
    except RedisError as error:
        if breaker.fail():
            logger.warning("Throttles are off: the cache is not answering: %s", error)
        return None
    if breaker.succeed():
        logger.warning("Throttles are on again: the cache is answering.")
    return answer


def _add(key: str, seconds: int, amount: int) -> int:
    try:
        return cache.incr(key, amount)
    except ValueError:  # the first call of this window; others may be adding it now
        cache.add(key, 0, timeout=seconds)
        return cache.incr(key, amount)
