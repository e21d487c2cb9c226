"""Lists as CSV files."""

import csv
import re
from collections.abc import Iterable, Iterator
from typing import Any

from django.contrib import admin
from django.db import transaction
from django.db.models import QuerySet
from django.http import StreamingHttpResponse
from django.utils import timezone

from chats.models.text.characters import without_controls
from chats.services.audit import Action, record

MOST_EXPORTED = 10_000  # rows, as many as the pages of a list show
CHUNK = 100  # rows read by one short query
# A spreadsheet runs a cell that begins with one of these, after space and quotes, as a
# formula (OWASP, CSV Injection). A new cell may begin at a line break, and at a
# semicolon or tab, which are separators in some countries and programs.
FORMULA = r"[=+\-@\uff1d\uff0b\uff0d\uff20]"  # the last four are full-width
# Matches whole runs, so that each is checked only once, however long it is.
BEFORE = re.compile(rf"(?<![\s\";])[\s\";]++(?={FORMULA})")
AT_START = re.compile(rf"[\s\"]*+{FORMULA}|[\t\r\n]")


class Line:
    """A file for ``csv.writer`` that returns the line."""

    def write(self, line: str) -> str:
        return line


class ExportsLists:
    """Mixin for an admin class: an action that sends the selected rows as CSV.

    The columns are those of ``get_export_fields``. The audit log records the export
    before the first row is sent.
    """

    actions = ("export_selected",)
    export_fields: tuple[str, ...] = ()

    def get_export_fields(self, request) -> tuple[str, ...]:
        return self.export_fields

    def get_most_selected(self, request) -> int:
        is_export = request.POST.get("action") == "export_selected"
        return MOST_EXPORTED if is_export else super().get_most_selected(request)

    def record_export(self, request, keys: list) -> None:
        """Record the export in the audit log, in the caller's transaction."""
        name = self.opts.verbose_name_plural
        details = f"{len(keys)} {name}: {', '.join(self.get_export_fields(request))}"
        record(Action.LIST_EXPORTED, actor=request.user, details=details)

    @admin.action(description="Export selected %(verbose_name_plural)s as CSV")
    def export_selected(self, request, queryset):
        fields = self.get_export_fields(request)
        keys = list(queryset.values_list("pk", flat=True)[:MOST_EXPORTED])
        with transaction.atomic():
            self.record_export(request, keys)
        name = f"{self.opts.model_name}-{timezone.now():%Y-%m-%d}.csv"
        return StreamingHttpResponse(
            lines_of(self.get_queryset(request), keys, fields),
            content_type="text/csv; charset=utf-8",
            headers={"Content-Disposition": f'attachment; filename="{name}"'},
        )

    export_selected.allowed_permissions = ("view",)


def lines_of(present: QuerySet, keys: list, fields: tuple[str, ...]) -> Iterator[str]:
    """Yield the lines in the order of the keys, without rows deleted meanwhile.

    No query and no transaction stays open while the client reads.
    """
    writer = csv.writer(Line(), quoting=csv.QUOTE_ALL)
    yield writer.writerow(fields)
    for start in range(0, len(keys), CHUNK):
        some = keys[start : start + CHUNK]
        rows = present.filter(pk__in=some).order_by()
        found = {key: values for key, *values in rows.values_list("pk", *fields)}
        there = (found[key] for key in some if key in found)
        yield "".join(writer.writerow(cells_of(values)) for values in there)


def cells_of(values: Iterable[Any]) -> list[str]:
    return [cell(value) for value in values]


def cell(value: Any) -> str:
    """Return a value as text that no spreadsheet runs as a formula, even in part.

    An apostrophe is inserted before formulas. Control characters, which a terminal
    would obey, are replaced by U+FFFD. All other text is unchanged.
    """
    if value is None:
        return ""
    text = value.isoformat() if hasattr(value, "isoformat") else str(value)
    text = BEFORE.sub(guarded, without_controls(text))
    return f"'{text}" if AT_START.match(text) else text


def guarded(before: re.Match) -> str:
    """Return the text before a formula, with an apostrophe if it may end a cell."""
    return f"{before[0]}'" if {*";\t\r\n"}.intersection(before[0]) else before[0]
