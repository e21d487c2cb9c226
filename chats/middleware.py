"""What every answer gets, whichever view made it."""

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse


class NoStoreMiddleware:
    """Keep personal answers out of every cache: all of ``/api/`` is personal."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]):
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        if request.path.startswith("/api"):
            response.headers.setdefault("Cache-Control", "no-store")
        return response
