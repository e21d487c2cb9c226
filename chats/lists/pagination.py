"""Cursor pagination: page N costs what page 1 costs."""

import base64
import json
from collections.abc import Iterable
from datetime import UTC, datetime
from functools import cache
from typing import Any

from django.core.exceptions import ValidationError as FieldError
from django.db.models import Model, QuerySet
from django.utils import timezone
from rest_framework.exceptions import ValidationError
from rest_framework.pagination import BasePagination
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.utils.urls import remove_query_param, replace_query_param

from chats.lists.keyset import Pages, QuerySetPages, Slice
from chats.web.parameters import check_parameters
from chats.web.sizes import fitting

DEFAULT_PAGE_SIZE = 50
MAX_PAGE_SIZE = 200


class KeysetPagination(BasePagination):
    """Pages through a list in its own order, by the values at the page's edge.

    The order must be total and of one direction, such as ``-sent_at, -message_id``,
    and have an index. DRF's own cursors compare the first column only and skip ties by
    an offset; these compare all columns. If the page of a search is not full, the next
    one continues where it stopped looking.
    """

    path = "/api/messages/"  # of the list, for the schema's example

    def paginate_queryset(self, queryset: QuerySet | Pages, request, view=None):
        check_parameters(request, known_to(getattr(view, "filterset_class", None)))
        self.url = request.build_absolute_uri()
        size = size_of(
            request, "page_size", default=DEFAULT_PAGE_SIZE, maximum=MAX_PAGE_SIZE
        )
        is_pages = isinstance(queryset, Pages)
        pages = queryset if is_pages else QuerySetPages(queryset)
        self.ordering = pages.ordering
        cursor = request.query_params.get("cursor")
        backward, edge = (
            decode_cursor(cursor, pages.model, self.ordering)
            if cursor
            else (False, None)
        )
        found = _shortened(pages.read(edge, backward=backward, size=size))
        near, far = self._ends(found)
        ahead = far if found.has_more or found.stop else None
        behind = near if edge else None
        self.next, self.previous = (behind, ahead) if backward else (ahead, behind)
        return found.rows[::-1] if backward else found.rows

    def _ends(self, found: Slice) -> tuple[list | None, list | None]:
        """Return the values at the first and the last row, in the order of reading."""
        if not found.rows:
            return found.stop, found.stop
        first, last = (
            [value_of(row, key.lstrip("-")) for key in self.ordering]
            for row in (found.rows[0], found.rows[-1])
        )
        return first, found.stop or last

    def get_paginated_response(self, data: list) -> Response:
        return Response(
            {
                "next": self.next and self.link(self.next, backward=False),
                "previous": self.previous and self.link(self.previous, backward=True),
                "results": data,
            }
        )

    def link(self, values: list, *, backward: bool) -> str:
        cursor = encode_cursor(backward, self.ordering, values)
        url = remove_query_param(self.url, "cursor")
        return replace_query_param(url, "cursor", cursor)

    def get_paginated_response_schema(self, schema: dict) -> dict:
        link = {"type": ["string", "null"], "format": "uri"}
        return {
            "type": "object",
            "required": ["next", "previous", "results"],
            "properties": {
                "next": link
                | {
                    "description": "The next page, if there is one.",
                    "example": f"https://example.org{self.path}?cursor=WzEsMl0",
                },
                "previous": link
                | {
                    "description": "The previous page, if there is one.",
                    "example": None,
                },
                "results": schema,
            },
        }

    def get_schema_operation_parameters(self, view) -> list[dict]:
        return [
            {
                "name": "cursor",
                "in": "query",
                "required": False,
                "description": "The start of the page, from `next` or `previous`.",
                "schema": {"type": "string", "minLength": 1},
            },
            {
                "name": "page_size",
                "in": "query",
                "required": False,
                "description": "The maximum number of results; fewer if they are long.",
                "schema": {
                    "type": "integer",
                    "minimum": 1,
                    "maximum": MAX_PAGE_SIZE,
                    "default": DEFAULT_PAGE_SIZE,
                },
            },
        ]


@cache
def known_to(filterset_class: type | None) -> dict[str, None]:
    """Return the names of a list's parameters, in the order of the error message."""
    own: Iterable[str] = ()
    if filterset_class is not None:
        own = (*filterset_class.base_filters, *filterset_class.aliases)
    return dict.fromkeys((*own, "cursor", "page_size"))


def size_of(request: Request, name: str, *, default: int, maximum: int) -> int:
    """Return the value of a parameter for a size, or raise ValidationError on it."""
    text = request.query_params.get(name, str(default))
    is_number = text.isascii() and text.isdecimal() and len(text) < 10
    if not is_number or not 1 <= int(text) <= maximum:
        raise ValidationError({name: [f"Must be a whole number from 1 to {maximum}."]})
    return int(text)


def _shortened(found: Slice) -> Slice:
    """Return as many of the rows as make a page of bounded size.

    Users, which are not dicts, have no long texts.
    """
    rows = found.rows
    if not rows or not isinstance(rows[0], dict):
        return found
    count = fitting(rows)
    return found if count == len(rows) else Slice(rows[:count], has_more=True)


def value_of(row: Any, name: str) -> Any:
    return row[name] if isinstance(row, dict) else getattr(row, name)


def encode_cursor(backward: bool, ordering: list[str], values: list) -> str:
    parts = [int(backward), ",".join(ordering), *map(str, values)]
    text = json.dumps(parts, separators=(",", ":"))
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def decode_cursor(
    cursor: str, model: type[Model], ordering: list[str]
) -> tuple[bool, list]:
    """Return the direction and the values, or raise ValidationError on ``cursor``.

    A cursor names its order, so one of another list is a 400. Each value is cleaned by
    its model field. A forged cursor reveals nothing: it only moves within what the
    queryset shows anyway.
    """
    try:
        text = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
        backward, order, *values = json.loads(text)
        if backward not in (0, 1) or order != ",".join(ordering):
            raise ValueError(cursor)
        fields = [model._meta.get_field(name.lstrip("-")) for name in ordering]
        cleaned = [
            clean(field, item) for field, item in zip(fields, values, strict=True)
        ]
    except (ValueError, TypeError, OverflowError, RecursionError, FieldError) as error:
        raise ValidationError({"cursor": ["Invalid cursor."]}) from error
    return bool(backward), cleaned


def clean(field, text: Any) -> Any:
    """Return the text as a value of the field; raises what the field raises.

    And TypeError on a value that is not text, ValueError on a time without an offset,
    OverflowError on a time that does not exist in UTC.
    """
    if not isinstance(text, str):
        raise TypeError(text)
    value = field.to_python(text)
    field.run_validators(value)
    if isinstance(value, datetime):
        value = timezone.make_naive(value, UTC).replace(tzinfo=UTC)
    return value
