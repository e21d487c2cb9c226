"""The log as one JSON object a line: what was asked, by whom, and how it went.

Of a request: the route (the pattern, without the ids in it), never the query, headers
or bodies. Who it was and from where is in it.
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
    """A record as one line of JSON; what is in ``record.fields`` stands beside."""

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
    """Lets one warning of a logger through in a second, and other levels always.

    For what any client can have the server log, as often as it likes.
    """

    def __init__(self, level: int = logging.WARNING):
        """Hold back what is a warning, or above it up to this level."""
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
    """Return a route for people: ``/api/users/<user_id>/``."""
    return simplify_regex(route)


def route_of(request: HttpRequest) -> str:
    """Return the pattern that matched; nothing for a path that is no route."""
    match = request.resolver_match
    return simplified(match.route) if match else ""


def log_request(
    request: HttpRequest, response: HttpResponseBase, route: str, seconds: float
) -> None:
    """Write the line of a request, where lines are JSON; a stream's at its opening."""
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
    """Write the line of a stream that has closed; its opening was a request."""
    if settings.LOG_FORMAT == "json":
        fields = {
            "request_id": request_id,
            "user_id": user_id,
            "reason": why,
            "duration_ms": round(seconds * 1000, 2),
        }
        access.info("stream closed", extra={"fields": fields})


def user_id_of(request: HttpRequest):
    """Return who called, as far as that was found out; no query for it here."""
    user = getattr(request, "_cached_user", None) or request.__dict__.get("user")
    # The class of one not looked up yet has no such attribute, and asks nobody.
    return user.pk if hasattr(type(user), "pk") else None
