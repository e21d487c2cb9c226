"""The origin of the current request: its address and id.

A middleware stores the request itself, which costs one assignment. The address is
determined only when it is read. Outside a request, as in a management command, both are
empty.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from django.http import HttpRequest

from chats.web.addresses import client_address

_request: ContextVar[HttpRequest | None] = ContextVar("request", default=None)


@contextmanager
def originating(request: HttpRequest) -> Iterator[None]:
    """Make this request the origin of everything done in the block."""
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
