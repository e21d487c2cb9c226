"""What answers get, whichever view made them."""

import os
import re
from collections.abc import Callable
from time import perf_counter

from django.conf import settings
from django.contrib.sessions import middleware as sessions
from django.http import HttpRequest, HttpResponse

from chats import metrics
from chats.exceptions import TooManyAttempts
from chats.logs import log_request, route_of
from chats.origin import originating

WELL_FORMED = re.compile(r"[A-Za-z0-9._-]{8,64}", re.ASCII)  # as X-Request-ID
METHODS = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}


class RequestMiddleware:
    """Give each request an id; note where it came from, how long it took, how it went.

    The outermost: what the others answer counts too. A proxy's ``X-Request-ID`` is
    taken where proxies are trusted, and the answer carries the id.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]):
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        began = request.META.get("chats.began") or perf_counter()
        request.request_id = request_id = request_id_of(request)
        with originating(request):
            response = self.get_response(request)
            route = route_of(request)
            seconds = perf_counter() - began
            status = f"{response.status_code // 100}xx"
            metrics.requests.labels(method_of(request), route, status).observe(seconds)
            log_request(request, response, route, seconds)
        response.headers["X-Request-ID"] = request_id
        return response


def request_id_of(request: HttpRequest) -> str:
    claimed = request.META.get("HTTP_X_REQUEST_ID", "")
    if claimed and settings.TRUSTED_PROXIES and WELL_FORMED.fullmatch(claimed):
        return claimed
    return os.urandom(8).hex()


def method_of(request: HttpRequest) -> str:
    """Return the method; ``other`` for invented ones, of which there is no end."""
    return request.method if request.method in METHODS else "other"


PROBES = {"/healthz", "/readyz", "/metrics"}


class AnyHostForProbesMiddleware:
    """Let probes and scrapers name any host: they come by address, and their answers
    contain no link.

    Comes before whatever asks for the host. Every other path is refused as ever.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]):
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if request.path_info in PROBES:
            request.get_host = lambda: request.META["SERVER_NAME"]
        return self.get_response(request)


class NoStoreMiddleware:
    """Keep personal answers out of every cache: all of ``/api/`` is personal."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]):
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        if request.path.startswith("/api"):
            response.headers.setdefault("Cache-Control", "no-store")
        return response


class SessionMiddleware(sessions.SessionMiddleware):
    """Django's, which tells the session where it is used from."""

    def process_request(self, request: HttpRequest) -> None:
        super().process_request(request)
        request.session.meta = request.META

    def process_response(
        self, request: HttpRequest, response: HttpResponse
    ) -> HttpResponse:
        if hasattr(request, "session"):  # not where an earlier middleware answered
            request.session.mark_used()
        return super().process_response(request, response)


class RateLimitMiddleware:
    """Tell callers how much of their allowance is left, where a call was counted.

    In the headers of draft-ietf-httpapi-ratelimit-headers-06; nothing is asked of
    the cache for it.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]):
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        quota = getattr(request, "quota", None)
        if quota is not None:
            response.headers["RateLimit-Limit"] = str(quota.limit)
            response.headers["RateLimit-Remaining"] = str(quota.remaining)
            response.headers["RateLimit-Reset"] = str(quota.reset)
        return response


class TooManyAttemptsMiddleware:
    """Answer 429 where a sign-in page of Django's own meets the limit on guessing,
    which it knows nothing of."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]):
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self.get_response(request)

    def process_exception(
        self, request: HttpRequest, exception: Exception
    ) -> HttpResponse | None:
        if not isinstance(exception, TooManyAttempts):
            return None
        return HttpResponse(
            exception.message,
            status=exception.status,
            content_type="text/plain; charset=utf-8",
            headers={"Retry-After": str(exception.retry_after)},
        )
