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

MOST_EXPORTED = 10_000  # rows, as many as a list pages through
CHUNK = 100  # rows read at once, each time by a short query of its own
# What a spreadsheet would run, by OWASP's page on CSV injection: these at the start of
# a cell, past space and quotes. It may begin a cell of its own at a line break, or at a
# semicolon or tab, which are the separators in some countries and programs.
FORMULA = r"[=+\-@\uff1d\uff0b\uff0d\uff20]"  # the last four are full-width
# Whole runs, each looked at once, however long.
BEFORE = re.compile(rf"(?<![\s\";])[\s\";]++(?={FORMULA})")
AT_START = re.compile(rf"[\s\"]*+{FORMULA}|[\t\r\n]")


class Line:
    """A file for ``csv.writer`` that hands the line back."""

    def write(self, line: str) -> str:
        return line


class ExportsLists:
    """Mixed into an admin class: an action that sends the rows chosen as CSV.

    Columns are those of ``get_export_fields``, by name. Who exported how many is in
    the audit before the first row leaves.
    """

    actions = ("export_selected",)
    export_fields: tuple[str, ...] = ()

    def get_export_fields(self, request) -> tuple[str, ...]:
        return self.export_fields

    def get_most_selected(self, request) -> int:
        is_export = request.POST.get("action") == "export_selected"
        return MOST_EXPORTED if is_export else super().get_most_selected(request)

    def record_export(self, request, keys: list) -> None:
        """Record what is about to leave, in the transaction of the caller."""
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
    """Yield the lines, in the order of the keys; what is gone from ``present``
    meanwhile is left out.

    No query and no transaction is open while the reader takes its time.
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
    """Return a value as text of which no spreadsheet takes a part for a formula.

    An apostrophe stands before what one would. U+FFFD stands for control characters,
    which a terminal would obey. All other text is as it was.
    """
    if value is None:
        return ""
    text = value.isoformat() if hasattr(value, "isoformat") else str(value)
    text = BEFORE.sub(guarded, without_controls(text))
    return f"'{text}" if AT_START.match(text) else text


def guarded(before: re.Match) -> str:
    """Return what stands before a formula, with an apostrophe if it ends a cell."""
    return f"{before[0]}'" if {*";\t\r\n"}.intersection(before[0]) else before[0]
