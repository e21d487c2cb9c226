"""Signing in and out, passwords, access tokens."""

import hashlib
from collections.abc import Mapping
from typing import Any

from django.contrib.auth import authenticate, login, logout, update_session_auth_hash
from drf_spectacular.utils import extend_schema, extend_schema_view
from rest_framework import exceptions, mixins, viewsets
from rest_framework.generics import GenericAPIView
from rest_framework.permissions import AllowAny, IsAuthenticated
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from chats.api.authentication import require_same_origin
from chats.api.inputs.auth import (
    IssueTokenSerializer,
    LoginSerializer,
    PasswordChangeSerializer,
    PasswordResetConfirmSerializer,
    PasswordResetSerializer,
)
from chats.api.inputs.proof import require_proof
from chats.api.permissions import HasSessionToEnd, IsNotToken
from chats.api.schema import Error, documented
from chats.db.uuids import UUID_REGEX
from chats.models import AccessToken, User
from chats.models.text.identifiers import comparable
from chats.serializers.credentials import NewTokenSerializer, TokenSerializer
from chats.serializers.users import UserSerializer
from chats.services import mail, sign_in, users
from chats.web.addresses import client_network
from chats.web.exceptions import CHALLENGE
from chats.web.site import site_address
from chats.web.throttles import count

RESETS_PER_HOUR = 5  # e-mails to one address


def user_by_password(request: Request, identifier: str, password: str) -> User:
    """Return the user; raises the same AuthenticationFailed whatever is wrong."""
    user = authenticate(request._request, username=identifier, password=password)
    if user is None:
        raise exceptions.AuthenticationFailed(
            "Wrong username, e-mail or password.", "wrong_credentials"
        )
    return user


def has_password(data: Any) -> bool:
    return isinstance(data, Mapping) and "password" in data


class LoginView(GenericAPIView):
    """Sign in with a session."""

    hashes_passwords = True
    serializer_class = LoginSerializer
    authentication_classes = ()
    permission_classes = (AllowAny,)

    def get_authenticate_header(self, request: Request) -> str:
        return CHALLENGE  # so that a wrong password is 401

    @extend_schema(responses={200: UserSerializer, 401: Error, 403: Error})
    def post(self, request: Request) -> Response:
        """Sign in with username or e-mail.

        Sets the session cookie and the cookie `csrftoken`. Later writes with this
        session must send the value of `csrftoken` as `X-CSRFToken`.
        """
        require_same_origin(request)
        serializer = self.get_serializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        fields = serializer.validated_data
        user = user_by_password(request, fields["identifier"], fields["password"])
        login(request._request, user)
        user.mark_seen()
        request.user = user
        return Response(UserSerializer(user, context={"request": request}).data)


class LogoutView(APIView):
    """Sign out."""

    permission_classes = (IsAuthenticated, HasSessionToEnd)

    @extend_schema(request=None, responses={204: None})
    def post(self, request: Request) -> Response:
        """End this session."""
        logout(request._request)
        return Response(status=204)


class PasswordChangeView(GenericAPIView):
    """Change the caller's password."""

    hashes_passwords = True
    serializer_class = PasswordChangeSerializer

    @extend_schema(responses={204: None})
    def post(self, request: Request) -> Response:
        """Change my password and end all my other sessions and all my tokens."""
        serializer = self.get_serializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        user, fields = request.user, serializer.validated_data
        sign_in.confirm_password(
            user,
            fields["old_password"],
            client_network(request),
            field="old_password",
        )
        users.change_password(user, fields["new_password"], actor=user)
        if request.auth is None:
            update_session_auth_hash(request._request, user)
        return Response(status=204)


class PasswordResetView(GenericAPIView):
    """Request an e-mail to reset a forgotten password."""

    serializer_class = PasswordResetSerializer
    authentication_classes = ()
    permission_classes = (AllowAny,)

    @extend_schema(responses={204: None})
    def post(self, request: Request) -> Response:
        """Send a reset e-mail if the account exists; the answer is always 204.

        Its link opens a page, such as the web client's, that sets the new password.
        """
        serializer = self.get_serializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        email = serializer.validated_data["email"]
        user = User.objects.active().named(email).first()
        # As a digest: an address may be longer than a key of the cache.
        key = hashlib.sha256(comparable(email).encode()).hexdigest()
        sent = count(f"reset:{key}", 3600)
        mail.send_password_reset(
            user if sent <= RESETS_PER_HOUR else None, site=site_address(request)
        )
        return Response(status=204)


class PasswordResetConfirmView(GenericAPIView):
    """Reset a forgotten password."""

    hashes_passwords = True
    serializer_class = PasswordResetConfirmSerializer
    authentication_classes = ()
    permission_classes = (AllowAny,)

    @extend_schema(responses={204: None})
    def post(self, request: Request) -> Response:
        """Set a new password with the token from the e-mail; every session ends."""
        serializer = self.get_serializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        fields = serializer.validated_data
        user = fields["user"]
        users.change_password(user, fields["new_password"], actor=user)
        sign_in.start_afresh(user, client_network(request))
        return Response(status=204)


@extend_schema_view(
    list=documented("List my tokens."), destroy=documented("Revoke a token.")
)
class TokenViewSet(
    mixins.ListModelMixin, mixins.DestroyModelMixin, viewsets.GenericViewSet
):
    """The caller's access tokens."""

    hashes_passwords = True
    queryset = AccessToken.objects.all()
    serializer_class = TokenSerializer
    lookup_field = "token_id"
    lookup_value_regex = UUID_REGEX

    def get_queryset(self):
        return AccessToken.objects.visible_to(self.request.user)

    def get_permissions(self) -> list:
        if self.action == "create":
            return [AllowAny(), IsNotToken()]
        return super().get_permissions()

    @extend_schema(request=IssueTokenSerializer, responses={201: NewTokenSerializer})
    def create(self, request: Request) -> Response:
        """Create a token; its secret is shown only this once."""
        if request.user.is_anonymous and not has_password(request.data):
            raise exceptions.NotAuthenticated
        serializer = IssueTokenSerializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        fields = serializer.validated_data
        user = self._owner(request, fields)
        token, secret = users.issue_token(
            user, name=fields["name"], expires_at=fields.get("expires_at")
        )
        token.token = secret
        return Response(NewTokenSerializer(token).data, 201)

    def perform_destroy(self, instance: AccessToken) -> None:
        users.revoke_token(instance, actor=self.request.user)

    def _owner(self, request: Request, fields: dict) -> User:
        if "password" in fields:
            identifier = fields["identifier"]
            return user_by_password(request, identifier, fields["password"])
        proof = fields.get("current_password")
        require_proof(request, proof, purpose="create a token")
        return request.user
