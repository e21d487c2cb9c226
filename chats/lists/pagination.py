"""Cursor pagination: page N costs what page 1 costs."""

import base64
import json
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from functools import cache, partial
from operator import itemgetter
from time import perf_counter
from typing import Any, NamedTuple
from uuid import UUID

from django.core.exceptions import ValidationError as FieldError
from django.db.models import Model, Q, QuerySet
from django.utils import timezone
from rest_framework.exceptions import ValidationError
from rest_framework.pagination import BasePagination
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.utils.urls import remove_query_param, replace_query_param

from chats.db.impatient import OutOfTime, time_limit
from chats.lists import searching
from chats.lists.inbox import Inbox
from chats.web.parameters import check_parameters
from chats.web.sizes import fitting

DEFAULT_PAGE_SIZE = 50
MAX_PAGE_SIZE = 200


class Read(NamedTuple):
    """Rows in the order they were read, whether more follow them, and where a search
    stopped to look, if that is not the end: then there may be more behind it."""

    rows: list[Any]
    has_more: bool
    stop: list | None = None


class Pages:
    """A list that gives its own pages."""

    model: type[Model]
    ordering: list[str]

    def page(self, edge: list | None, *, backward: bool, limit: int) -> list[Any]:
        """Return up to ``limit`` rows past the edge, the values of ``ordering`` there;
        backward, those before it, the nearest first."""
        raise NotImplementedError

    def read(self, edge: list | None, *, backward: bool, size: int) -> Read:
        """Read a page of this size past the edge."""
        return _cut(self.page(edge, backward=backward, limit=size + 1), size)


class SlicedPages(Pages):
    """The pages of a queryset in its own order.

    A column that the queryset says is ``implied`` by another is no part of the edge.
    """

    def __init__(self, queryset: QuerySet | Inbox):
        self.queryset, self.model = queryset, queryset.model
        self.implied = getattr(queryset, "implied", {})
        ordering = queryset.query.order_by or queryset.model._meta.ordering
        self.sorting = [str(key) for key in ordering]
        self.ordering = [
            key for key in self.sorting if key.lstrip("-") not in self.implied
        ]
        self.names = [key.lstrip("-") for key in self.ordering]

    def page(self, edge: list | None, *, backward: bool, limit: int) -> list[Any]:
        return list(self.past(self.queryset, edge, backward=backward)[:limit])

    def past(self, queryset: Any, edge: list | None, *, backward: bool) -> Any:
        """Return the rows past the edge, in the order in which they are read."""
        lower = self.is_lower(backward=backward)
        if edge:
            implied = within(self.implied, self.names, edge, lower=lower)
            queryset = queryset.filter(implied & beyond(self.names, edge, lower=lower))
            if isinstance(queryset, Inbox) and not lower:
                queryset = queryset.sent_since(edge[0])
        return queryset.reverse() if backward else queryset

    def is_lower(self, *, backward: bool) -> bool:
        """Tell whether what is read has lower and lower values."""
        return self.ordering[0].startswith("-") != backward


class SearchedPages(SlicedPages):
    """The pages of a search, whose queryset has a ``stretch``: how far each looks."""

    def read(self, edge: list | None, *, backward: bool, size: int) -> Read:
        """Read a page of what an index finds; else of a stretch, full or not.

        The first page ends after the first few rows, which costs the same in a list of
        any length; who wants more is led on by long stretches. What takes too long is
        given up for what takes less.
        """
        self.edge, self.backward, self.size = edge, backward, size
        self.lower, self._began = self.is_lower(backward=backward), perf_counter()
        self.found = self.past(self.queryset, edge, backward=backward)
        ids = self.queryset.stretch.find()
        read = ids is not None and self._in_time(partial(self._of, ids))
        return read or self._by_stretches() or self._least()

    def _by_stretches(self) -> Read | None:
        """Read from the longest stretch there is time for, or return None."""
        few, most = self.queryset.stretch.few, self.queryset.stretch.most
        if not few:
            patience = searching.PATIENCE / 2  # so that there is time for fewer
            return self._stretch(most, patience) or self._stretch(searching.FEW)
        first = self._stretch(few)
        if not first or first.has_more or first.stop is None or not self.edge:
            return first
        return self._stretch(most) or first

    def _stretch(self, size: int | None, patience: float = 0) -> Read | None:
        def read() -> Read:
            return self._up_to(size and self._stop(size), self.found)

        return self._in_time(read, patience)

    def _in_time(self, read: Callable[[], Read], patience: float = 0) -> Read | None:
        """Return what is read, or None if it takes longer than there is left."""
        spent = (perf_counter() - self._began) * 1000
        left = (patience or searching.PATIENCE) - spent
        if left <= 0:
            return None
        with suppress(OutOfTime), time_limit(int(left) + 1):
            return read()
        return None

    def _least(self) -> Read:
        """Read from the next rows of the reader's that a page can always bear.

        By their ids, so that the text of no other row is looked at. Each page has one
        at least, or ends where a short stretch does.
        """
        stretch = self.queryset.stretch
        stop = self._stop(searching.FEW)
        own = stretch.rows if stretch.own is None else stretch.own
        own = self._until(stop, self._past_edge(own, self.edge))
        columns = own.values_list("pk", stretch.burden, *self.names)
        rows = list(columns[: searching.LEAST + 1])
        count = stretch.bearable([burden for _, burden, *_ in rows])
        if count < len(rows):
            stop = rows[count - 1][2:]
        keys = [key for key, *_ in rows[:count]]
        return self._up_to(stop, self.found.filter(pk__in=keys))

    def _stop(self, size: int) -> list | None:
        """Return where so many rows past the edge end; None is the end of the list.

        By its value: with a subquery, PostgreSQL would plan for a third of the table.
        """
        stretch = self.queryset.stretch
        order = [f"-{name}" if self.lower else name for name in self.names]
        edge = stretch.beginning(self.edge, descending=self.lower)
        return stretch.edge(order, self._past_edge(stretch.rows, edge), size)

    def _past_edge(self, rows: QuerySet, edge: list | None) -> QuerySet:
        return self.past(rows.order_by(*self.sorting), edge, backward=self.backward)

    def _until(self, stop: Sequence | None, rows: QuerySet) -> QuerySet:
        if not stop:
            return rows
        return rows.filter(beyond(self.names, stop, lower=not self.lower, or_at=True))

    def _up_to(self, stop: Sequence | None, found: QuerySet) -> Read:
        """Read from the rows up to where to stop."""
        read = _cut(list(self._until(stop, found)[: self.size + 1]), self.size)
        return read if read.has_more else read._replace(stop=stop and list(stop))

    def _of(self, ids: list[UUID]) -> Read:
        """Read from the rows of these ids. Not all need be past the edge.

        Which are on the page, and where it ends, is asked without a limit: to sort
        them, the database might else go through all of the list in its order. So the
        page ends there, whatever of it is gone by the time that it is read.
        """
        rows_of, stop, size = self.queryset.stretch.rows_of, None, self.size
        if len(ids) > size or (self.edge and rows_of):
            of_ids = self.found.filter(pk__in=ids)
            in_order = list(of_ids.values_list("pk", *self.names))
            ids = [key for key, *_ in in_order[:size]]
            stop = list(in_order[size - 1][1:]) if len(in_order) > size else None
        if rows_of and ids:
            by_order = itemgetter(*self.names)
            rows = sorted(rows_of(ids), key=by_order, reverse=self.lower)
        else:
            rows = list(self.found.filter(pk__in=ids))
        return Read(rows, has_more=False, stop=stop)


def _cut(rows: list, size: int) -> Read:
    return Read(rows[:size], has_more=len(rows) > size)


def _shortened(read: Read) -> Read:
    """Return as many of the rows as make a page of bounded size.

    People are not counted: they have no long texts.
    """
    if not read.rows or not isinstance(read.rows[0], dict):
        return read
    count = fitting(read.rows)
    return read if count == len(read.rows) else Read(read.rows[:count], has_more=True)


def pages_of(queryset: QuerySet | Inbox) -> SlicedPages:
    if getattr(queryset, "stretch", None):
        return SearchedPages(queryset)
    return SlicedPages(queryset)


class KeysetPagination(BasePagination):
    """Pages through a list in its own order, by the values at the page's edge.

    The order must be total and of one direction, such as ``-sent_at, -message_id``,
    and have an index. DRF's own cursors compare the first column only and skip
    over ties by offset; these compare all of it. A search goes on from where it
    stopped to look when the page is not full by then.
    """

    path = "/api/messages/"  # of the list, for the schema's example

    def paginate_queryset(self, queryset: QuerySet | Inbox | Pages, request, view=None):
        check_parameters(request, known_to(getattr(view, "filterset_class", None)))
        self.url = request.build_absolute_uri()
        size = size_of(
            request, "page_size", default=DEFAULT_PAGE_SIZE, maximum=MAX_PAGE_SIZE
        )
        pages = queryset if isinstance(queryset, Pages) else pages_of(queryset)
        self.ordering = pages.ordering
        cursor = request.query_params.get("cursor")
        backward, edge = (
            decode_cursor(cursor, pages.model, self.ordering)
            if cursor
            else (False, None)
        )
        read = _shortened(pages.read(edge, backward=backward, size=size))
        near, far = self._ends(read)
        ahead = far if read.has_more or read.stop else None
        behind = near if edge else None
        self.next, self.previous = (behind, ahead) if backward else (ahead, behind)
        return read.rows[::-1] if backward else read.rows

    def _ends(self, read: Read) -> tuple[list | None, list | None]:
        """Return the values at the page's near and far end, as it was read."""
        if not read.rows:
            return read.stop, read.stop
        first, last = (
            [value_of(row, key.lstrip("-")) for key in self.ordering]
            for row in (read.rows[0], read.rows[-1])
        )
        return first, read.stop or last

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
    """Return the names of a list's parameters, in the order they are told in."""
    own: Iterable[str] = ()
    if filterset_class is not None:
        own = (*filterset_class.base_filters, *filterset_class.aliases)
    return dict.fromkeys((*own, "cursor", "page_size"))


def size_of(request: Request, name: str, *, default: int, maximum: int) -> int:
    """Return the size asked for by the parameter, or raise ValidationError on it."""
    text = request.query_params.get(name, str(default))
    is_number = text.isascii() and text.isdecimal() and len(text) < 10
    if not is_number or not 1 <= int(text) <= maximum:
        raise ValidationError({name: [f"Must be a whole number from 1 to {maximum}."]})
    return int(text)


def value_of(row: Any, name: str) -> Any:
    return row[name] if isinstance(row, dict) else getattr(row, name)


def beyond(
    names: list[str], values: Sequence, *, lower: bool, or_at: bool = False
) -> Q:
    """Return the condition for rows past ``values`` (or at them), lexicographically.

    For (a, b) going down: a <= x AND (a < x OR (a = x AND b < y)). The first part
    is redundant, but it is what an index range scan starts from.
    """
    side = "lt" if lower else "gt"
    condition = Q()
    for name, value in reversed(list(zip(names, values, strict=True))):
        further = Q(**{f"{name}__{side}": value})
        tied = Q(**{name: value}) & condition
        last = Q(**{f"{name}__{side}e": value}) if or_at else further
        condition = further | tied if condition else last
    return Q(**{f"{names[0]}__{side}e": values[0]}) & condition


def within(implied: dict, names: list[str], values: list, *, lower: bool) -> Q:
    """Return what follows for implied columns, each by a function of another one.

    The other rises with it, so this leaves out no row that is beyond the edge.
    """
    side = "lte" if lower else "gte"
    edge = dict(zip(names, values, strict=True))
    return Q(
        **{
            f"{name}__{side}": function(edge[source])
            for name, (source, function) in implied.items()
        }
    )


def encode_cursor(backward: bool, ordering: list[str], values: list) -> str:
    parts = [int(backward), ",".join(ordering), *map(str, values)]
    text = json.dumps(parts, separators=(",", ":"))
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def decode_cursor(
    cursor: str, model: type[Model], ordering: list[str]
) -> tuple[bool, list]:
    """Return the direction and the values, or raise ValidationError on ``cursor``.

    A cursor names the order it belongs to, so one of another list is a 400. Each
    value is cleaned by its model field: so is a forged one, and it gives nothing
    away, since it only moves within what the queryset shows anyway.
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
    """Return the text as a value of the field; raise as the field does.

    Raises TypeError on what is no text, ValueError on a time without an offset,
    OverflowError on one that is no time in UTC.
    """
    if not isinstance(text, str):
        raise TypeError(text)
    value = field.to_python(text)
    field.run_validators(value)
    if isinstance(value, datetime):
        value = timezone.make_naive(value, UTC).replace(tzinfo=UTC)
    return value
