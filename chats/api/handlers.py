"""Answers for exceptions: every error in the same form, none of them a 500."""

import hashlib
import logging
import sys
from base64 import b64encode

from django.core.exceptions import RequestDataTooBig, SuspiciousOperation
from django.db import InterfaceError, InternalError, OperationalError
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.template.loader import render_to_string
from django.urls import get_script_prefix, is_valid_path
from rest_framework import exceptions
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import exception_handler as drf_exception_handler
from rest_framework.views import set_rollback

from chats.web import metrics, throttles
from chats.web.exceptions import CHALLENGE, ChatError, HTTPSRequired

logger = logging.getLogger(__name__)

# InternalError: what PostgreSQL calls a server that is read-only, a standby, and a
# transaction that it has ended by itself.
DATABASE_DOWN = (OperationalError, InterfaceError, InternalError)
NOBODY = (exceptions.AuthenticationFailed, exceptions.NotAuthenticated)
UNAVAILABLE = {
    "detail": "The database is busy or not answering. Try again.",
    "code": "unavailable",
}
RETRY_AFTER = "1"  # seconds


def exception_handler(exc: Exception, context: dict) -> Response | None:
    """Answer an exception raised in a view.

    ``{"detail": …, "code": …}``, or ``{"field": ["…"]}`` for input; a database that
    is locked, full or gone is 503 with ``Retry-After``.
    """
    exc = counted(exc, context.get("request"))
    if isinstance(exc, ChatError):
        set_rollback()
        return chat_error_response(exc)
    if isinstance(exc, DATABASE_DOWN):
        logger.error("Database unavailable: %s", exc)
        metrics.database_unavailable.inc()
        return Response(UNAVAILABLE, 503, headers={"Retry-After": RETRY_AFTER})
    if isinstance(exc, Http404):
        exc = exceptions.NotFound()  # the same body for everything
    if isinstance(exc, RequestDataTooBig):
        return Response({"detail": "The body is too large.", "code": "too_large"}, 413)
    if isinstance(exc, SuspiciousOperation):
        exc = exceptions.ParseError("The request is malformed.")
    if isinstance(exc, exceptions.ValidationError) and isinstance(exc.detail, list):
        exc.detail = {"non_field_errors": exc.detail}
    response = drf_exception_handler(exc, context)
    if response is not None and set(response.data) == {"detail"}:
        response.data["code"] = getattr(response.data["detail"], "code", "error")
    return response


def counted(exc: Exception, request: Request | None) -> Exception:
    """Return the exception, or Throttled if the address has too many such failures."""
    if isinstance(exc, NOBODY):
        try:
            throttles.throttle_auth_failure(request)
        except exceptions.Throttled as throttled:
            return throttled
    return exc


def chat_error_response(exc: ChatError) -> Response:
    headers = {}
    if exc.retry_after is not None:
        headers["Retry-After"] = str(exc.retry_after)
    if exc.status == 401:
        headers["WWW-Authenticate"] = CHALLENGE
    if exc.field:
        data = {exc.field: [exc.message]}
    else:
        data = {"detail": exc.message, "code": exc.code}
    response = Response(data, exc.status, headers=headers)
    if exc.status == 503:
        logger.warning("Refused: %s", exc)
        response._has_been_logged = True  # Django would log it as an error
    return response


# --- Outside the API's views: JSON below /api/, a web page elsewhere ---------------


def server_error(request: HttpRequest) -> HttpResponse:
    """Answer a failure outside a view, such as reading the session (handler500)."""
    if isinstance(sys.exc_info()[1], DATABASE_DOWN):
        metrics.database_unavailable.inc()
        headers = {"Retry-After": RETRY_AFTER}
        return JsonResponse(UNAVAILABLE, status=503, headers=headers)
    return error(request, 500, "Server error.", "error")


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Answer an unknown path; below ``/api/`` as the API's views do (handler404).

    A write to a path without its final slash is not redirected: the answer names the
    path. Reads have been redirected before.
    """
    detail = "Not found."
    if is_valid_path(f"{request.path_info}/"):
        detail = f"Not found. The path must end with a slash: {request.path}/"
    return error(request, 404, detail, "not_found")


def forbidden(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Answer callers who may not do this (handler403)."""
    if isinstance(exception, HTTPSRequired):
        return error(request, 403, "HTTPS is required.", "https_required")
    detail = exceptions.PermissionDenied.default_detail
    return error(request, 403, detail, "permission_denied")


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    """Answer a form without a valid CSRF token (CSRF_FAILURE_VIEW)."""
    return error(request, 403, f"CSRF failed: {reason}", "permission_denied", "csrf")


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Answer requests that Django refuses, as for a wrong host name (handler400)."""
    return error(request, 400, "The request is malformed.", "parse_error")


# The colours of the web client, in the system's theme.
STYLE = """
:root {
  color-scheme: light dark; font: 16px/1.5 Inter, system-ui, sans-serif;
  --page: #eef0f5; --panel: #ffffff; --text: #1b1e28; --soft: #5a6072;
  --accent: #4950c9; --on-accent: #ffffff; --shadow: 0 1px 2px #1b1e2814;
}
@media (prefers-color-scheme: dark) {
  :root {
    --page: #111319; --panel: #191c24; --text: #e8eaf1; --soft: #a2a9ba;
    --accent: #a3a8ff; --on-accent: #14162b; --shadow: none;
  }
}
* { box-sizing: border-box; margin: 0; }
body {
  display: grid; place-items: center; min-height: 100vh; padding: 16px;
  background: var(--page); color: var(--text);
}
main {
  display: grid; gap: 16px; width: 100%; max-width: 460px; padding: 32px;
  background: var(--panel); border-radius: 24px; box-shadow: var(--shadow);
  overflow-wrap: anywhere;
}
h1 { font-size: 24px; line-height: 1.25; }
h1::before {
  content: ""; display: block; width: 32px; height: 29px; margin-bottom: 16px;
  border-radius: 50% 50% 50% 20%; background: var(--accent);
}
a {
  display: inline-block; padding: 11px 20px; border-radius: 10px; font-weight: 600;
  background: var(--accent); color: var(--on-accent); text-decoration: none;
}
a:focus-visible { outline: 2px solid var(--accent); outline-offset: 2px; }
small { color: var(--soft); font-size: 13px; }
@media (forced-colors: active) { main, a { border: 1px solid; } }
"""
# Only that style: the pages need no files, so they work whatever has failed.
STYLE_HASH = b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
PAGE_POLICY = (
    f"default-src 'none'; style-src 'sha256-{STYLE_HASH}'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'"
)


def error(
    request: HttpRequest, status: int, detail: str, code: str, why: str = ""
) -> HttpResponse:
    """Answer an error in the format of the path; ``why`` selects the text of the page.

    The page uses only the id of the request: no session, no database.
    """
    if f"{request.path_info}/".startswith("/api/"):
        return JsonResponse({"detail": detail, "code": code}, status=status)
    words = {
        "status": status,
        "why": why or str(status),
        "style": STYLE,
        "start": get_script_prefix(),
        "request_id": getattr(request, "request_id", ""),
    }
    headers = {"Content-Security-Policy": PAGE_POLICY, "Cache-Control": "no-store"}
    page = render_to_string("chats/error.html", words)
    return HttpResponse(page, status=status, headers=headers)
