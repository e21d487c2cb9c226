"""The base classes of all admin pages."""

from collections.abc import Callable
from functools import wraps
from uuid import UUID

from django.contrib import admin, messages
from django.core.exceptions import ObjectDoesNotExist, PermissionDenied, ValidationError
from django.db import DataError, IntegrityError
from django.db.models import UUIDField
from django.http import HttpResponseRedirect

from chats.admin.filters import as_uuid
from chats.admin.lists import BoundedPaginator, QuickChangeList, is_searchable
from chats.models.fields import NormalText
from chats.models.text.characters import spellings
from chats.web.exceptions import ChatError

MOST_SELECTED = 500  # rows for one action
# The lookups allowed in query strings; others, such as ``year``, have no index.
COMPARISONS = {"exact", "in", "isnull", "gte", "lt", "lte"}
# Raised for invalid ids, depending on the column and the database.
UNREADABLE = (ValueError, OverflowError, ValidationError, DataError)


def show_refusals(view: Callable) -> Callable:
    """Decorate a view to show errors of services as messages on the page.

    The forms validate first, so this is for concurrent changes and forged input. The
    view's transaction has already been rolled back.
    """

    @wraps(view)
    def wrapper(self, request, *args, **kwargs):
        try:
            return view(self, request, *args, **kwargs)
        except ChatError as refusal:
            text = refusal.message
        except (ObjectDoesNotExist, IntegrityError):
            text = "Someone else has just changed this. Reload the page and try again."
        self.message_user(request, text, messages.ERROR)
        return HttpResponseRedirect(request.get_full_path())

    return wrapper


class GuardedAdmin(admin.ModelAdmin):
    """A page that reveals nothing to users without permission, and whose actions do not
    fail for invalid ids."""

    def history_view(self, request, object_id, extra_context=None):
        """Check the permission first; Django would first reveal which ids exist."""
        if not self.has_view_or_change_permission(request):
            raise PermissionDenied
        return super().history_view(request, object_id, extra_context)

    def response_action(self, request, queryset):
        try:
            return super().response_action(request, queryset)
        except UNREADABLE:  # a forged id
            return self.message_user(
                request, "These rows do not exist.", messages.ERROR
            )


class AllowsUnchangedText:
    """Mixin for a model form: unchanged text is not validated.

    It may be older than the rules, and must not prevent a change of another field.
    """

    def _get_validation_exclusions(self):
        columns = self._meta.model._meta.concrete_fields
        text = {item.name for item in columns if isinstance(item, NormalText)}
        unchanged = text - set(self.changed_data)
        return super()._get_validation_exclusions() | unchanged


class StaffAdmin(GuardedAdmin):
    """A page that stays fast with large tables and changes rows through services."""

    list_per_page = 50
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER  # they would count the whole table
    paginator = BoundedPaginator

    def get_changelist(self, request, **kwargs):
        return QuickChangeList

    def lookup_allowed(self, lookup, value, request):
        """Allow only the lookups that the page itself offers.

        Other lookups could read a whole table, or be used to guess the values of a
        column that the page does not show.
        """
        name, *ways = lookup.split("__")
        offered = name in self.get_offered_lookups() and COMPARISONS.issuperset(ways)
        allowed = offered and "\0" not in value
        return allowed and super().lookup_allowed(lookup, value, request)

    def get_offered_lookups(self) -> set[str]:
        """Return the fields and parameters that ``lookup_allowed`` accepts."""
        filters = (
            item[0] if isinstance(item, tuple) else item for item in self.list_filter
        )
        return {getattr(item, "parameter_name", item) for item in filters}

    def get_id_searched(self, search_term: str) -> UUID | None:
        """Return the id in the search box, if the model has UUIDs as keys."""
        return as_uuid(search_term) if isinstance(self.opts.pk, UUIDField) else None

    def get_found_anywhere(self, search_term: str) -> UUID | None:
        """Return the id of a row that an index finds by the whole search term.

        For ``SearchedChangeList``, which otherwise searches the newest rows only.
        """
        return None

    def get_search_fields(self, request):
        """Search text like the API does; Django would use LIKE."""
        fields = super().get_search_fields(request)
        return [f"{name}__has_text" if name[0].isalpha() else name for name in fields]

    def get_search_results(self, request, queryset, search_term):
        """Find rows by ``search_fields``, or the row with the given id."""
        if not is_searchable(search_term):
            return queryset.none(), False
        if pk := self.get_id_searched(search_term):
            return queryset.filter(pk=pk), False
        search = super().get_search_results
        first, *others = spellings(search_term)
        found, may_repeat = search(request, queryset, first)
        for spelling in others:
            found |= search(request, queryset, spelling)[0]
        return found, may_repeat

    @show_refusals
    def changeform_view(self, request, object_id=None, form_url="", extra_context=None):
        return super().changeform_view(request, object_id, form_url, extra_context)

    @show_refusals
    def delete_view(self, request, object_id, extra_context=None):
        return super().delete_view(request, object_id, extra_context)

    @show_refusals
    def response_action(self, request, queryset):
        most = self.get_most_selected(request)
        if self._selects_more(most, request, queryset):
            text = f"Select at most {most:,} rows at a time. Nothing was done."
            return self.message_user(request, text, messages.ERROR)
        return super().response_action(request, queryset)

    def get_deleted_objects(self, objs, request):
        """Describe the deletion. Django would first load all dependent rows."""
        tree = []
        for row in objs:
            details = self.get_deletion_details(row)
            tree += [str(row), details] if details else [str(row)]
        allowed = all(self.has_delete_permission(request, row) for row in objs)
        lacking = set() if allowed else {self.opts.verbose_name}
        return tree, {self.opts.verbose_name_plural: len(objs)}, lacking, []

    def get_deletion_details(self, row) -> list[str]:
        """Return the other consequences of deleting ``row``, one line for each."""
        return []

    def delete_queryset(self, request, queryset):
        for row in queryset:
            self.delete_model(request, row)

    def get_most_selected(self, request) -> int:
        """Return the most rows for the requested action."""
        return MOST_SELECTED

    def _selects_more(self, most: int, request, queryset) -> bool:
        across = request.POST.get("select_across") == "1"
        return across and queryset.order_by()[: most + 1].count() > most


class ReadOnly:
    """Mixin for a page whose rows can be viewed but not added or changed."""

    def has_add_permission(self, request, obj=None):
        return False

    def has_change_permission(self, request, obj=None):
        return False
