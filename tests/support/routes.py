"""Routes that several rooms call, and all those below /api/."""

import re
import uuid
from collections.abc import Iterator

from django.contrib.admindocs.views import simplify_regex
from django.urls import URLPattern, URLResolver, get_resolver

from chats.models import Conversation

USERS, CONVERSATIONS, MESSAGES = "/api/users/", "/api/conversations/", "/api/messages/"
EVENTS = "/api/events/"
STREAM = {"HTTP_ACCEPT": "text/event-stream"}
NOBODY = "01900000-0000-7000-8000-000000000000"
# What anybody may call. Making a token takes a session, or name and password.
PUBLIC = {
    ("POST", "/api/users/"),
    ("POST", "/api/auth/login/"),
    ("POST", "/api/auth/password/reset/"),
    ("POST", "/api/auth/password/reset/confirm/"),
    ("GET", "/api/schema/"),
    ("GET", "/api/docs/"),
}
METHODS = {"get", "post", "put", "patch", "delete"}


def url_of(conversation: Conversation | uuid.UUID) -> str:
    return f"{CONVERSATIONS}{getattr(conversation, 'pk', conversation)}/"


def api_calls() -> list[tuple[str, str]]:
    """Return method and path of every route below /api/, ids being nobody's."""
    return sorted(
        (method.upper(), re.sub(r"<\w+>", NOBODY, simplify_regex(route)))
        for route, pattern in walk(get_resolver(), "")
        if route.startswith("api/")
        for method in methods_of(pattern.callback)
    )


def walk(resolver: URLResolver, prefix: str) -> Iterator[tuple[str, URLPattern]]:
    for item in resolver.url_patterns:
        route = prefix + str(item.pattern).removeprefix("^")  # as resolve() has it
        if isinstance(item, URLResolver):
            yield from walk(item, route)
        else:
            yield route, item


def methods_of(callback) -> set[str]:
    actions = getattr(callback, "actions", None)
    return set(actions or vars_of(callback.cls)) & METHODS


def vars_of(cls: type) -> set[str]:
    return {name for name in METHODS if hasattr(cls, name)}
