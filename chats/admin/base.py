"""What all pages of the admin have in common."""

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

MOST_SELECTED = 500  # rows one action takes
# How an address may compare a column; to its year, say, there is no index.
COMPARISONS = {"exact", "in", "isnull", "gte", "lt", "lte"}
# What an id raises that no column can hold, by kind of column and database.
UNREADABLE = (ValueError, OverflowError, ValidationError, DataError)


def tell_refusals(view: Callable) -> Callable:
    """Wrap a view so that what its services refuse is told on the page.

    The forms check first, so this is for what changed meanwhile, and for forged
    input. The view's transaction has been undone by then.
    """

    @wraps(view)
    def telling(self, request, *args, **kwargs):
        try:
            return view(self, request, *args, **kwargs)
        except ChatError as refusal:
            text = refusal.message
        except (ObjectDoesNotExist, IntegrityError):
            text = "Someone else has just changed this. Reload the page and try again."
        self.message_user(request, text, messages.ERROR)
        return HttpResponseRedirect(request.get_full_path())

    return telling


class GuardedAdmin(admin.ModelAdmin):
    """A page that gives nothing away to those who may not see it, nor fails when its
    actions are sent ids that there cannot be."""

    def history_view(self, request, object_id, extra_context=None):
        """Ask for the permission first: Django looks first, and so tells which ids
        exist."""
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


class MayStay:
    """Mixed into a model's form: text that stays as it is breaks no rule.

    It may be from before the rule, and somebody may be changing another field.
    """

    def _get_validation_exclusions(self):
        columns = self._meta.model._meta.concrete_fields
        text = {item.name for item in columns if isinstance(item, NormalText)}
        unchanged = text - set(self.changed_data)
        return super()._get_validation_exclusions() | unchanged


class StaffAdmin(GuardedAdmin):
    """A page that is quick over large tables and changes rows through services."""

    list_per_page = 50
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER  # a count per choice, over the whole table
    paginator = BoundedPaginator

    def get_changelist(self, request, **kwargs):
        return QuickChangeList

    def lookup_allowed(self, lookup, value, request):
        """Allow in addresses only what the page itself offers.

        Any other lookup could read a whole table, or guess at a column that the
        page doesn't show.
        """
        name, *ways = lookup.split("__")
        offered = name in self.get_offered_lookups() and COMPARISONS.issuperset(ways)
        allowed = offered and "\0" not in value
        return allowed and super().lookup_allowed(lookup, value, request)

    def get_offered_lookups(self) -> set[str]:
        """Return the fields and parameters that ``lookup_allowed`` lets pass."""
        filters = (
            item[0] if isinstance(item, tuple) else item for item in self.list_filter
        )
        return {getattr(item, "parameter_name", item) for item in filters}

    def get_id_searched(self, search_term: str) -> UUID | None:
        """Return the id that the search box holds, where rows have such ids."""
        return as_uuid(search_term) if isinstance(self.opts.pk, UUIDField) else None

    def get_found_anywhere(self, search_term: str) -> UUID | None:
        """Return the id of a row that an index finds by what is in the search box.

        For ``SearchedChangeList``, which else looks through the newest rows only.
        """
        return None

    def get_search_fields(self, request):
        """Look for text as the API does, where Django would by LIKE."""
        fields = super().get_search_fields(request)
        return [f"{name}__has_text" if name[0].isalpha() else name for name in fields]

    def get_search_results(self, request, queryset, search_term):
        """Find rows by what ``search_fields`` says, or the one with the id given."""
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

    @tell_refusals
    def changeform_view(self, request, object_id=None, form_url="", extra_context=None):
        return super().changeform_view(request, object_id, form_url, extra_context)

    @tell_refusals
    def delete_view(self, request, object_id, extra_context=None):
        return super().delete_view(request, object_id, extra_context)

    @tell_refusals
    def response_action(self, request, queryset):
        most = self.get_most_selected(request)
        if self._selects_more(most, request, queryset):
            text = f"Select at most {most:,} rows at a time. Nothing was done."
            return self.message_user(request, text, messages.ERROR)
        return super().response_action(request, queryset)

    def get_deleted_objects(self, objs, request):
        """Say what goes. Django would first load every row that goes with it."""
        tree = []
        for row in objs:
            details = self.get_deletion_details(row)
            tree += [str(row), details] if details else [str(row)]
        allowed = all(self.has_delete_permission(request, row) for row in objs)
        lacking = set() if allowed else {self.opts.verbose_name}
        return tree, {self.opts.verbose_name_plural: len(objs)}, lacking, []

    def get_deletion_details(self, row) -> list[str]:
        """Return what else goes with ``row``, one line for each kind."""
        return []

    def delete_queryset(self, request, queryset):
        for row in queryset:
            self.delete_model(request, row)

    def get_most_selected(self, request) -> int:
        """Return how many rows the action that is asked for takes."""
        return MOST_SELECTED

    def _selects_more(self, most: int, request, queryset) -> bool:
        across = request.POST.get("select_across") == "1"
        return across and queryset.order_by()[: most + 1].count() > most


class ReadOnly:
    """Mixed into a page whose rows are looked at and not written."""

    def has_add_permission(self, request, obj=None):
        return False

    def has_change_permission(self, request, obj=None):
        return False
