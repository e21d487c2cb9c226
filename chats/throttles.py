"""How often one caller may call: counters in the cache, atomic and constant in cost."""

import logging
import time

from django.conf import settings
from django.core.cache import cache
from redis.exceptions import RedisError
from rest_framework.request import Request
from rest_framework.throttling import BaseThrottle

from chats.addresses import client_address

logger = logging.getLogger(__name__)


class RateThrottle(BaseThrottle):
    """Counts calls per caller in windows of fixed length.

    DRF's throttles keep a list of times, rewritten at every call without a lock;
    one counter is atomic and costs the same at any rate.
    """

    scope = "user"

    def get_scope(self, request: Request) -> str:
        return self.scope

    def allow_request(self, request: Request, view) -> bool:
        scope = self.get_scope(request)
        rate = settings.THROTTLE_RATES[scope]
        if rate is None:
            return True
        limit, window = rate
        self.seconds_left = window - time.time() % window
        return count(f"throttle:{scope}:{caller(request)}", window) <= limit

    def wait(self) -> float:
        return self.seconds_left


class CallerThrottle(RateThrottle):
    """Every call, by person or, when anonymous, by address."""

    def get_scope(self, request: Request) -> str:
        return "user" if request.user.is_authenticated else "anon"


class SendThrottle(RateThrottle):
    """Messages sent."""

    scope = "send"


class SignUpThrottle(RateThrottle):
    """Accounts made."""

    scope = "signup"


def caller(request: Request) -> str:
    """Return what identifies the caller: the person, or the address."""
    if request.user.is_authenticated:
        return str(request.user.pk)
    return client_address(request)


def count(key: str, seconds: int) -> int:
    """Count one more under ``key`` and return the count in this window of time.

    Windows follow this process's clock, not the cache's; what is over expires. 0
    when the shared cache is not answering: a limit is no reason to fail a call.
    """
    try:
        return _count(f"{key}:{int(time.time() // seconds)}", seconds)
    except RedisError as error:
        logger.warning("Throttles are off, the cache is not answering: %s", error)
        return 0


def _count(key: str, seconds: int) -> int:
    try:
        return cache.incr(key)
    except ValueError:  # the first of this window, or of several first at once
        cache.add(key, 0, timeout=seconds)
        return cache.incr(key)
