"""The routes as the shell needs them: their mount point and their cost.

Views declare their cost with an attribute of their class or function: ``is_slow`` if
responses take long, ``hashes_passwords`` if a write may hash a password.
"""

import re
from collections.abc import Iterable, Iterator
from functools import cached_property
from typing import Any
from urllib.parse import unquote_to_bytes

from django.conf import settings
from django.urls import URLPattern, URLResolver, get_resolver

MOST_ROWS = 100  # of one response; with more it counts as slow
SIZE = re.compile(rb"(?:^|&)(?:page_size|limit)=([0-9]{1,9})(?![0-9])")
WRITES = {"POST", "PUT", "PATCH", "DELETE"}
# Pages of Django and REST framework, which do not have these attributes.
PAGES = {"admin", "rest_framework"}
HASHING_PAGES = {"login", "password_change"}

Scope = dict[str, Any]
Route = URLPattern | URLResolver


class Routes:
    """The routes of the URLconf, collected once."""

    def lane_of(self, scope: Scope) -> str:
        """Return the thread pool for a call: ``quick``, ``slow`` or ``sign-in``.

        Calls that may hash a password go to ``sign-in``, calls that read much to
        ``slow``.
        """
        path, query = scope["path"], unquote_to_bytes(scope["query_string"])
        if scope["method"] in WRITES and self._hashing.match(path):
            return "sign-in"
        if b"search=" in query or any(int(n) > MOST_ROWS for n in SIZE.findall(query)):
            return "slow"
        return "slow" if self._slow.match(path) else "quick"

    def path_of(self, scope: Scope) -> str:
        """Return the path below the application's mount point.

        uvicorn prepends its ``--root-path`` to each path. If the proxy in front has not
        removed it, the path then has it twice, and both are removed. The second is kept
        if the root path is also the first part of one of the application's routes.
        """
        root = scope.get("root_path", "").rstrip("/")
        path = below(root, scope["path"])
        return path if root in self._roots else below(root, path)

    @cached_property
    def _roots(self) -> set[str]:
        """The first part of each path, such as ``/api``."""
        paths = [re.sub(r"\\Z|\\", "", path) for path, _ in self._routes]
        return {f"/{path.split('/')[1]}" for path in [*paths, settings.STATIC_URL]}

    @cached_property
    def _slow(self) -> re.Pattern:
        return _any_of(path for path, route in self._routes if _is_slow(route))

    @cached_property
    def _hashing(self) -> re.Pattern:
        return _any_of(path for path, route in self._routes if _hashes(route))

    @cached_property
    def _routes(self) -> list[tuple[str, Route]]:
        return list(_routes_of(get_resolver(), "/"))


def _routes_of(resolver: URLResolver, prefix: str) -> Iterator[tuple[str, Route]]:
    """Yield each route with a regular expression of its path, or of a prefix."""
    for route in resolver.url_patterns:
        own = route.pattern.regex.pattern.removeprefix("^")
        path = prefix + re.sub(r"\(\?P<\w+>", "(?:", own)
        yield path, route
        if isinstance(route, URLResolver):
            yield from _routes_of(route, path)


def _is_slow(route: Route) -> bool:
    if isinstance(route, URLResolver):
        return route.namespace in PAGES
    return getattr(_view(route), "is_slow", False)


def _hashes(route: Route) -> bool:
    if isinstance(route, URLResolver):
        return False
    is_page = route.name in HASHING_PAGES
    return is_page or getattr(_view(route), "hashes_passwords", False)


def _view(route: URLPattern) -> Any:
    """Return the class of a view, or the view itself if it is a function."""
    view = route.callback
    return getattr(view, "cls", None) or getattr(view, "view_class", view)


def _any_of(paths: Iterable[str]) -> re.Pattern:
    return re.compile("|".join(f"(?:{path})" for path in paths))


def below(root: str, path: str) -> str:
    """Return the path without the root, if the path is below it."""
    return path.removeprefix(root) if path.startswith(f"{root}/") else path
