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
    """Users' access tokens. Deleting one revokes it."""

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
    """Users' sessions, for superusers only. Deleting one signs it out."""

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
    """Counters that limit password guessing; deleting one removes its lock.

    Keys are digests, so they do not reveal their account or address. The search finds
    the counters of a known account or address.
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
        """What the key counts, as far as it is known from the search or the time."""
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
    """Return the keys for the typed account and address, with what each counts.

    For staff who may view users, either identifier of the account finds all its keys.
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
    """Return the network that limits count for an IP address; "" for other text."""
    try:
        address = ip_address(text.partition("/")[0])
    except ValueError:
        return ""
    if address.version == 4:
        return str(address)
    return str(ip_network((address, ONE_CUSTOMER), strict=False))
