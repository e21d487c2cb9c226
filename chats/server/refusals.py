"""Refusals by the shell, before Django is called, in the API's usual error format."""

import contextlib
from math import ceil
from typing import Any

from corsheaders.middleware import CorsMiddleware
from django.core.handlers.wsgi import WSGIRequest
from django.http import HttpRequest, HttpResponse
from django.urls import Resolver404, resolve

from chats.realtime.streams import HEADERS, MEDIA_TYPE, ending
from chats.web.encoding import to_json
from chats.web.middleware import NoStoreMiddleware, RequestMiddleware

# By status: the detail and the code.
REFUSALS = {
    400: ("The request ended before its body was complete.", "incomplete"),
    408: ("The body took too long to arrive.", "timeout"),
    413: ("The body is too large.", "too_large"),
    429: (
        "Request was throttled. Expected available in {seconds} seconds.",
        "throttled",
    ),
    503: ("Too many calls at once. Try again.", "busy"),
}
AMBIGUOUS = (
    "Content-Length and Transfer-Encoding cannot be used together.",
    "parse_error",
)
PASSING = {429, 503}  # temporary: the client may retry


class Refused(Exception):
    """The shell refuses the request; ``retry_after`` is in seconds.

    ``words`` are the detail and the code, if they differ from those in ``REFUSALS``.
    """

    def __init__(
        self,
        status: int,
        words: tuple[str, str] | None = None,
        *,
        retry_after: float = 1.0,
    ):
        super().__init__(status)
        self.status, self.retry_after = status, ceil(retry_after)
        detail, self.code = words or REFUSALS[status]
        self.detail = detail.format(seconds=self.retry_after)


def answer_to(environ: dict[str, Any], refusal: Refused) -> HttpResponse:
    """Return the response to a refused request.

    It passes only the middleware that every response needs: for the request id, the
    log, the metrics, and the CORS headers without which a page cannot read it.
    """
    # Django would decode the query string with the charset of the Content-Type.
    request = WSGIRequest(environ | {"CONTENT_TYPE": ""})
    is_passing = refusal.status in PASSING
    if is_passing and asks_for_stream(request):
        response = end_of_stream(refusal)
    else:
        body = to_json({"detail": refusal.detail, "code": refusal.code})
        response = HttpResponse(body, "application/json", refusal.status)
        if is_passing:
            response.headers["Retry-After"] = str(refusal.retry_after)
    response.headers["Content-Length"] = str(len(response.content))
    response.headers["Connection"] = "close"  # the request's body may be unread
    with contextlib.suppress(Resolver404):
        request.resolver_match = resolve(request.path_info)
    readable = CorsMiddleware(lambda _: response)
    return RequestMiddleware(NoStoreMiddleware(readable))(request)


def asks_for_stream(request: HttpRequest) -> bool:
    return (
        request.method == "GET"
        and request.path_info == "/api/events/"
        and "text/event-stream" in request.headers.get("Accept", "")
    )


def end_of_stream(refusal: Refused) -> HttpResponse:
    """Return a stream that ends at once: for an error status EventSource gives up."""
    return HttpResponse(
        ending(refusal.code, 1000 * refusal.retry_after, refusal.detail),
        content_type=MEDIA_TYPE,
        headers=HEADERS,
    )
