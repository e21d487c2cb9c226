"""Rows that hold plain ids of other rows, shown as links while the others exist."""

from collections.abc import Iterable
from uuid import UUID

from django.contrib import admin
from django.db.models import Model, Q

from chats.admin.filters import as_uuid
from chats.admin.links import UNTITLED, link_to
from chats.admin.lists import MOST_LISTED, WindowChangeList
from chats.models import Conversation, Message, User

# The model of the ids in each column, and the columns to load of each model.
REFERRED: dict[str, type[Model]] = {
    "actor_id": User,
    "user_id": User,
    "conversation_id": Conversation,
    "message_id": Message,
}
READ = {
    User: ("username",),
    Conversation: ("title",),
    Message: ("seq", "conversation_id"),
}


def find_referred(rows: Iterable[Model], staff: User) -> None:
    """Set ``referred`` of each row to the rows that it refers to.

    This makes one query for each model, for those models that ``staff`` may view.
    """
    rows = list(rows)
    found: dict[UUID, Model] = {}
    for model, columns in READ.items():
        names = [name for name, kind in REFERRED.items() if kind is model]
        ids = {getattr(row, name) for row in rows for name in names} - {None}
        if ids and staff.has_perm(f"chats.view_{model._meta.model_name}"):
            found |= model.objects.only(*columns).in_bulk(ids)
    for row in rows:
        row.referred = found


class ReferringChangeList(WindowChangeList):
    """A list that loads the rows referred to by its current page."""

    def get_results(self, request):
        super().get_results(request)
        self.result_list = list(self.result_list)
        find_referred(self.result_list, request.user)


class RefersById(admin.ModelAdmin):
    """Mixin for an admin class: columns for the ids, and a search by them."""

    search_fields = ("pk",)  # enables the search box; see ``get_search_results``
    search_help_text = (
        "Search by a complete username or e-mail address, or by any id, among the"
        f" newest {MOST_LISTED:,} of the entries chosen."
    )

    def get_changelist(self, request, **kwargs):
        return ReferringChangeList

    def get_object(self, request, object_id, from_field=None):
        row = super().get_object(request, object_id, from_field)
        if row:
            find_referred([row], request.user)
        return row

    def get_search_results(self, request, queryset, search_term):
        if not search_term.strip():
            return queryset, False
        return queryset.filter(self._about(search_term.strip(), request.user)), False

    def _about(self, text: str, staff: User) -> Q:
        """Return the condition that a row refers to the object that ``text`` names."""
        is_number = text.isascii() and text.isdecimal() and len(text) < 19
        found = Q(pk=int(text)) if is_number else Q(pk__in=())
        key = as_uuid(text)
        if key is None and staff.has_perm("chats.view_user") and "\0" not in text:
            key = User.objects.named(text).values_list("pk", flat=True).first()
        if key is None:
            return found
        return found | Q(*((name, key) for name in REFERRED), _connector=Q.OR)

    @admin.display(description="Actor")
    def actor(self, row):
        return reference(row, "actor_id")

    @admin.display(description="User")
    def person(self, row):
        return reference(row, "user_id")

    @admin.display(description="Conversation")
    def conversation(self, row):
        return reference(row, "conversation_id")

    @admin.display(description="Message")
    def message(self, row):
        return reference(row, "message_id")


def reference(row: Model, column: str) -> str | UUID | None:
    """Return a link to the row with the id in ``column``; the id if it has no link."""
    key = getattr(row, column)
    found = row.referred.get(key)
    if found is None:
        return key
    if isinstance(found, Conversation):
        return link_to(found, found.title or UNTITLED)
    return link_to(found, f"#{found.seq}" if isinstance(found, Message) else "")
