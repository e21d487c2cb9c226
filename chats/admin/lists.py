"""Lists that stay fast with large tables."""

from datetime import UTC, datetime
from typing import Any

from django.contrib import messages
from django.contrib.admin.options import IncorrectLookupParameters
from django.contrib.admin.views.main import ChangeList
from django.core.exceptions import ValidationError
from django.core.paginator import Paginator
from django.db.models import Field, Q, QuerySet
from django.utils import timezone
from django.utils.functional import cached_property

from chats.db.impatient import OutOfTime, time_limit
from chats.lists.filters import MAX_SEARCH_LENGTH

PATIENCE = 2_000  # milliseconds that a search may take
TOOK_LONG = (
    f"The search was stopped after {PATIENCE // 1000} seconds, so there are no results."
    " Choose dates or another filter, so that there is less to search."
)
UNSEARCHABLE = f"A search can have at most {MAX_SEARCH_LENGTH} characters, and no NUL."
MOST_LISTED = 10_000  # rows that a list counts and that its pages show


def is_searchable(text: str) -> bool:
    """Return whether this can be searched for.

    PostgreSQL refuses NUL, and each word of a long text would be another condition.
    """
    return len(text) <= MAX_SEARCH_LENGTH and "\0" not in text


class BoundedPaginator(Paginator):
    """Paginates the first 10,000 rows, so neither the count nor OFFSET goes further."""

    @cached_property
    def count(self):
        return min(self._seen, MOST_LISTED)

    @property
    def is_cut(self) -> bool:
        """Whether there are more rows than the pages show."""
        return self._seen > MOST_LISTED

    def page(self, number):
        """Find the rows of the page before joining others to them.

        Otherwise the database would also join every skipped row.
        """
        page = super().page(number)
        keys = list(page.object_list.values_list("pk", flat=True))
        page.object_list = self.object_list.filter(pk__in=keys)
        return page

    @cached_property
    def _seen(self) -> int:
        return self.object_list.order_by().values("pk")[: MOST_LISTED + 1].count()


class QuickChangeList(ChangeList):
    """A list that sorts by indexed columns only and limits the time of searches."""

    def get_ordering_field(self, field_name):
        """Sort only by columns in ``sortable_by``, even if ``?o=`` names others."""
        if field_name not in self.sortable_by:
            return None
        return super().get_ordering_field(field_name)

    def get_results(self, request):
        """Load the page; a search that takes too long is stopped, with a message."""
        if not self.query:
            return super().get_results(request)
        if not is_searchable(self.query):
            messages.error(request, UNSEARCHABLE)
        try:
            with time_limit(PATIENCE):
                return super().get_results(request)
        except OutOfTime:
            self.queryset = self.root_queryset = self.queryset.none()
            messages.error(request, TOOK_LONG)
        return super().get_results(request)


class WindowChangeList(QuickChangeList):
    """A list of the newest 10,000 matching rows, with a link to the older ones.

    Filters by ``window_orders`` of the admin class and by date use indexes, and define
    these rows. Everything else (search, other filters, the count) is limited to them,
    so no request reads the whole table. An id in the search box is found in all rows.
    """

    older_link = ""

    @property
    def continued_by(self) -> list[str]:
        """The parameters of ``older_link``."""
        return [f"{name}__lte" for name in set(self.model_admin.window_orders.values())]

    @property
    def newest_link(self) -> str:
        """The link back to the newest rows, on a page of older ones."""
        if not any(name in self.params for name in self.continued_by):
            return ""
        return self.get_query_string(remove=self.continued_by)

    def get_filters(self, request):
        found = super().get_filters(request)
        rows = self.model_admin.get_queryset(request)
        try:
            self.root_queryset = self._narrowed(rows, lookups=found[2])
        except (ValueError, OverflowError, ValidationError) as error:
            raise IncorrectLookupParameters(error) from error
        return found

    @property
    def dated_by(self) -> str:
        """The column with the time when rows were created."""
        return self.model_admin.window_orders[""]

    def get_bounds(self, since: Any, until: Any) -> list[Q]:
        """Return two conditions: rows from ``since`` on, and rows before ``until``."""
        low = Q(**{f"{self.dated_by}__gte": since}) if since else Q()
        high = Q(**{f"{self.dated_by}__lt": until}) if until else Q()
        return [low, high]

    def _narrowed(self, rows: QuerySet, lookups: dict[str, list]) -> QuerySet:
        """Remove the dates from ``lookups``; return the newest rows between them.

        Each bound is in the query only once: of several, SQLite would start at the
        first one, even if another is closer.
        """
        self.scope, self.order = self._scope(rows)
        low, high = self._dates(lookups)
        if self.model_admin.get_id_searched(self.query):
            return rows.filter(low, high)
        rows = self.scope
        end = self._pop(lookups, f"{self.order}__lte")
        if end is not None:
            rows = rows.filter(**{f"{self.order}__lte": end})
        if edge := self._edge(rows.filter(low, high)):
            self.older_link = self._older_link(edge)
            low = Q(**{f"{self.order}__gt": edge})
        return rows.filter(low, high)

    def _dates(self, lookups: dict[str, list]) -> list[Q]:
        """Remove the dates from ``lookups``; return the conditions for them."""
        names = (f"{self.dated_by}__{side}" for side in ("gte", "lt"))
        return self.get_bounds(*(self._pop(lookups, name) for name in names))

    def _pop(self, lookups: dict[str, list], name: str) -> Any:
        """Remove a bound from ``lookups``; return None if it is missing or empty."""
        text = lookups.pop(name, [""])[-1]
        column, _, _ = name.partition("__")
        return _value(self.model._meta.get_field(column), text) if text else None

    def _scope(self, rows: QuerySet) -> tuple[QuerySet, str]:
        """Return the rows of the indexed filter in use, and its index's sort column."""
        orders = self.model_admin.window_orders
        for name in orders:
            if value := self.params.get(name):
                return rows.filter(**{name: value}), orders[name]
        return rows, orders[""]

    def _edge(self, rows: QuerySet) -> Any:
        """Return the value after the newest 10,000 rows; None if there are no more."""
        newest_first = rows.order_by(f"-{self.order}")
        return newest_first.values_list(self.order, flat=True)[MOST_LISTED:].first()

    def _older_link(self, edge: Any) -> str:
        end = edge.isoformat() if isinstance(edge, datetime) else edge
        return self.get_query_string(
            {f"{self.order}__lte": end}, remove=[f"{self.dated_by}__lt"]
        )


class SearchedChangeList(WindowChangeList):
    """A list of all rows, unless it is searched or filtered without an index.

    Then it searches the newest 10,000 rows, as ``WindowChangeList`` does, and sorts the
    result in the same order. For another order, the database could scan the whole table
    by the index of that order.
    """

    is_narrowed = False

    def get_ordering(self, request, queryset):
        if self.is_narrowed:
            return [f"-{self.order}", "-pk"]
        return super().get_ordering(request, queryset)

    def _narrowed(self, rows, lookups):
        self.scope, self.order = self._scope(rows)
        served = {*self.model_admin.window_orders}
        served |= {f"{self.dated_by}__{side}" for side in ("gte", "lt")}
        asked = set(self.get_filters_params()) - served
        self.is_narrowed = bool(self.query or asked)
        if not self.is_narrowed:
            return rows.filter(*self._dates(lookups))
        anywhere = self.model_admin.get_found_anywhere(self.query)
        narrowed = super()._narrowed(rows, lookups)
        return narrowed | rows.filter(pk=anywhere) if anywhere else narrowed


def _value(field: Field, text: str) -> Any:
    """Return a value of the query string for a column; a date becomes its first moment.

    Raises ValidationError, or OverflowError for a time that UTC cannot represent.
    """
    value = field.to_python(text)
    if not isinstance(value, datetime):
        return value
    if timezone.is_naive(value):
        value = timezone.make_aware(value)
    return value.astimezone(UTC)
