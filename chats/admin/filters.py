"""Filters of the lists."""

from uuid import UUID

from django.contrib.admin import FieldListFilter
from django.db.models import ForeignKey


def as_uuid(text: str) -> UUID | None:
    """Return ``text`` as a UUID, or None if it is not one."""
    try:
        return UUID(text.strip())
    except ValueError:
        return None


class LinkedFilter(FieldListFilter):
    """Filters a list by one value, as in ``?sender=<id>``.

    Other pages link to it. It is shown only while in use, because a choice of all users
    or conversations would be too long for a page.
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
    """Two fields for dates, as in ``?sent_at__gte=2026-03-01&sent_at__lt=2026-04-01``.

    They make no query, unlike Django's date hierarchy, which reads the whole list. The
    list itself applies them: see ``WindowChangeList``.
    """

    template = "admin/chats/dates_filter.html"

    def expected_parameters(self):
        return []  # left to the list

    def choices(self, changelist):
        """Yield the context of the form."""
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
