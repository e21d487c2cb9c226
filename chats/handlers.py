"""From exceptions to answers: every error in one shape, none of them a 500."""

import logging
import sys

from django.core.exceptions import RequestDataTooBig, SuspiciousOperation
from django.db import InterfaceError, InternalError, OperationalError
from django.http import Http404, HttpRequest, JsonResponse
from django.views import defaults
from rest_framework import exceptions
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import exception_handler as drf_exception_handler
from rest_framework.views import set_rollback

from chats import metrics, throttles
from chats.exceptions import ChatError

logger = logging.getLogger(__name__)

# InternalError: PostgreSQL's word for a server that may only be read, a standby, and
# for a transaction that it has ended by itself.
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
        exc = exceptions.NotFound()  # one body, whatever was looked for
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
    """Return the exception; Throttled if it is one of too many by nobody."""
    if isinstance(exc, NOBODY):
        try:
            throttles.refuse_stranger(request)
        except exceptions.Throttled as throttled:
            return throttled
    return exc


def chat_error_response(exc: ChatError) -> Response:
    headers = {}
    if exc.retry_after is not None:
        headers["Retry-After"] = str(exc.retry_after)
    if exc.status == 401:
        headers["WWW-Authenticate"] = "Token"
    if exc.field:
        data = {exc.field: [exc.message]}
    else:
        data = {"detail": exc.message, "code": exc.code}
    response = Response(data, exc.status, headers=headers)
    if exc.status == 503:
        logger.warning("Refused: %s", exc)
        response._has_been_logged = True  # by Django it would be, as an error
    return response


def server_error(request: HttpRequest):
    """Answer what failed outside a view, such as reading the session (handler500)."""
    if isinstance(sys.exc_info()[1], DATABASE_DOWN):
        metrics.database_unavailable.inc()
        headers = {"Retry-After": RETRY_AFTER}
        return JsonResponse(UNAVAILABLE, status=503, headers=headers)
    if request.path.startswith("/api/"):
        return JsonResponse({"detail": "Server error.", "code": "error"}, status=500)
    return defaults.server_error(request)


def not_found(request: HttpRequest, exception: Exception):
    """Answer a path under ``/api/`` that is no route as one that is (handler404)."""
    if request.path.startswith("/api/"):
        body = {"detail": "Not found.", "code": "not_found"}
        return JsonResponse(body, status=404)
    return defaults.page_not_found(request, exception)


def bad_request(request: HttpRequest, exception: Exception):
    """Answer what Django itself refuses, such as a wrong host name (handler400)."""
    if request.path.startswith("/api/"):
        body = {"detail": "The request is malformed.", "code": "parse_error"}
        return JsonResponse(body, status=400)
    return defaults.bad_request(request, exception)
