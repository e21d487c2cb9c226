"""Bar charts as the numbers that ``admin/chats/chart.html`` draws as SVG."""

from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from typing import NamedTuple

from django.utils.formats import date_format

WIDTH, HEIGHT = 720, 120  # of the bars' field; labels are beside and below it
GAP = 0.2  # of a bar's place


class Value(NamedTuple):
    """What one bar stands for."""

    name: str
    label: str  # below the bar, or nothing where there would be too many
    number: int
    is_whole: bool = True  # or there is more that is not counted yet


class Bar(NamedTuple):
    """One bar where it stands; y counts from the top, as in SVG."""

    value: Value
    x: str
    y: str
    width: str
    height: str
    middle: str


class Chart:
    """A titled row of bars over an axis that ends at a round number."""

    def __init__(self, key: str, title: str, values: Iterable[Value], *, rest: str):
        """``rest`` says why some bars are not whole, where that is so."""
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
        """The axis: where each line is, and what it says."""
        numbers = (self.top, self.top // 2) if self.top > 1 else (self.top,)
        return [(f"{HEIGHT * (1 - n / self.top):.1f}", f"{n:,}") for n in numbers]


class Steps(NamedTuple):
    """Equal steps of time up to now, a bar for each."""

    key: str
    title: str
    length: timedelta
    number: int
    name: str  # the formats of when a step begins
    label: str
    every: int  # how many steps have one label

    def starts(self, newest: datetime) -> list[datetime]:
        """Return when each begins, the oldest first."""
        return [newest - back * self.length for back in reversed(range(self.number))]

    def chart(
        self,
        newest: datetime,
        counted: Callable[[datetime], tuple[int, bool]],
        *,
        rest: str,
    ) -> Chart:
        """Draw them. ``counted`` gives the number of a step that begins then, and
        whether that is all of it; it is asked for the newest first."""
        values = []
        for back, start in enumerate(reversed(self.starts(newest))):
            number, is_whole = counted(start)
            label = date_format(start, self.label) if back % self.every == 0 else ""
            values.append(Value(date_format(start, self.name), label, number, is_whole))
        return Chart(self.key, self.title, values[::-1], rest=rest)


HOUR, DAY = timedelta(hours=1), timedelta(days=1)
LAST_HOURS = Steps(
    "hours",
    "Messages per hour, last 24 hours (UTC)",
    HOUR,
    24,
    name="j F, H:i",
    label="H:i",
    every=3,
)
LAST_DAYS = Steps(
    "days",
    "Messages per day, last 30 days (UTC)",
    DAY,
    30,
    name="j F",
    label="j M",
    every=5,
)


def round_up(number: int) -> int:
    """Return the next of 1, 2, 4, 10, 20, 40, 100 … that is not less."""
    power = 1
    while True:
        for step in (1, 2, 4):
            if step * power >= number:
                return step * power
        power *= 10


def _height(number: int, top: int) -> float:
    """Return a height that shows also the least number other than 0."""
    return max(1.5, HEIGHT * number / top) if number else 0.0
