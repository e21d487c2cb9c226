"""Participants: the list of all, and the rows on the page of a conversation."""

from django import forms
from django.conf import settings
from django.contrib import admin
from django.core.exceptions import ValidationError
from django.forms.models import BaseInlineFormSet

from chats.admin.base import ReadOnly, StaffAdmin
from chats.admin.filters import LinkedFilter
from chats.admin.links import link_to_conversation, link_to_list
from chats.admin.lists import MOST_LISTED, SearchedChangeList, is_searchable
from chats.admin.messages import may_read
from chats.admin.widgets import PicksPeople
from chats.models import Participant, User
from chats.models.users import NAMES, any_contains
from chats.services.staff import change_participants

MOST_SHOWN = 50  # participants on the page of a conversation


@admin.register(Participant)
class ParticipantAdmin(ReadOnly, StaffAdmin):
    """All participations; deleting one removes the participant."""

    list_display = ("__str__", "in_conversation", "joined_at", "last_read_seq")
    list_filter = (("conversation", LinkedFilter), ("user", LinkedFilter))
    list_select_related = ("conversation", "user")
    search_fields = ("user__username",)
    search_help_text = (
        f"Search by username or names, among the last {MOST_LISTED:,} who joined, or"
        " within the chosen conversation or user."
    )
    # The primary key and participant_joined; one user has few participations.
    window_orders = {"conversation": "id", "user": "id", "": "id"}
    sortable_by = ()
    fields = ("conversation", "user", "joined_at", "joined_seq", "last_read_seq")

    @admin.display(description="Conversation")
    def in_conversation(self, participant):
        return link_to_conversation(participant.conversation)

    def get_queryset(self, request):
        return super().get_queryset(request).select_related("conversation", "user")

    def get_search_results(self, request, queryset, search_term):
        if not search_term or not is_searchable(search_term):
            return super().get_search_results(request, queryset, search_term)
        names = [f"user__{name}" for name in NAMES]
        return queryset.filter(any_contains(names, search_term)), False

    def get_changelist(self, request, **kwargs):
        return SearchedChangeList

    def get_offered_lookups(self):
        return {*super().get_offered_lookups(), "id"}

    def delete_model(self, request, obj):
        change_participants(obj.conversation, leaving=[obj.user_id], actor=request.user)


class ParticipantFormSet(BaseInlineFormSet):
    """The first participants of a conversation, which can be removed, and new ones."""

    def get_queryset(self):
        if not hasattr(self, "_shown"):
            self._shown = super().get_queryset()[:MOST_SHOWN]
        return self._shown

    @property
    def list_of_all(self) -> str:
        """The link to the list of all participants, if not all are shown."""
        count = self.instance.participant_count
        if count <= MOST_SHOWN:
            return ""
        text = f"all {count} participants"
        return link_to_list(text, Participant, conversation=self.instance.pk)

    @property
    def joining(self) -> list:
        """The ids of the users to add."""
        kept = (f for f in self.extra_forms if not self._is_removed(f))
        return [form.instance.user_id for form in kept if form.instance.user_id]

    @property
    def leaving(self) -> list:
        """The ids of the users to remove."""
        return [form.instance.user_id for form in self._removed_forms()]

    def clean(self):
        super().clean()
        if any(form.instance._state.adding for form in self._removed_forms()):
            raise ValidationError("A participant to remove has already left.")
        change = len(self.joining) - len(self.leaving)
        if self.instance.participant_count + change > settings.MAX_PARTICIPANTS:
            raise ValidationError(
                "A conversation has at most %(most)s participants.",
                params={"most": settings.MAX_PARTICIPANTS},
                code="full",
            )

    def _removed_forms(self) -> list[forms.ModelForm]:
        return [form for form in self.initial_forms if self._is_removed(form)]

    @staticmethod
    def _is_removed(form: forms.ModelForm) -> bool:
        return bool(getattr(form, "cleaned_data", {}).get("DELETE"))


class ParticipantInline(PicksPeople, admin.TabularInline):
    """Participants on the page of a conversation.

    Services add and remove them; rows are never changed. So the page has pickers for
    new participants only.
    """

    model = Participant
    formset = ParticipantFormSet
    template = "admin/chats/conversation/participants.html"
    fields = ("user", "joined_at", "last_read_seq")
    readonly_fields = ("joined_at", "last_read_seq")
    autocomplete_fields = ("user",)
    extra = 0

    def has_add_permission(self, request, obj):
        """Also require ``may_read``: staff could add themselves and read everything."""
        return super().has_add_permission(request, obj) and may_read(request.user)

    def has_change_permission(self, request, obj=None):
        return False

    def get_queryset(self, request):
        return super().get_queryset(request).select_related("user")

    def formfield_for_foreignkey(self, db_field, request, **kwargs):
        field = super().formfield_for_foreignkey(db_field, request, **kwargs)
        if db_field.name == "user":
            field.queryset = User.objects.active()
            field.error_messages["invalid_choice"] = "This user is unknown or inactive."
        return field
