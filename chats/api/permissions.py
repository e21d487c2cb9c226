"""Who may call at all.

What depends on participation, ownership or authorship is decided in the services, by
``chats.models.rules``, under the lock that keeps it true until the commit.
"""

from django.conf import settings
from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from chats.models import AccessToken, User


class CanRegister(BasePermission):
    """Anyone while registration is open, otherwise role-admins."""

    message = "Registration is closed."

    def has_permission(self, request: Request, view) -> bool:
        if settings.REGISTRATION_OPEN:
            return True
        return request.user.is_authenticated and request.user.is_role_admin


class CanManageAccount(BasePermission):
    """The user, or a role-admin who may manage the user."""

    message = "Only the account's owner or an admin can do this."

    def has_object_permission(self, request: Request, view, obj: User) -> bool:
        return request.user.can_manage(obj)


class IsNotToken(BasePermission):
    """Not with a token: a leaked one could create others."""

    message = "Use a session, or a username and password, instead of a token."

    def has_permission(self, request: Request, view) -> bool:
        return not isinstance(request.auth, AccessToken)


class HasSessionToEnd(IsNotToken):
    """Not with a token, which has no session."""

    message = (
        "A token cannot sign out. To revoke it: DELETE /api/auth/tokens/{token_id}/"
    )
