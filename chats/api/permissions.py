"""Who may call: small claims over predicates of the models.

What depends on membership, ownership or authorship is decided in the services,
under the lock that keeps it true until the commit.
"""

from django.conf import settings
from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from chats.models import AccessToken, User


class CanRegister(BasePermission):
    """Anyone while registration is open, else role-admins."""

    message = "Registration is closed."

    def has_permission(self, request: Request, view) -> bool:
        if settings.REGISTRATION_OPEN:
            return True
        return request.user.is_authenticated and request.user.is_role_admin


class CanManageAccount(BasePermission):
    """The person, or a role-admin who may manage the person."""

    message = "Only the account's owner or an admin can do this."

    def has_object_permission(self, request: Request, view, obj: User) -> bool:
        return request.user.can_manage(obj)


class IsNotToken(BasePermission):
    """Not with a token: one that leaked could otherwise make itself successors."""

    message = "Use a session, or a username and password, instead of a token."

    def has_permission(self, request: Request, view) -> bool:
        return not isinstance(request.auth, AccessToken)


class HasSessionToEnd(IsNotToken):
    """Not with a token, which is no session."""

    message = (
        "A token cannot sign out. To revoke it: DELETE /api/auth/tokens/{token_id}/"
    )
