"""Bar charts, as coordinates for the SVG in ``admin/chats/chart.html``."""

from collections.abc import Iterable
from typing import NamedTuple

from django.utils.formats import date_format

from chats.admin.activity.counts import Counts, start_of

WIDTH, HEIGHT = 720, 120  # of the area with the bars; the labels are outside
GAP = 0.2  # between two bars, as a part of a bar's place


class Value(NamedTuple):
    """The value of one bar."""

    name: str
    label: str  # below the bar; empty for most, so that labels do not overlap
    number: int
    is_whole: bool = True  # False if not everything is counted yet


class Bar(NamedTuple):
    """One bar and its position; y is measured from the top, as in SVG."""

    value: Value
    x: str
    y: str
    width: str
    height: str
    middle: str


class Chart:
    """A titled bar chart, whose axis ends at a round number."""

    def __init__(self, key: str, title: str, values: Iterable[Value], *, rest: str):
        """``rest`` is the text shown if some bars are not whole."""
        self.key, self.title, self.values = key, title, list(values)
        self.rest = rest
        self.top = round_up(max((value.number for value in self.values), default=0))

    @property
    def description(self) -> str:
        total = sum(value.number for value in self.values)
        most = max(self.values, key=lambda value: value.number)
        text = f"{total:,} in total; the most, {most.number:,}, in {most.name}."
        return text if self.is_whole else f"{text} {self.rest}"

    @property
    def is_whole(self) -> bool:
        return all(value.is_whole for value in self.values)

    @property
    def bars(self) -> list[Bar]:
        place = WIDTH / len(self.values)
        return [
            Bar(
                value,
                x=f"{number * place + place * GAP / 2:.1f}",
                y=f"{HEIGHT - height:.1f}",
                width=f"{place * (1 - GAP):.1f}",
                height=f"{height:.1f}",
                middle=f"{(number + 0.5) * place:.1f}",
            )
            for number, value in enumerate(self.values)
            for height in [_height(value.number, self.top)]
        ]

    @property
    def lines(self) -> list[tuple[str, str]]:
        """The lines of the axis: the y and the label of each."""
        numbers = (self.top, self.top // 2) if self.top > 1 else (self.top,)
        return [(f"{HEIGHT * (1 - n / self.top):.1f}", f"{n:,}") for n in numbers]


class TimeSeries(NamedTuple):
    """Equal periods of time up to now, with a bar for each."""

    key: str
    title: str
    hours: int  # in a period
    number: int  # of periods
    name: str  # date format of a period's start, for its name
    label: str  # date format of a period's start, for its label
    every: int  # one in this many periods has a label

    def chart(self, counts: Counts, *, rest: str) -> Chart:
        """Return the chart of these counts; ``rest`` as for ``Chart``."""
        newest = counts.present // self.hours
        values = []
        for period in range(newest - self.number + 1, newest + 1):
            hours = range(period * self.hours, (period + 1) * self.hours)
            start = start_of(hours[0])
            has_label = (newest - period) % self.every == 0
            value = Value(
                name=date_format(start, self.name),
                label=date_format(start, self.label) if has_label else "",
                number=sum(counts.by_hour[hour] for hour in hours),
                is_whole=hours[0] >= counts.since,
            )
            values.append(value)
        return Chart(self.key, self.title, values, rest=rest)


LAST_HOURS = TimeSeries(
    "hours",
    "Messages per hour, last 24 hours (UTC)",
    hours=1,
    number=24,
    name="j F, H:i",
    label="H:i",
    every=3,
)
LAST_DAYS = TimeSeries(
    "days",
    "Messages per day, last 30 days (UTC)",
    hours=24,
    number=30,
    name="j F",
    label="j M",
    every=5,
)


def round_up(number: int) -> int:
    """Return the least of 1, 2, 4, 10, 20, 40, 100 … that is at least ``number``."""
    power = 1
    while True:
        for step in (1, 2, 4):
            if step * power >= number:
                return step * power
        power *= 10


def _height(number: int, top: int) -> float:
    """Return the height of a bar; all numbers except 0 are visible."""
    return max(1.5, HEIGHT * number / top) if number else 0.0
