"""Tables, and charts as small SVGs, that the benches write into the documentation."""

import re
from collections.abc import Iterable
from html import escape
from pathlib import Path
from typing import NamedTuple

WIDTH, LEFT, RIGHT = 760, 190, 170
BAR, GAP, TOP = 15, 14, 62
COLOURS = ("#3b7dd8", "#d9822b", "#2e9e6b", "#9b5fc0")  # for white and black pages
STYLE = """<style>
text { font: 13px system-ui, sans-serif; fill: #24292f }
.title { font-weight: 600; font-size: 15px }
.soft { fill: #6e7781 }
line { stroke: #d0d7de }
@media (prefers-color-scheme: dark) {
  text { fill: #e6edf3 }
  .soft { fill: #9198a1 }
  line { stroke: #3d444d }
}
</style>"""


class Bar(NamedTuple):
    """One bar; ``note`` is shown after its value."""

    series: str
    value: float
    note: str = ""


class Group(NamedTuple):
    """Bars that belong together, under one label."""

    label: str
    bars: list[Bar]


def bar_chart(title: str, unit: str, groups: list[Group]) -> str:
    """Return an SVG of grouped horizontal bars, for light and dark pages."""
    names = list(dict.fromkeys(bar.series for group in groups for bar in group.bars))
    colours = dict(zip(names, COLOURS, strict=False))
    most = max((bar.value for group in groups for bar in group.bars), default=0) or 1
    scale = (WIDTH - LEFT - RIGHT) / most
    parts, y = [], TOP
    for group in groups:
        middle = y + BAR * len(group.bars) / 2 + 5
        parts.append(text(LEFT - 12, middle, group.label, anchor="end"))
        for bar in group.bars:
            parts += drawn(bar, y, scale, colours[bar.series])
            y += BAR
        y += GAP
    axis = f'<line x1="{LEFT}" y1="{TOP - 6}" x2="{LEFT}" y2="{y - GAP + 6}"/>'
    described = f"{title}, {unit}"
    head = [text(0, 18, title, "title"), *legend(colours, unit), axis]
    return svg(y, described, [*head, *parts])


def svg(height: int, described: str, parts: list[str]) -> str:
    opening = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}"'
        f' role="img" aria-label="{escape(described)}">'
    )
    return "\n".join([opening, STYLE, *parts, "</svg>", ""])


def drawn(bar: Bar, y: int, scale: float, colour: str) -> list[str]:
    width = max(1.0, bar.value * scale)
    shape = f'<rect x="{LEFT}" y="{y + 1}" width="{width:.1f}" height="{BAR - 2}"'
    words = " · ".join(filter(None, [rounded(bar.value), bar.note]))
    return [
        f'{shape} rx="2" fill="{colour}"/>',
        text(LEFT + width + 6, y + BAR - 3, words),
    ]


def legend(colours: dict[str, str], unit: str) -> list[str]:
    parts, x = [text(0, 42, unit, "soft")], 145.0
    for name, colour in colours.items():
        parts.append(
            f'<rect x="{x:.0f}" y="31" width="12" height="12" rx="2" fill="{colour}"/>'
        )
        parts.append(text(x + 18, 42, name))
        x += 28 + 6.6 * len(name)
    return parts


def text(x: float, y: float, words: str, kind: str = "", anchor: str = "start") -> str:
    attributes = f' class="{kind}"' if kind else ""
    attributes += ' text-anchor="end"' if anchor == "end" else ""
    return f'<text x="{x:.1f}" y="{y:.1f}"{attributes}>{escape(words)}</text>'


def rounded(value: float) -> str:
    """Return the value with three digits, or with all digits before the point."""
    places = 0 if value >= 100 else 1 if value >= 10 else 2
    return f"{value:,.{places}f}"


def markdown_table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """Return a table with its first column left-aligned, the others right-aligned."""
    head = list(head)
    lines = [head, [":---", *["---:"] * (len(head) - 1)], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def write_section(path: Path, name: str, title: str, body: str) -> None:
    """Put ``body`` between the page's markers of this name, or at the page's end."""
    opening, closing = f"<!-- {name}: begin -->", f"<!-- {name}: end -->"
    section = f"{opening}\n{body.strip()}\n{closing}"
    page = path.read_text() if path.exists() else "# Performance\n"
    pattern = re.compile(f"{re.escape(opening)}.*?{re.escape(closing)}", re.DOTALL)
    if pattern.search(page):
        page = pattern.sub(lambda _: section, page, count=1)
    else:
        page = f"{page.rstrip()}\n\n## {title}\n\n{section}\n"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(page)
