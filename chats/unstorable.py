"""Values from a browser that no database can hold or look for."""

import logging
from collections.abc import Callable

from django.db import DataError
from django.http import HttpRequest, HttpResponse

from chats import handlers

logger = logging.getLogger(__name__)


class UnstorableValuesMiddleware:
    """Answer 400 where a page meets a value that its database can neither hold nor
    look for: a NUL, a number of 30 digits, a date beyond the calendar.

    The API's serializers refuse such values, with the field at fault; Django's own
    pages do not always. Comes last, so that nothing has been made of the failure.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]):
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self.get_response(request)

    def process_exception(
        self, request: HttpRequest, exception: Exception
    ) -> HttpResponse | None:
        is_page = request.path_info.startswith(("/admin/", "/api-auth/"))
        if not is_page or not isinstance(exception, DataError | OverflowError):
            return None
        logger.warning("Refused: %s", exception)
        return handlers.bad_request(request, exception)
