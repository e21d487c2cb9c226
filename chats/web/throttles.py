"""How often one caller may call: counters in the cache, atomic and constant in cost."""

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
OUTAGE_PAUSE = 5.0  # seconds a cache that failed is left alone


class Breaker:
    """Leaves a service that failed alone for a pause; then one call at a time tries.

    A service that hangs costs every call its timeout; behind this it costs one call
    in each pause. Any thread may call any method.
    """

    def __init__(self, pause: float, *, clock: Callable[[], float] = time.monotonic):
        self._pause, self._clock = pause, clock
        self._lock = threading.Lock()
        self._closed_until: float | None = None  # None: the service answers

    def may_ask(self) -> bool:
        """Tell whether to ask the service; whoever asks reports how it went."""
        if self._closed_until is None:
            return True
        with self._lock:
            now = self._clock()
            if self._closed_until is not None and now < self._closed_until:
                return False
            if self._closed_until is not None:
                self._closed_until = now + self._pause  # the others wait for this try
            return True

    def fail(self) -> bool:
        """Note a failure; return whether an outage begins with it."""
        with self._lock:
            begins = self._closed_until is None
            self._closed_until = self._clock() + self._pause
            return begins

    def succeed(self) -> bool:
        """Note an answer; return whether an outage ends with it."""
        if self._closed_until is None:
            return False
        with self._lock:
            ends = self._closed_until is not None
            self._closed_until = None
            return ends


breaker = Breaker(OUTAGE_PAUSE)


class Quota(NamedTuple):
    """What a caller has left of an allowance; ``reset`` is in seconds."""

    limit: int
    remaining: int
    reset: int


class RateThrottle(BaseThrottle):
    """Counts calls per caller in windows of fixed length.

    DRF's throttles keep a list of times, rewritten at every call without a lock;
    one counter is atomic and costs the same at any rate.
    """

    scope = "user"
    covers_all_calls = False  # then none needs to get as far as here once it is over

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
    """Every call, by person or, when anonymous, by address."""

    covers_all_calls = True

    def get_scope(self, request: Request) -> str:
        return "user" if request.user.is_authenticated else "anon"


class SendThrottle(RateThrottle):
    """Messages sent."""

    scope = "send"


class ExportThrottle(RateThrottle):
    """Exports of one's data."""

    scope = "export"


class SignUpThrottle(RateThrottle):
    """Accounts made."""

    scope = "signup"


class StartConversationThrottle(RateThrottle):
    """Conversations started."""

    scope = "conversations"


class AuthFailureThrottle(RateThrottle):
    """Calls by nobody or with a wrong token: by address, whoever they say they are."""

    scope = "anon"


def refuse_stranger(request: Request) -> None:
    """Count a call that is refused as 401, unless it was; raise Throttled beyond.

    REST framework asks its throttles only after it knows who is calling: without
    this, wrong tokens could be tried at any rate.
    """
    if getattr(request._request, "quota", None) is not None:
        return
    request.user = AnonymousUser()
    throttle = AuthFailureThrottle()
    if not throttle.allow_request(request, None):
        raise Throttled(throttle.wait())


def over(scope: str, who: str, request: HttpRequest | None = None) -> float:
    """Count a call of somebody's; return the seconds until one is allowed, 0 for now.

    What is left is noted for the request's answer.
    """
    rate = settings.THROTTLE_RATES[scope]
    if rate is None:
        return 0.0
    limit, window = rate
    seconds_left = window - time.time() % window
    counted = count(f"throttle:{scope}:{who}", window)
    if counted and request is not None:  # 0: the cache is not answering
        left = max(0, limit - counted)
        note(request, Quota(limit, left, ceil(seconds_left)))
    return seconds_left if counted > limit else 0.0


def limit_password_checks(address: str) -> None:
    """Count a password that is to be checked, right or wrong; raise TooManyAttempts.

    Each takes a processor for a tenth of a second.
    """
    if wait := over("sign_in", address):
        raise TooManyAttempts(
            "Too many sign-ins from your address. Try again later.",
            retry_after=ceil(wait),
        )


@contextmanager
def strangers_counted(request: Request, number: Callable[[], int]) -> Iterator[None]:
    """Count the strangers whom the caller adds to a conversation within.

    ``number()`` is asked only where there is a limit; there is none for role-admins.
    All are counted or none: raises Throttled where they are more than is left, or
    ChatError where they are more than the limit, and takes the count back then, or if
    what is done within fails.
    """
    rate = settings.THROTTLE_RATES["strangers"]
    strangers = 0 if rate is None or request.user.is_role_admin else number()
    if not strangers:
        yield
        return
    limit, window = rate
    if strangers > limit:  # to wait would not help
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
        if total:  # otherwise the cache is not answering
            note(request._request, Quota(limit, limit - total, ceil(seconds_left)))
        yield
    except Exception:
        if total:
            _take_back(key, strangers)
        raise


def note(request: HttpRequest, quota: Quota) -> None:
    """Keep what is left for the answer's headers: of several limits, the nearest."""
    earlier = getattr(request, "quota", None)
    if earlier is None or quota.remaining < earlier.remaining:
        request.quota = quota


def caller(request: Request | HttpRequest) -> str:
    """Return what identifies the caller: the person, or the address."""
    if request.user.is_authenticated:
        return str(request.user.pk)
    return client_network(request)


def count(key: str, seconds: int) -> int:
    """Count one more under ``key`` and return the count in this window of time.

    Windows follow this process's clock, not the cache's; what is over expires. 0
    when the shared cache is not answering, or is being emptied this moment: a limit
    is no reason to fail a call or to have it wait.
    """
    return _count(_key_now(key, seconds), seconds, 1)


def _key_now(key: str, seconds: int) -> str:
    """Return the key of the present window of time."""
    return f"{key}:{int(time.time() // seconds)}"


def _count(window: str, seconds: int, amount: int) -> int:
    try:
        return ask_cache(lambda: _add(window, seconds, amount)) or 0
    except ValueError:  # emptied between the two steps
        return 0


def _take_back(window: str, amount: int) -> None:
    with suppress(ValueError):  # over or emptied meanwhile
        ask_cache(lambda: cache.decr(window, amount))


def ask_cache(call: Callable[[], Any]) -> Any:
    """Return what the shared cache answers to ``call``.

    None when it is not answering, and for ``OUTAGE_PAUSE`` after, without asking it.
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
    except ValueError:  # the first of this window, or of several first at once
        cache.add(key, 0, timeout=seconds)
        return cache.incr(key, amount)
