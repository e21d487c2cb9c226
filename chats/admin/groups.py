"""Groups, and the audit of groups and of users' permissions."""

from django import forms
from django.contrib import admin
from django.contrib.auth import admin as auth_admin
from django.contrib.auth.models import Group
from django.db import transaction
from django.db.models import Manager

from chats.admin.base import GuardedAdmin
from chats.models import User
from chats.models.text.characters import composed, validate_line
from chats.services.audit import Action, record, record_all, steps


def permissions_in(permissions: Manager) -> set[str]:
    """Return the permissions' names as used in code: "chats.view_message"."""
    columns = ("content_type__app_label", "codename")
    return {".".join(pair) for pair in permissions.values_list(*columns)}


def given_to(person: User) -> set[str]:
    """Return the groups and permissions of a user."""
    groups = person.groups.values_list("pk", flat=True)
    return permissions_in(person.user_permissions) | {f"group {pk}" for pk in groups}


class GroupForm(forms.ModelForm):
    """A group; its name follows the rules for all names."""

    def clean_name(self):
        name = composed(self.cleaned_data["name"])
        if name != self.instance.name:
            validate_line(name)
        return name


admin.site.unregister(Group)


@admin.register(Group)
class GroupAdmin(GuardedAdmin, auth_admin.GroupAdmin):
    """Groups. Only superusers change them: others could give themselves permissions."""

    form = GroupForm

    def has_add_permission(self, request):
        return request.user.is_superuser

    def has_change_permission(self, request, obj=None):
        return request.user.is_superuser

    def has_delete_permission(self, request, obj=None):
        return request.user.is_superuser

    def save_related(self, request, form, formsets, change):
        """Record added and removed permissions; ``save_model`` has locked the row."""
        group = form.instance
        before = permissions_in(group.permissions)
        super().save_related(request, form, formsets, change)
        changed = steps(before, permissions_in(group.permissions))
        if "name" in form.changed_data:
            changed.insert(0, "name")
        record_all(
            Action.GROUP_CHANGED if change else Action.GROUP_CREATED,
            changed,
            prefix=f"group {group.pk}: ",
            actor=request.user,
        )

    @transaction.atomic
    def delete_model(self, request, obj):
        """Delete the group, and record each user who loses its permissions.

        The lock prevents users from being added meanwhile.
        """
        list(Group.objects.select_for_update().filter(pk=obj.pk))
        for user_id in obj.user_set.order_by("pk").values_list("pk", flat=True):
            record(
                Action.USER_POWERS_CHANGED,
                actor=request.user,
                user_id=user_id,
                details=f"-group {obj.pk}",
            )
        name = f"group {obj.pk}"
        record(Action.GROUP_DELETED, actor=request.user, details=name)
        super().delete_model(request, obj)

    def delete_queryset(self, request, queryset):
        for group in queryset:
            self.delete_model(request, group)
