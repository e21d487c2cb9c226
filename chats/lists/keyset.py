"""Lists in pages, each of which begins after the values at the edge of another."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from django.db.models import Model, Q, QuerySet


class Slice(NamedTuple):
    """Rows in the order in which they were read, and whether more follow them.

    ``stop`` is where a search stopped looking, unless that was the end of the list:
    there may be more after it.
    """

    rows: list[Any]
    has_more: bool
    stop: list | None = None


class Pages:
    """A list that reads its own pages."""

    model: type[Model]
    ordering: list[str]

    def page(self, edge: list | None, *, backward: bool, limit: int) -> list[Any]:
        """Return at most ``limit`` rows after the edge.

        The edge is the values of ``ordering`` in a row, or None for the beginning.
        Backward, they are the rows before it, the nearest first.
        """
        raise NotImplementedError

    def read(self, edge: list | None, *, backward: bool, size: int) -> Slice:
        """Read a page of this size after the edge."""
        return cut(self.page(edge, backward=backward, limit=size + 1), size)

    @property
    def names(self) -> list[str]:
        """The columns of ``ordering``."""
        return [key.lstrip("-") for key in self.ordering]

    def is_falling(self, *, backward: bool) -> bool:
        """Return whether each row that is read has lower values than the one before."""
        return self.ordering[0].startswith("-") != backward


class QuerySetPages(Pages):
    """The pages of a queryset in its own order.

    A column that the queryset says is ``implied`` by another is no part of the edge.
    """

    def __init__(self, queryset: QuerySet):
        self.queryset, self.model = queryset, queryset.model
        self.implied = getattr(queryset, "implied", {})
        ordering = queryset.query.order_by or queryset.model._meta.ordering
        self.sorting = [str(key) for key in ordering]
        self.ordering = [
            key for key in self.sorting if key.lstrip("-") not in self.implied
        ]

    def page(self, edge: list | None, *, backward: bool, limit: int) -> list[Any]:
        return list(self.after(edge, self.queryset, backward=backward)[:limit])

    def after(
        self, edge: list | None, queryset: QuerySet, *, backward: bool
    ) -> QuerySet:
        """Return the rows after the edge, in the order in which they are read."""
        if edge:
            falling = self.is_falling(backward=backward)
            bounds = implied_bounds(self.implied, self.names, edge, falling=falling)
            bounds &= after_key(self.names, edge, falling=falling)
            queryset = queryset.filter(bounds)
        return queryset.reverse() if backward else queryset


def cut(rows: list, size: int) -> Slice:
    return Slice(rows[:size], has_more=len(rows) > size)


def after_key(
    names: list[str], values: Sequence, *, falling: bool, or_at: bool = False
) -> Q:
    """Return the condition for rows after ``values`` (or at them), lexicographically.

    For (a, b) that fall: a <= x AND (a < x OR (a = x AND b < y)). The first part
    is redundant, but it is what an index range scan starts from.
    """
    side = "lt" if falling else "gt"
    condition = Q()
    for name, value in reversed(list(zip(names, values, strict=True))):
        further = Q(**{f"{name}__{side}": value})
        tied = Q(**{name: value}) & condition
        last = Q(**{f"{name}__{side}e": value}) if or_at else further
        condition = further | tied if condition else last
    return Q(**{f"{names[0]}__{side}e": values[0]}) & condition


def implied_bounds(
    implied: dict, names: list[str], values: list, *, falling: bool
) -> Q:
    """Return the bounds of implied columns, each by a function of another column.

    An implied column rises with the other one, so no row after the edge is left out.
    """
    side = "lte" if falling else "gte"
    edge = dict(zip(names, values, strict=True))
    return Q(
        **{
            f"{name}__{side}": function(edge[source])
            for name, (source, function) in implied.items()
        }
    )
