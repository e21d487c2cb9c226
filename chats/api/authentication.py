"""Who is calling: sign-in by username or e-mail, sessions, access tokens."""

from django.contrib.auth.backends import ModelBackend
from django.http import HttpRequest
from rest_framework import authentication, exceptions
from rest_framework.request import Request

from chats.models import AccessToken, User
from chats.services import sign_in
from chats.web.addresses import client_address, client_network
from chats.web.callers import note_person
from chats.web.exceptions import CHALLENGE


class UsernameOrEmailBackend(ModelBackend):
    """Django's backend, for username or e-mail, with a limit on attempts.

    Every sign-in uses it: API, tokens, admin, browsable API. An unknown identifier
    costs the same password hash as a known one, and is counted the same. The counters
    are of identifiers, so they reveal nothing of accounts. Raises TooManyAttempts when
    the limit is reached.
    """

    def authenticate(
        self,
        request: HttpRequest | None,
        username: str | None = None,
        password: str | None = None,
        **kwargs,
    ) -> User | None:
        if not username or password is None or "\0" in username:
            return None
        known = User.objects.named(username).first()
        address = client_network(request) if request else ""
        sign_in.reserve_attempt(username, address)
        user = known or User()
        if not known:
            user.set_password(password)  # as slow as a check
            return None
        if not user.check_password(password) or not user.is_active:
            return None
        sign_in.forgive_attempts(username, address)
        return user


class SessionAuthentication(authentication.SessionAuthentication):
    """Django's session, with CSRF; it marks the user as seen."""

    def enforce_csrf(self, request: Request) -> None:
        """Refuse writes without the token before the body is parsed.

        DRF's request would look for the token in the body, and answer its errors.
        """
        super().enforce_csrf(request._request)

    def authenticate(self, request: Request):
        found = super().authenticate(request)
        if found:
            found[0].mark_seen()
        return found


class TokenAuthentication(authentication.BaseAuthentication):
    """``Authorization: Bearer <secret>``, or ``Token``; ``request.auth`` is the
    AccessToken."""

    schemes = ("bearer", "token")

    def authenticate(self, request: Request) -> tuple[User, AccessToken] | None:
        scheme, _, secret = (
            authentication.get_authorization_header(request)
            .decode("latin-1")
            .partition(" ")
        )
        if scheme.lower() not in self.schemes:
            return None
        token = AccessToken.objects.opened_by(secret.strip())
        if token is None:
            raise exceptions.AuthenticationFailed("Invalid token.", "invalid_token")
        token.mark_used(client_address(request.META))
        token.user.mark_seen()
        note_person(request.META, "token", token.user_id)
        return token.user, token

    def authenticate_header(self, request: Request) -> str:
        return CHALLENGE


def require_same_origin(request: Request) -> None:
    """Raise PermissionDenied if a page of another site sends the sign-in.

    There is no CSRF token before signing in. The body is JSON, which another site
    cannot send without CORS, and this refuses requests that name another origin.
    """
    check = authentication.CSRFCheck(lambda _: None)
    if "HTTP_ORIGIN" in request.META and not check._origin_verified(request._request):
        raise exceptions.PermissionDenied("This origin is not trusted.", "bad_origin")
