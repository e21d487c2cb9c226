"""The audit log, read-only."""

from django.contrib import admin

from chats.admin.base import ReadOnly, StaffAdmin
from chats.admin.exports import ExportsLists
from chats.admin.filters import LinkedFilter
from chats.admin.references import RefersById
from chats.models import AuditEntry


@admin.register(AuditEntry)
class AuditEntryAdmin(ExportsLists, ReadOnly, RefersById, StaffAdmin):
    """The audit log, newest first. Nobody can change or delete entries.

    The list can be filtered by ids, as in ``?user_id=…``. The rows with these ids may
    no longer exist.
    """

    list_display = (
        "entry_id",
        "created_at",
        "action",
        "actor",
        "person",
        "conversation",
        "message",
        "details",
        "address",
    )
    list_filter = (
        "action",
        ("actor_id", LinkedFilter),
        ("user_id", LinkedFilter),
        ("conversation_id", LinkedFilter),
    )
    sortable_by = ()
    ordering = ("-entry_id",)
    # audit_entry_actor, audit_entry_user, audit_entry_conversation, the primary key.
    window_orders = {
        "actor_id": "entry_id",
        "user_id": "entry_id",
        "conversation_id": "entry_id",
        "": "entry_id",
    }
    fields = (*list_display, "request_id")
    export_fields = (
        "entry_id",
        "created_at",
        "action",
        "actor_id",
        "user_id",
        "conversation_id",
        "message_id",
        "details",
        "address",
        "request_id",
    )

    def get_offered_lookups(self):
        return {*super().get_offered_lookups(), "entry_id"}

    def has_delete_permission(self, request, obj=None):
        return False
