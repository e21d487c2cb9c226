"""The pages of a search: each looks through a bounded number of rows."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from operator import itemgetter
from time import perf_counter
from uuid import UUID

from django.db.models import QuerySet

from chats.db.impatient import OutOfTime, time_limit
from chats.lists import searching
from chats.lists.keyset import QuerySetPages, Slice, after_key, cut
from chats.lists.searching import ScanLimit


class SearchedPages(QuerySetPages):
    """The pages of a search; its ``limit`` says how far each of them looks."""

    def __init__(self, queryset: QuerySet, limit: ScanLimit):
        super().__init__(queryset)
        self.limit = limit

    def read(self, edge: list | None, *, backward: bool, size: int) -> Slice:
        """Read a page of what an index finds; otherwise of the next rows, full or not.

        The first page ends after the first few rows, which costs the same in a list of
        any length; later pages scan longer ranges. A step that takes too long is
        stopped, and one that takes less time is tried.
        """
        self.edge, self.backward, self.size = edge, backward, size
        self.falling, self._began = self.is_falling(backward=backward), perf_counter()
        self.matching = self.after(edge, self.queryset, backward=backward)
        ids = self.limit.find()
        found = ids is not None and self._in_time(partial(self._of, ids))
        return found or self._by_scanning() or self._least()

    def _by_scanning(self) -> Slice | None:
        """Read from the longest range there is time for, or return None."""
        first, rest = self.limit.first, self.limit.rest
        if not first:
            patience = searching.PATIENCE / 2  # so that there is time for fewer
            return self._scan(rest, patience) or self._scan(searching.FIRST)
        found = self._scan(first)
        if not found or found.has_more or found.stop is None or not self.edge:
            return found
        return self._scan(rest) or found

    def _scan(self, size: int | None, patience: float = 0) -> Slice | None:
        def read() -> Slice:
            return self._up_to(size and self._stop(size), self.matching)

        return self._in_time(read, patience)

    def _in_time(self, read: Callable[[], Slice], patience: float = 0) -> Slice | None:
        """Return what is read, or None if it takes longer than the time left."""
        spent = (perf_counter() - self._began) * 1000
        left = (patience or searching.PATIENCE) - spent
        if left <= 0:
            return None
        with suppress(OutOfTime), time_limit(int(left) + 1):
            return read()
        return None

    def _least(self) -> Slice:
        """Read from the few rows of the reader's that any page can afford.

        They are read by their ids, so that the text of no other row is read. Each page
        has at least one, or ends where the first range does.
        """
        limit = self.limit
        stop = self._stop(searching.FIRST)
        own = limit.rows if limit.own is None else limit.own
        own = self._until(stop, self._in_order(own, self.edge))
        columns = own.values_list("pk", limit.cost, *self.names)
        rows = list(columns[: searching.LEAST + 1])
        count = limit.affordable([cost for _, cost, *_ in rows])
        if count < len(rows):
            stop = rows[count - 1][2:]
        keys = [key for key, *_ in rows[:count]]
        return self._up_to(stop, self.matching.filter(pk__in=keys))

    def _stop(self, size: int) -> list | None:
        """Return where ``size`` rows after the edge end; None is the end of the list.

        By its value: with a subquery, PostgreSQL would plan for a third of the table.
        """
        edge = self.limit.beginning(self.edge, falling=self.falling)
        rows = self._in_order(self.limit.rows, edge)
        return self.limit.end(self.names, rows, size, falling=self.falling)

    def _in_order(self, rows: QuerySet, edge: list | None) -> QuerySet:
        return self.after(edge, rows.order_by(*self.sorting), backward=self.backward)

    def _until(self, stop: Sequence | None, rows: QuerySet) -> QuerySet:
        if not stop:
            return rows
        before = after_key(self.names, stop, falling=not self.falling, or_at=True)
        return rows.filter(before)

    def _up_to(self, stop: Sequence | None, matching: QuerySet) -> Slice:
        """Read from the rows up to ``stop``."""
        found = cut(list(self._until(stop, matching)[: self.size + 1]), self.size)
        return found if found.has_more else found._replace(stop=stop and list(stop))

    def _of(self, ids: list[UUID]) -> Slice:
        """Read from the rows of these ids, of which some may be before the edge.

        The query for the page's ids and end has no limit: with one, the database might
        go through the whole list in its order. The page ends there, even if some of
        its rows are gone when they are read.
        """
        rows_of, stop, size = self.limit.rows_of, None, self.size
        if len(ids) > size or (self.edge and rows_of):
            of_ids = self.matching.filter(pk__in=ids)
            in_order = list(of_ids.values_list("pk", *self.names))
            ids = [key for key, *_ in in_order[:size]]
            stop = list(in_order[size - 1][1:]) if len(in_order) > size else None
        if rows_of and ids:
            by_order = itemgetter(*self.names)
            rows = sorted(rows_of(ids), key=by_order, reverse=self.falling)
        else:
            rows = list(self.matching.filter(pk__in=ids))
        return Slice(rows, has_more=False, stop=stop)
