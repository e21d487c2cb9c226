"""Where the call being worked on came from: set by a middleware, read where needed.

It is the request itself that is kept, so a call that nobody asks about costs one
assignment; the address is worked out when it is read. Outside a request, as in a
command of ``manage.py``, both are empty.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from django.http import HttpRequest

from chats.web.addresses import client_address

_request: ContextVar[HttpRequest | None] = ContextVar("request", default=None)


@contextmanager
def originating(request: HttpRequest) -> Iterator[None]:
    """Have this request be the origin of what is done within."""
    token = _request.set(request)
    try:
        yield
    finally:
        _request.reset(token)


def address() -> str:
    request = _request.get()
    return client_address(request.META) if request else ""


def request_id() -> str:
    request = _request.get()
    return getattr(request, "request_id", "") if request else ""
