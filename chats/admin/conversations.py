"""Conversations: starting, renaming, changing the owner, deleting."""

from django.contrib import admin

from chats.admin.activity.pages import chart_of_hours
from chats.admin.base import StaffAdmin
from chats.admin.conversation_forms import AddConversationForm, EditConversationForm
from chats.admin.exports import ExportsLists
from chats.admin.filters import DatesFilter, LinkedFilter
from chats.admin.links import UNTITLED, link_to, link_to_list
from chats.admin.lists import MOST_LISTED, SearchedChangeList, is_searchable
from chats.admin.participants import ParticipantInline
from chats.admin.widgets import PicksPeople
from chats.models import Conversation, Message
from chats.services.conversations import start_conversation
from chats.services.staff import (
    change_participants,
    delete_as_staff,
    rename_as_staff,
    transfer_ownership,
)


@admin.register(Conversation)
class ConversationAdmin(ExportsLists, PicksPeople, StaffAdmin):
    """Conversations; each change is announced to their participants."""

    list_display = (
        "titled",
        "owned_by",
        "participant_count",
        "message_count",
        "updated_at",
        "created_at",
    )
    list_filter = (("owner", LinkedFilter), ("created_at", DatesFilter))
    list_select_related = ("owner",)
    search_fields = ("title",)
    search_help_text = (
        "Search by title or by a participant's username or names, among the newest"
        f" {MOST_LISTED:,} conversations; or by conversation id."
    )
    # conversation_created; one user owns few conversations.
    window_orders = {"owner": "created_at", "": "created_at"}
    sortable_by = ("updated_at", "created_at")
    autocomplete_fields = ("owner",)
    readonly_fields = (
        "conversation_id",
        "participant_count",
        "message_count",
        "created_at",
        "updated_at",
        "activity",
    )
    inlines = (ParticipantInline,)
    export_fields = (
        "conversation_id",
        "title",
        "owner_id",
        "participant_count",
        "last_seq",
        "created_at",
        "updated_at",
    )

    @admin.display(description="Title")
    def titled(self, conversation):
        return conversation.title or UNTITLED

    @admin.display(description="Owner")
    def owned_by(self, conversation):
        return link_to(conversation.owner)

    @admin.display(description="Messages")
    def message_count(self, conversation):
        count = f"{conversation.last_seq}"
        return link_to_list(count, Message, conversation=conversation.pk)

    @admin.display(description="Activity")
    def activity(self, conversation):
        # message_time
        return chart_of_hours(Message.objects.filter(conversation=conversation))

    def get_queryset(self, request):
        return super().get_queryset(request).kept()

    def get_search_results(self, request, queryset, search_term):
        simple = self.get_id_searched(search_term) or not is_searchable(search_term)
        if simple or not search_term:
            return super().get_search_results(request, queryset, search_term)
        return queryset.search(search_term), False

    def get_changelist(self, request, **kwargs):
        return SearchedChangeList

    def get_form(self, request, obj=None, change=False, **kwargs):
        kwargs["form"] = EditConversationForm if change else AddConversationForm
        return super().get_form(request, obj, change, **kwargs)

    def get_fieldsets(self, request, obj=None):
        if obj is None:
            return [(None, {"fields": ("title", "owner", "people")})]
        *details, activity = self.readonly_fields
        if request.user.has_perm("chats.view_message"):
            details.append(activity)
        return [
            (None, {"fields": ("title", "owner")}),
            ("Details", {"fields": details}),
        ]

    def get_inlines(self, request, obj):
        return self.inlines if obj else ()

    def save_model(self, request, obj, form, change):
        """Start a new conversation; ``save_related`` makes changes to existing ones."""
        if change:
            return
        people = form.cleaned_data["people"]
        started = start_conversation(
            obj.owner, participant_ids=[person.pk for person in people], title=obj.title
        )
        obj.pk = started.pk
        obj.refresh_from_db()

    def save_related(self, request, form, formsets, change):
        """Make all changes, participants first: this locks users, and services lock
        users before conversations."""
        conversation, actor = form.instance, request.user
        for formset in formsets:
            formset.save(commit=False)  # collects the changes for Django's log
            change_participants(
                conversation,
                joining=formset.joining,
                leaving=formset.leaving,
                actor=actor,
            )
        if change and "title" in form.changed_data:
            rename_as_staff(conversation, title=conversation.title, actor=actor)
        if change and "owner" in form.changed_data:
            transfer_ownership(
                conversation, owner_id=conversation.owner_id, actor=actor
            )

    def delete_model(self, request, obj):
        delete_as_staff(obj, actor=request.user)

    def get_deletion_details(self, row):
        return [
            f"{row.participant_count} participants lose access",
            f"{row.last_seq} messages are deleted",
        ]
