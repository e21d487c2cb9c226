"""The dates above a list, by which one goes back in time."""

from calendar import monthrange
from collections.abc import Callable
from datetime import date, datetime

from django.utils import timezone
from django.utils.formats import date_format


class DateLinks:
    """Years, then months, then days, as links for ``admin/date_hierarchy.html``.

    Django's own date hierarchy reads the whole list: for its first and last date
    together, then for its distinct dates. Here the two ends come from an index, and
    each date between them is offered, also one on which nothing happened.
    """

    def __init__(
        self,
        first: datetime,
        last: datetime,
        chosen: list[int],
        url: Callable[..., str],
    ):
        """``chosen`` is [], [year], [year, month] or [year, month, day]; ``url``
        makes the address for as many of these, given in the same order."""
        self.first = timezone.localtime(first).date()
        self.last = timezone.localtime(last).date()
        # With one year only, its months come first.
        self.is_outermost = not chosen
        self.chosen = chosen
        if not chosen and self.first.year == self.last.year:
            self.chosen = [self.first.year]
        self.url = url

    @property
    def back(self) -> dict[str, str] | None:
        """The way out: one step up."""
        if self.is_outermost:
            return None
        *outer, _ = self.chosen
        title = self._title(outer) if outer else "All dates"
        return {"link": self.url(*outer), "title": title}

    @property
    def choices(self) -> list[dict[str, str]]:
        """The steps further in; the day itself, without a link, at the end."""
        if len(self.chosen) == 3:
            return [{"title": self._title(self.chosen)}]
        return [
            {"link": self.url(*parts), "title": self._title(parts)}
            for parts in self._inner()
        ]

    def _inner(self) -> list[list[int]]:
        """The years, months or days within the chosen date that have rows around."""
        size = len(self.chosen) + 1
        low, high = ([d.year, d.month, d.day][:size] for d in (self.first, self.last))
        inner = ([*self.chosen, number] for number in self._numbers())
        return [parts for parts in inner if low <= parts <= high]

    def _numbers(self) -> range:
        match self.chosen:
            case []:
                return range(self.first.year, self.last.year + 1)
            case [_]:
                return range(1, 13)
            case [year, month]:
                return range(1, monthrange(year, month)[1] + 1)
        return range(0)

    @staticmethod
    def _title(parts: list[int]) -> str:
        if len(parts) == 1:
            return str(parts[0])
        form = "YEAR_MONTH_FORMAT" if len(parts) == 2 else "MONTH_DAY_FORMAT"
        return date_format(date(*parts, *[1] * (3 - len(parts))), form)
