"""Sessions, access tokens and sign-in attempts."""

from ipaddress import ip_address, ip_network

from django.contrib import admin
from django.db.models import Case, CharField, Value, When
from django.utils import timezone

from chats.admin.base import ReadOnly, StaffAdmin
from chats.admin.filters import LinkedFilter
from chats.admin.links import link_to
from chats.models import AccessToken, SignInAttempts, User, UserSession
from chats.services.sessions import end_sign_in
from chats.services.sign_in import WINDOW, keys_of, unlock
from chats.services.users import revoke_token
from chats.web.addresses import ONE_CUSTOMER


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
    search_help_text = "Search by name, first characters, username or token id."
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

    @admin.display(description="User")
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
    search_help_text = "Search by username."
    sortable_by = ()
    fields = (
        "user",
        "user_agent",
        "address",
        "created_at",
        "last_used_at",
        "expire_date",
    )

    @admin.display(description="User")
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

    Keys are digests: which account or address one stands for cannot be read. Whoever
    knows an account or an address finds its counters by it.
    """

    list_display = ("key", "kind", "attempts", "window_ends_at")
    sortable_by = ("window_ends_at",)
    ordering = ("-window_ends_at", "key")
    search_fields = ("=key",)
    search_help_text = (
        "Search by username or e-mail address, by IP address, by both separated by a"
        " space (for the counter of the two together), or by key."
    )
    fields = ("key", "attempts", "window_ends_at")

    @admin.display(description="Counted by")
    def kind(self, counter):
        """What a search has shown the key to be, or its time: others look alike."""
        if counter.window_ends_at > timezone.now() + WINDOW:
            return "nothing: a remembered sign-in"
        return getattr(counter, "kind", None)

    def get_search_results(self, request, queryset, search_term):
        if not (words := search_term.split()):
            return queryset, False
        keys = keys_asked(words, request.user)
        found = queryset.filter(key__in=[*keys, *words[:1]])
        is_of = (When(key=key, then=Value(kind)) for key, kind in keys.items())
        return found.annotate(kind=Case(*is_of, output_field=CharField())), False

    def delete_model(self, request, obj):
        unlock(obj, actor=request.user)


def keys_asked(words: list[str], staff: User) -> dict[str, str]:
    """Return the keys of the account and the address typed, with what they count by.

    An account is found by either of its identifiers by those who may look people up.
    """
    networks = [network for word in words if (network := network_in(word))]
    typed = [word for word in words if not network_in(word)]
    names = {name.lower() for name in typed[:1]}
    if names and staff.has_perm("chats.view_user") and "\0" not in typed[0]:
        for person in User.objects.named(typed[0]):
            names |= {str(person.pk), person.username, person.email}
    keys: dict[str, str] = {}
    for name in names or {""}:
        keys |= keys_of(name, networks[0] if networks else "")
    return keys


def network_in(text: str) -> str:
    """Return what limits count by for the IP address that ``text`` is, or nothing."""
    try:
        address = ip_address(text.partition("/")[0])
    except ValueError:
        return ""
    if address.version == 4:
        return str(address)
    return str(ip_network((address, ONE_CUSTOMER), strict=False))
