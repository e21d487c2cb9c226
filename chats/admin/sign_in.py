"""Sessions, access tokens and sign-in attempts."""

from django.contrib import admin

from chats.admin.base import ReadOnly, StaffAdmin
from chats.admin.filters import LinkedFilter
from chats.admin.links import link_to
from chats.models import AccessToken, SignInAttempts, UserSession
from chats.services.sessions import end_sign_in
from chats.services.sign_in import unlock
from chats.services.users import revoke_token


@admin.register(AccessToken)
class AccessTokenAdmin(ReadOnly, StaffAdmin):
    """Tokens of people's scripts. To delete one is to revoke it."""

    list_display = (
        "__str__",
        "of_person",
        "created_at",
        "last_used_at",
        "expires_at",
    )
    list_filter = (("user", LinkedFilter),)
    list_select_related = ("user",)
    search_fields = ("name", "prefix", "user__username")
    search_help_text = "Name, first characters, username or token id."
    sortable_by = ()
    fields = (
        "user",
        "name",
        "prefix",
        "created_at",
        "last_used_at",
        "address",
        "expires_at",
    )

    @admin.display(description="Person")
    def of_person(self, token):
        return link_to(token.user)

    def delete_model(self, request, obj):
        revoke_token(obj, actor=request.user)


@admin.register(UserSession)
class UserSessionAdmin(ReadOnly, StaffAdmin):
    """Where people are signed in, for superusers. To delete one is to sign it out."""

    list_display = (
        "__str__",
        "of_person",
        "address",
        "created_at",
        "last_used_at",
        "expire_date",
    )
    list_filter = (("user", LinkedFilter),)
    list_select_related = ("user",)
    search_fields = ("user__username",)
    search_help_text = "Username."
    sortable_by = ()
    fields = (
        "user",
        "user_agent",
        "address",
        "created_at",
        "last_used_at",
        "expire_date",
    )

    @admin.display(description="Person")
    def of_person(self, session):
        return link_to(session.user)

    def has_module_permission(self, request):
        return request.user.is_superuser

    def has_view_permission(self, request, obj=None):
        return request.user.is_superuser

    def has_delete_permission(self, request, obj=None):
        return request.user.is_superuser

    def delete_model(self, request, obj):
        end_sign_in(obj.user, obj.session_id, actor=request.user)


@admin.register(SignInAttempts)
class SignInAttemptsAdmin(ReadOnly, StaffAdmin):
    """Counters that slow down guessing; to delete one is to let somebody in again.

    Keys are digests: which account or address one stands for cannot be read.
    """

    list_display = ("key", "attempts", "window_ends_at")
    sortable_by = ("window_ends_at",)
    ordering = ("-window_ends_at", "key")
    search_fields = ("=key",)
    fields = list_display

    def delete_model(self, request, obj):
        unlock(obj, actor=request.user)
