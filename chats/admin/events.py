"""The event log, read-only."""

from django.contrib import admin

from chats.admin.base import ReadOnly, StaffAdmin
from chats.admin.filters import LinkedFilter
from chats.admin.references import RefersById
from chats.models import Event


@admin.register(Event)
class EventAdmin(ReadOnly, RefersById, StaffAdmin):
    """The event log, newest first; the rows with its ids may no longer exist."""

    list_display = (
        "event_id",
        "type",
        "conversation",
        "message",
        "person",
        "actor",
        "created_at",
    )
    list_filter = ("type", ("conversation_id", LinkedFilter))
    sortable_by = ()
    ordering = ("-event_id",)
    # The primary key, and event_backlog.
    window_orders = {"conversation_id": "event_id", "": "event_id"}
    fields = list_display

    def get_offered_lookups(self):
        return {*super().get_offered_lookups(), "event_id"}

    def has_delete_permission(self, request, obj=None):
        return False
