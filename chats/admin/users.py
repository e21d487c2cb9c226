"""Users, and which of them a member of staff may change."""

from collections.abc import Callable
from copy import copy
from functools import partial

from django.contrib import admin, messages
from django.contrib.auth import admin as auth_admin
from django.db.models import Q, QuerySet, prefetch_related_objects
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.html import format_html_join

from chats.admin.activity.pages import chart_of_hours
from chats.admin.base import StaffAdmin
from chats.admin.confirmations import confirm_first
from chats.admin.exports import ExportsLists
from chats.admin.filters import DatesFilter, as_uuid
from chats.admin.groups import given_to
from chats.admin.links import link_to_list
from chats.admin.lists import MOST_LISTED, SearchedChangeList
from chats.admin.messages import may_read
from chats.admin.user_forms import AddUserForm, EditUserForm, UserPasswordForm
from chats.models import (
    AccessToken,
    AuditEntry,
    Conversation,
    Message,
    Participant,
    User,
    UserSession,
)
from chats.models.users import POWERS
from chats.services.audit import Action, record_all, steps
from chats.services.users import (
    deactivate_user,
    delete_user,
    reactivate_user,
    record_created,
    update_user,
)

# Lists of a user's rows: the link's text, the model, the column with the user.
RELATED_PAGES = (
    ("Messages", Message, "sender"),
    ("Conversations", Participant, "user"),
    ("Owned conversations", Conversation, "owner"),
    ("Sessions", UserSession, "user"),
    ("Access tokens", AccessToken, "user"),
    ("Actions by this user", AuditEntry, "actor_id"),
    ("Actions on this user", AuditEntry, "user_id"),
)
GIVEN_BY_SUPERUSERS = (*POWERS, "groups", "user_permissions")


def may_change(staff: User, person: User) -> bool:
    """Return whether a member of staff may change a user's account.

    Only superusers may change accounts with powers: whoever can set the e-mail or the
    password can sign in as the user. Deleted accounts cannot be changed.
    """
    if person.deleted_at:
        return False
    has_powers = person.is_staff or person.is_superuser or person.is_role_admin
    return staff.is_superuser or staff == person or not has_powers


def may_set_sign_in(staff: User, person: User) -> bool:
    """Return whether a member of staff may set a user's password or e-mail here.

    With either, they could sign in as the user and read the user's messages. Their own
    require the current password, which this page does not ask for.
    """
    return staff != person and may_read(staff)


@admin.register(User)
class UserAdmin(ExportsLists, StaffAdmin, auth_admin.UserAdmin):
    """Users. Only services deactivate, reactivate and delete them."""

    form = EditUserForm
    add_form = AddUserForm
    change_password_form = UserPasswordForm
    list_display = (
        "username",
        "name",
        "email",
        "role",
        "online",
        "last_seen_at",
        "is_active",
        "is_staff",
        "created_at",
    )
    list_filter = ("role", "is_active", "is_staff", ("created_at", DatesFilter))
    search_fields = ("username", "first_name", "last_name", "email")
    search_help_text = (
        "Search by username, names, e-mail or user id. A part of a name is searched"
        f" among the newest {MOST_LISTED:,} users; a complete username or e-mail among"
        " all."
    )
    window_orders = {"": "created_at"}  # user_created
    sortable_by = ("username", "last_seen_at", "created_at")
    ordering = ("-created_at", "-user_id")
    readonly_fields = (
        "user_id",
        "is_active",
        "last_seen_at",
        "last_login",
        "created_at",
        "updated_at",
        "deleted_at",
        "related_pages",
        "activity",
    )
    fieldsets = (
        (None, {"fields": ("username", "password", "user_id", "related_pages")}),
        ("Person", {"fields": ("first_name", "last_name", "email", "phone_number")}),
        ("Permissions", {"fields": ("is_active", *GIVEN_BY_SUPERUSERS)}),
        (
            "Dates",
            {
                "fields": (
                    "last_seen_at",
                    "last_login",
                    "created_at",
                    "updated_at",
                    "deleted_at",
                )
            },
        ),
    )
    add_fieldsets = (
        (None, {"fields": ("username", "email", "first_name", "last_name")}),
        ("Password", {"fields": ("usable_password", "password1", "password2")}),
    )
    actions = ("deactivate_selected", "reactivate_selected", "export_selected")
    export_fields = (
        "user_id",
        "username",
        "first_name",
        "last_name",
        "email",
        "phone_number",
        "role",
        "is_active",
        "is_staff",
        "last_seen_at",
        "created_at",
    )

    @admin.display(description="Name")
    def name(self, person):
        return person.get_full_name()

    @admin.display(description="Online", boolean=True)
    def online(self, person):
        return person.is_online

    @admin.display(description="Related pages")
    def related_pages(self, person):
        """Links to the user's rows, if the viewer may see them; see ``get_object``."""
        links = (
            link_to_list(text, model, **{field: person.pk})
            for text, model, field in RELATED_PAGES
            if model in person.linked
        )
        return format_html_join(" · ", "{}", ((link,) for link in links))

    @admin.display(description="Activity")
    def activity(self, person):
        # message_sender
        return chart_of_hours(Message.objects.kept().filter(sender=person))

    def get_fieldsets(self, request, obj=None):
        """Show the activity chart to staff who may view messages."""
        fieldsets = super().get_fieldsets(request, obj)
        if obj is None or Message not in obj.linked:
            return fieldsets
        return [*fieldsets, ("Activity", {"fields": ("activity",)})]

    def get_readonly_fields(self, request, obj=None):
        fields = super().get_readonly_fields(request, obj)
        if obj and not may_set_sign_in(request.user, obj):
            fields = (*fields, "email")
        return fields if request.user.is_superuser else (*fields, *GIVEN_BY_SUPERUSERS)

    def has_change_permission(self, request, obj=None):
        allowed = super().has_change_permission(request, obj)
        return allowed and (obj is None or may_change(request.user, obj))

    def has_password_permission(self, request, obj=None):
        allowed = self.has_change_permission(request, obj)
        return allowed and (obj is None or may_set_sign_in(request.user, obj))

    def has_delete_permission(self, request, obj=None):
        """Staff cannot delete themselves, so that they do not lock themselves out."""
        allowed = super().has_delete_permission(request, obj)
        return allowed and (
            obj is None or (obj != request.user and may_change(request.user, obj))
        )

    def get_object(self, request, object_id, from_field=None):
        person = super().get_object(request, object_id, from_field)
        if person:  # a permission's name needs its content type: one query for all
            prefetch_related_objects([person], "user_permissions__content_type")
            person.linked = [
                model
                for model, page in self.admin_site._registry.items()
                if page.has_view_permission(request)
            ]
        return person

    def get_search_results(self, request, queryset, search_term):
        """Offer only active users in pickers."""
        if request.path == reverse("admin:autocomplete"):
            queryset = self._newest_or_named(queryset.active(), search_term)
        return super().get_search_results(request, queryset, search_term)

    def get_changelist(self, request, **kwargs):
        return SearchedChangeList

    def get_found_anywhere(self, search_term):
        if "\0" in search_term:
            return None
        return (
            User.objects.named(search_term.strip()).values_list("pk", flat=True).first()
        )

    def _newest_or_named(self, people: QuerySet, search_term: str) -> QuerySet:
        """Return the users that a picker searches: the newest, and an exact match.

        A picker, unlike the list, has no link to older rows.
        """
        times = people.order_by("-created_at").values_list("created_at", flat=True)
        if not (edge := times[MOST_LISTED:].first()):
            return people
        named = self.get_found_anywhere(search_term)
        return people.filter(Q(created_at__gt=edge) | Q(pk=named))

    def save_model(self, request, obj, form, change):
        """Write only the fields changed in the form; others may have changed since."""
        if not change:
            super().save_model(request, obj, form, change)
            return record_created(obj, actor=request.user)
        columns = {field.name for field in obj._meta.concrete_fields}
        changed = columns.intersection(form.changed_data)
        changes = {name: getattr(obj, name) for name in changed}
        return update_user(obj, changes, actor=request.user)

    def save_related(self, request, form, formsets, change):
        """Record added and removed groups and permissions.

        ``save_model`` has locked the row.
        """
        person = form.instance
        before = given_to(person)
        super().save_related(request, form, formsets, change)
        record_all(
            Action.USER_POWERS_CHANGED,
            steps(before, given_to(person)),
            actor=request.user,
            user_id=person.pk,
        )

    def user_change_password(self, request, id, form_url=""):  # noqa: A002
        """Set another user's password, by a form that knows the actor.

        For one's own password, redirect to the page that asks for the current one.
        """
        if as_uuid(id) == request.user.pk:
            return redirect("admin:password_change")
        page = copy(self)
        page.has_change_permission = self.has_password_permission
        page.change_password_form = partial(UserPasswordForm, actor=request.user)
        view = super(UserAdmin, page).user_change_password
        return view(request, id, form_url)

    def delete_model(self, request, obj):
        delete_user(obj, actor=request.user)

    def get_deletion_details(self, row):
        return ["Leaves every conversation. The messages stay, from “Deleted user”."]

    @admin.action(description="Deactivate selected users", permissions=["change"])
    @confirm_first(
        "Deactivate these users?",
        "They are signed out everywhere, their access tokens are revoked, and they"
        " cannot sign in until they are reactivated. They stay in their conversations.",
    )
    def deactivate_selected(self, request, queryset):
        self._switch(request, queryset, deactivate_user, "Deactivated")

    @admin.action(description="Reactivate selected users", permissions=["change"])
    def reactivate_selected(self, request, queryset):
        self._switch(request, queryset, reactivate_user, "Reactivated")

    def _switch(self, request, queryset, service: Callable, done: str) -> None:
        people = list(queryset)
        for person in (changed := [p for p in people if self._may_switch(request, p)]):
            service(person, actor=request.user)
            self.log_change(request, person, f"{done}.")
        if changed:
            self.message_user(request, f"{done}: {len(changed)}.", messages.SUCCESS)
        if kept := [str(person) for person in people if person not in changed]:
            text = f"You are not allowed to change: {', '.join(kept)}."
            self.message_user(request, text, messages.WARNING)

    def _may_switch(self, request, person: User) -> bool:
        """Staff cannot deactivate themselves and so lock themselves out."""
        return person != request.user and may_change(request.user, person)
