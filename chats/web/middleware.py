"""Middleware: what applies to all requests and responses, whatever their view."""

import os
import re
from collections.abc import Callable
from functools import partial
from math import ceil
from time import perf_counter, time
from typing import Any

from django.conf import settings
from django.contrib.sessions import middleware as sessions
from django.core.exceptions import MiddlewareNotUsed
from django.http import HttpRequest, HttpResponse
from django.middleware import common
from django.utils.cache import patch_vary_headers

from chats.web import compression, metrics
from chats.web.callers import note_person, note_refusal
from chats.web.exceptions import HTTPSRequired, TooManyAttempts
from chats.web.logs import log_request, route_of
from chats.web.origin import originating
from chats.web.throttles import caller, over

WELL_FORMED = re.compile(r"[A-Za-z0-9._-]{8,64}", re.ASCII)  # as X-Request-ID
REDIRECTED = {"GET", "HEAD"}  # clients do not repeat other methods at the new URL
METHODS = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}


class RequestMiddleware:
    """Give each request an id, and record its origin, duration and status.

    This is the outermost middleware, so responses of other middleware are recorded too.
    ``X-Request-ID`` of the request is used if proxies are trusted. The response has the
    id in the same header.
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
        response._resource_closers.append(partial(break_reference_cycles, response))
        return response


def break_reference_cycles(response: Any) -> None:
    """Break the reference cycles between REST framework's view, requests and response.

    Called when the response is closed. It empties all of them, so they are freed at
    once. Otherwise a garbage collection would have to find them: 240 objects for a
    page, 50,000 at a time, while every call waits 30 to 80 ms. Responses without a
    ``renderer_context`` are left to the garbage collection.
    """
    if context := getattr(response, "renderer_context", None):
        request = context["request"]
        for part in (context["view"], request._request, request):
            vars(part).clear()
        context.clear()


def request_id_of(request: HttpRequest) -> str:
    claimed = request.META.get("HTTP_X_REQUEST_ID", "")
    if claimed and settings.TRUSTED_PROXIES and WELL_FORMED.fullmatch(claimed):
        return claimed
    return os.urandom(8).hex()


def method_of(request: HttpRequest) -> str:
    """Return the method, or ``other`` if unknown: metrics need few distinct labels."""
    return request.method if request.method in METHODS else "other"


PROBES = {"/healthz", "/readyz", "/metrics"}


class AnyHostForProbesMiddleware:
    """Accept any Host header for health probes and metrics.

    Probes and scrapers connect by address, and their responses contain no links. Place
    it before any middleware that reads the host. All other paths still require an
    allowed host.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]):
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if request.path_info in PROBES:
            request.get_host = lambda: request.META["SERVER_NAME"]
        return self.get_response(request)


class NoStoreMiddleware:
    """Keep responses below ``/api`` out of all caches: they are personal."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]):
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        if request.path_info.startswith("/api"):
            response.headers.setdefault("Cache-Control", "no-store")
        return response


class HTTPSMiddleware:
    """Refuse writes over plain HTTP, which SecurityMiddleware would redirect.

    Place it just before SecurityMiddleware. Most clients follow a 301 with GET, so the
    call would seem to work while nothing is written. Raises HTTPSRequired.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]):
        if not settings.SECURE_SSL_REDIRECT:
            raise MiddlewareNotUsed
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        if response.status_code == 301 and request.method not in REDIRECTED:
            raise HTTPSRequired
        return response


class CommonMiddleware(common.CommonMiddleware):
    """Django's, but it appends a missing slash by redirect for reads only."""

    def should_redirect_with_slash(self, request: HttpRequest) -> bool:
        return request.method in REDIRECTED and super().should_redirect_with_slash(
            request
        )


# Not text/event-stream: the first chunk of an open stream would be a whole gzip file.
COMPRESSED = (
    "application/json",
    "application/vnd.oai.openapi",
    "application/yaml",
    "text/html",
    "text/plain",
)


class CompressionMiddleware:
    """Compress large responses for clients that accept gzip; never streamed ones.

    Django's own middleware would compress the event stream too, and its higher level
    takes three times as long.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]):
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        if not response.streaming and len(response.content) >= compression.SMALLEST:
            compress(request, response)
        return response


def compress(request: HttpRequest, response: HttpResponse) -> None:
    """Compress the response if the client accepts gzip, and set Vary either way."""
    headers = response.headers
    kind = headers.get("Content-Type", "")
    if "Content-Encoding" in headers or not kind.startswith(COMPRESSED):
        return
    patch_vary_headers(response, ("Accept-Encoding",))
    if not compression.accepts_gzip(request.META.get("HTTP_ACCEPT_ENCODING", "")):
        return
    response.content = compression.compressed(response.content)
    headers["Content-Length"] = str(len(response.content))
    headers["Content-Encoding"] = "gzip"
    if etag := headers.get("ETag"):
        headers["ETag"] = f"W/{etag.removeprefix('W/')}"


class SessionMiddleware(sessions.SessionMiddleware):
    """Django's, but it also gives the session the origin of the request."""

    def process_request(self, request: HttpRequest) -> None:
        super().process_request(request)
        request.session.meta = request.META

    def process_response(
        self, request: HttpRequest, response: HttpResponse
    ) -> HttpResponse:
        if hasattr(request, "session"):  # missing if an earlier middleware answered
            request.session.mark_used()
            if (user := getattr(request, "_cached_user", None)) and user.pk:
                note_person(request.META, "session", user.pk)
        return super().process_response(request, response)


class RateLimitMiddleware:
    """Add headers with the caller's remaining allowance, if the call was counted.

    The headers are those of draft-ietf-httpapi-ratelimit-headers-06. This makes no
    access to the cache.
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


class ThrottleMiddleware:
    """Throttle requests for pages; the views throttle ``/api/``.

    Place it after authentication: signed-in users count by user, others by address.
    Health probes are not counted. It also answers 429 when TooManyAttempts is raised in
    one of Django's own sign-in pages, which do not handle it.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]):
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        path = request.path_info
        if path.startswith("/api/") or path in PROBES:
            return self.get_response(request)
        scope = "user" if request.user.is_authenticated else "anon"
        who = caller(request)
        if wait := over(scope, who, request):
            note_refusal(request.META, who, time() + wait)
            return too_many("Too many calls. Try again later.", ceil(wait))
        return self.get_response(request)

    def process_exception(
        self, request: HttpRequest, exception: Exception
    ) -> HttpResponse | None:
        if not isinstance(exception, TooManyAttempts):
            return None
        return too_many(exception.message, exception.retry_after, exception.status)


def too_many(message: str, retry_after: int, status: int = 429) -> HttpResponse:
    return HttpResponse(
        message,
        status=status,
        content_type="text/plain; charset=utf-8",
        headers={"Retry-After": str(retry_after)},
    )
