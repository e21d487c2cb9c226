"""Filters of the lists."""

from uuid import UUID

from django.contrib.admin import FieldListFilter
from django.db.models import ForeignKey


def as_uuid(text: str) -> UUID | None:
    """Return the id that ``text`` spells, or None."""
    try:
        return UUID(text.strip())
    except ValueError:
        return None


class LinkedFilter(FieldListFilter):
    """Narrow a list to one value, as in ``?sender=<id>``.

    Other pages link to it. It shows itself only while in use: a choice of all
    people or conversations would be too long for a page.
    """

    def expected_parameters(self):
        return [self.field_path]

    def has_output(self):
        return bool(self.used_parameters)

    def choices(self, changelist):
        yield {
            "selected": False,
            "query_string": changelist.get_query_string(remove=[self.field_path]),
            "display": "All",
        }
        yield {"selected": True, "query_string": "", "display": self._chosen()}

    def _chosen(self) -> str:
        value = self.used_parameters[self.field_path][-1]
        if not isinstance(self.field, ForeignKey):
            return value
        rows = self.field.related_model._default_manager.filter(pk=value)
        return str(rows.first() or value)


class DatesFilter(FieldListFilter):
    """Two fields for days, as in ``?sent_at__gte=2026-03-01&sent_at__lt=2026-04-01``.

    They cost no query, unlike Django's own date hierarchy, which reads the whole list.
    The list narrows its rows by them: see ``WindowChangeList``.
    """

    template = "admin/chats/dates_filter.html"

    def expected_parameters(self):
        return []  # left to the list

    def choices(self, changelist):
        """Yield the form."""
        asked = changelist.params
        names = {f"{self.field_path}__gte": "From", f"{self.field_path}__lt": "Before"}
        others = set(asked).difference(names, changelist.continued_by)
        yield {
            "days": [
                (name, text, asked.get(name, "")[:10]) for name, text in names.items()
            ],
            "others": [(name, asked[name]) for name in sorted(others)],
            "all": changelist.get_query_string(remove=[f"{self.field_path}__"]),
            "is_used": any(asked.get(name) for name in names),
        }
