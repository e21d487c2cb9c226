"""Web pages: their security policy, and input that no database can store."""

import logging
from collections.abc import Callable

from django.conf import settings
from django.db import DataError
from django.http import HttpRequest, HttpResponse

from chats.api import handlers

logger = logging.getLogger(__name__)

# Content-Security-Policy (level 3): only files of this server, and no scripts or styles
# in the markup.
STRICT = {
    "default-src": "'none'",
    "script-src": "'self'",
    "style-src": "'self'",
    "img-src": "'self' data:",
    "connect-src": "'self'",
    "font-src": "'self'",
    "base-uri": "'none'",
    "form-action": "'self'",
    "frame-ancestors": "'none'",
}
# REST framework's pages and Swagger UI have styles in their markup, but no scripts.
STYLED = STRICT | {"style-src": "'self' 'unsafe-inline'"}
STYLED_PATHS = ("/api/", "/api-auth/")
PERMISSIONS = "camera=(), geolocation=(), microphone=(), payment=(), usb=()"
# Django's own pages, whose forms and URLs are not validated by serializers.
DJANGOS = ("/admin/", "/api-auth/")


def written(policy: dict[str, str]) -> str:
    return "; ".join(f"{name} {sources}" for name, sources in policy.items())


class PageMiddleware:
    """Set the policy of each HTML answer, unless its view has set a stricter one.

    With DEBUG, Django's own error pages have none, since they need their scripts.

    If one of Django's pages gets a value that the database can neither store nor look
    up (a NUL, a number of 30 digits, a date after the year 9999), the answer is 400.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]):
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        is_page = response.headers.get("Content-Type", "").startswith("text/html")
        if not is_page or (settings.DEBUG and response.status_code >= 400):
            return response
        is_styled = request.path_info.startswith(STYLED_PATHS)
        policy = written(STYLED if is_styled else STRICT)
        response.headers.setdefault("Content-Security-Policy", policy)
        response.headers.setdefault("Permissions-Policy", PERMISSIONS)
        return response

    def process_exception(
        self, request: HttpRequest, exception: Exception
    ) -> HttpResponse | None:
        is_value = isinstance(exception, DataError | OverflowError)
        if not is_value or not request.path_info.startswith(DJANGOS):
            return None
        logger.warning("Refused: %s", exception)
        return handlers.bad_request(request, exception)
