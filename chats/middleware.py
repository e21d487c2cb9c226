"""What answers get, whichever view made them."""

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse

from chats.exceptions import TooManyAttempts

PROBES = {"/healthz", "/readyz"}


class AnyHostForProbesMiddleware:
    """Let health probes name any host: they come by address, and get no link back.

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
