"""The log, with one JSON object a line.

The line of a request has the route (the pattern, without the ids), the status, the
user and the address. It never has the query, headers or bodies.
"""

import logging
from datetime import UTC, datetime
from functools import lru_cache

from django.conf import settings
from django.contrib.admindocs.views import simplify_regex
from django.http import HttpRequest, HttpResponseBase

from chats.web import origin
from chats.web.addresses import client_address
from chats.web.encoding import to_json

access = logging.getLogger("chats.access")


class JSONFormatter(logging.Formatter):
    """Formats a record as one line of JSON, including its ``record.fields``."""

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": datetime.fromtimestamp(record.created, UTC),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        if request_id := origin.request_id():
            line["request_id"] = request_id
        line |= getattr(record, "fields", {})
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return to_json(line).decode()


class OnceASecond(logging.Filter):
    """Passes at most one warning a second for each logger; other levels always pass.

    For warnings that any client can cause as often as it likes.
    """

    def __init__(self, level: int = logging.WARNING):
        """Limit records from WARNING up to and including ``level``."""
        super().__init__()
        self._level = level
        self._last: dict[str, float] = {}  # by logger

    def filter(self, record: logging.LogRecord) -> bool:
        if not logging.WARNING <= record.levelno <= self._level:
            return True
        if record.created - self._last.get(record.name, 0.0) < 1:
            return False
        self._last[record.name] = record.created
        return True


@lru_cache(maxsize=1000)
def simplified(route: str) -> str:
    """Return a route in readable form: ``/api/users/<user_id>/``."""
    return simplify_regex(route)


def route_of(request: HttpRequest) -> str:
    """Return the pattern that matched; "" if the path has no route."""
    match = request.resolver_match
    return simplified(match.route) if match else ""


def log_request(
    request: HttpRequest, response: HttpResponseBase, route: str, seconds: float
) -> None:
    """Log a request, if the log is in JSON; a stream's request when it opens."""
    if settings.LOG_FORMAT != "json":
        return
    user_id = user_id_of(request)
    fields = {
        "request_id": request.request_id,
        "method": request.method,
        "route": route,
        "status": response.status_code,
        "duration_ms": round(seconds * 1000, 2),
        "user_id": user_id,
        "address": client_address(request.META),
        "bytes": None if response.streaming else len(response.content),
    }
    access.info("request", extra={"fields": fields})


def log_stream_end(user_id, request_id: str, why: str, seconds: float) -> None:
    """Log the end of a stream, if the log is in JSON."""
    if settings.LOG_FORMAT == "json":
        fields = {
            "request_id": request_id,
            "user_id": user_id,
            "reason": why,
            "duration_ms": round(seconds * 1000, 2),
        }
        access.info("stream closed", extra={"fields": fields})


def user_id_of(request: HttpRequest):
    """Return the caller's id, if it is already known; this makes no query."""
    user = getattr(request, "_cached_user", None) or request.__dict__.get("user")
    # Checked on the class: on an unevaluated lazy user it would make a query.
    return user.pk if hasattr(type(user), "pk") else None
