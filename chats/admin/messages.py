"""Messages: they can be read, searched and deleted, but not edited."""

from bisect import bisect_left
from collections.abc import Iterable
from datetime import datetime
from uuid import UUID

from django.contrib import admin
from django.db.models import Q, QuerySet
from django.urls import reverse
from django.utils.text import Truncator

from chats.admin.base import ReadOnly, StaffAdmin
from chats.admin.exports import CHUNK, ExportsLists
from chats.admin.filters import DatesFilter, LinkedFilter
from chats.admin.links import link_to, link_to_conversation
from chats.admin.lists import MOST_LISTED, WindowChangeList
from chats.models import AuditEntry, Message, User
from chats.services.audit import Action, entries
from chats.services.staff import redact_message


def may_read(staff: User) -> bool:
    """Return whether a member of staff may read what other users wrote."""
    return staff.has_perm("chats.read_message_body")


def record_reading(staff: User, shown: Iterable[Message]) -> None:
    """Record the bodies that will be shown, with entries for each conversation."""
    seqs: dict[UUID, list[int]] = {}
    for message in shown:
        if not message.is_deleted:
            seqs.setdefault(message.conversation_id, []).append(message.seq)
    AuditEntry.objects.bulk_create(
        item
        for conversation_id, numbers in seqs.items()
        for item in entries(
            Action.MESSAGES_READ,
            runs_of(sorted(numbers)),
            prefix="seq ",
            actor=staff,
            conversation_id=conversation_id,
        )
    )


def runs_of(numbers: Iterable[int]) -> list[str]:
    """Return ascending numbers as text, with runs of three or more as "7-9"."""
    runs: list[list[int]] = []
    for number in numbers:
        if runs and runs[-1][-1] == number - 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    return [
        text
        for run in runs
        for text in ([f"{run[0]}-{run[-1]}"] if len(run) > 2 else map(str, run))
    ]


class StateFilter(admin.SimpleListFilter):
    """Filters messages that were edited or deleted."""

    title = "state"
    parameter_name = "state"

    def lookups(self, request, model_admin):
        return [("edited", "Edited"), ("deleted", "Deleted")]

    def queryset(self, request, queryset):
        if self.value() in {"edited", "deleted"}:
            return queryset.filter(**{f"{self.value()}_at__isnull": False})
        return queryset


class MessageChangeList(WindowChangeList):
    """The list of messages; within a conversation, dates are converted to ``seq``.

    There, ``seq`` follows the order of time and is what the index sorts by.
    """

    def get_bounds(self, since, until):
        if self.order != "seq":
            return super().get_bounds(since, until)
        low = Q(seq__gte=first_seq_since(self.scope, since)) if since else Q()
        high = Q(seq__lt=first_seq_since(self.scope, until)) if until else Q()
        return [low, high]


def first_seq_since(conversation: QuerySet, moment: datetime) -> int:
    """Return the ``seq`` of a conversation's first message at ``moment`` or later.

    If there is none, returns the next ``seq``. ``sent_at`` rises with ``seq``, so a
    binary search needs 20 lookups for a million messages.
    """

    def sent_at(seq: int) -> datetime:
        return conversation.values_list("sent_at", flat=True).get(seq=seq)

    newest = conversation.order_by("-seq").values_list("seq", flat=True).first() or 0
    return 1 + bisect_left(range(1, newest + 1), moment, key=sent_at)


@admin.register(Message)
class MessageAdmin(ExportsLists, ReadOnly, StaffAdmin):
    """Messages, newest first. Deleting a message leaves a tombstone.

    The search reads bodies without an index. It covers the newest 10,000 messages of
    the selected conversation, sender or dates; the page links to the older ones.
    """

    list_display = (
        "seq",
        "in_conversation",
        "sent_by",
        "excerpt",
        "sent_at",
        "state",
    )
    list_filter = (
        StateFilter,
        ("conversation", LinkedFilter),
        ("sender", LinkedFilter),
        ("sent_at", DatesFilter),
    )
    list_select_related = ("conversation", "sender")
    search_fields = ("message_body",)
    search_help_text = (
        f"Searches the newest {MOST_LISTED:,} messages of the chosen conversation,"
        " sender or dates; any message can be found by its id."
    )
    sortable_by = ()
    # The column that the index for each filter sorts by. The indexes are
    # message_seq_unique, message_sender and message_newest.
    window_orders = {"conversation": "seq", "sender": "sent_at", "": "sent_at"}
    fields = (
        "message_id",
        "conversation",
        "seq",
        "sender",
        "message_body",
        "sent_at",
        "edited_at",
        "deleted_at",
        "client_id",
    )
    export_fields = (
        "message_id",
        "conversation_id",
        "seq",
        "sender_id",
        "sent_at",
        "edited_at",
        "deleted_at",
    )

    @admin.display(description="Conversation")
    def in_conversation(self, message):
        return link_to_conversation(message.conversation)

    @admin.display(description="Sender")
    def sent_by(self, message):
        return link_to(message.sender)

    @admin.display(description="Message", empty_value="-")
    def excerpt(self, message):
        return Truncator(message.message_body).chars(80)

    @admin.display(description="Message body")
    def withheld(self, message):
        return "Hidden: you are not permitted to read what other people wrote."

    def get_list_display(self, request):
        kept = self.list_display
        return kept if may_read(request.user) else [n for n in kept if n != "excerpt"]

    def get_fields(self, request, obj=None):
        body = "message_body" if may_read(request.user) else "withheld"
        return [body if name == "message_body" else name for name in self.fields]

    def get_readonly_fields(self, request, obj=None):
        return (*super().get_readonly_fields(request, obj), "withheld")

    def get_export_fields(self, request):
        body = ("message_body",) if may_read(request.user) else ()
        return (*super().get_export_fields(request), *body)

    def record_export(self, request, keys):
        super().record_export(request, keys)
        if may_read(request.user):
            for start in range(0, len(keys), CHUNK):
                some = Message.objects.filter(pk__in=keys[start : start + CHUNK])
                exported = some.only("conversation_id", "seq", "deleted_at")
                record_reading(request.user, exported)

    def get_queryset(self, request):
        return super().get_queryset(request).kept()

    def get_search_results(self, request, queryset, search_term):
        """Search by id, or by body on the list only, for staff who may read bodies."""
        by_body = search_term and not self.get_id_searched(search_term)
        is_list = request.path == reverse("admin:chats_message_changelist")
        if by_body and not (is_list and may_read(request.user)):
            return queryset.none(), False
        return super().get_search_results(request, queryset, search_term)

    def changelist_view(self, request, extra_context=None):
        response = super().changelist_view(request, extra_context)
        changelist = (getattr(response, "context_data", None) or {}).get("cl")
        if changelist and may_read(request.user):
            record_reading(request.user, changelist.result_list)
        return response

    def render_change_form(self, request, context, *args, obj=None, **kwargs):
        if obj and may_read(request.user):
            record_reading(request.user, [obj])
        return super().render_change_form(request, context, *args, obj=obj, **kwargs)

    @admin.display(description="State")
    def state(self, message):
        if message.is_deleted:
            return "deleted"
        return "edited" if message.edited_at else ""

    def get_changelist(self, request, **kwargs):
        return MessageChangeList

    def get_ordering(self, request):
        """Sort a conversation by ``seq``: the same order, but with its own index."""
        within = request.GET.get("conversation")
        return ("-conversation_id", "-seq") if within else ("-sent_at", "-message_id")

    def get_offered_lookups(self):
        return {*super().get_offered_lookups(), *self.window_orders.values()}

    def has_delete_permission(self, request, obj=None):
        """Return False for a tombstone, which cannot be deleted."""
        allowed = super().has_delete_permission(request, obj)
        return allowed and not (obj and obj.is_deleted)

    def delete_model(self, request, obj):
        redact_message(obj, actor=request.user)

    def get_deletion_details(self, row):
        return ["The text is deleted for good; the number and the sender remain."]
