"""The caller's sessions and tokens: listing and ending them."""

from uuid import UUID

from django.contrib.auth import logout
from drf_spectacular.utils import extend_schema
from rest_framework import viewsets
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from chats.api.views.base import UUID_REGEX
from chats.lists.sign_ins import ActiveSignIns
from chats.models import AccessToken, UserSession
from chats.serializers.credentials import SignInSerializer
from chats.services.sessions import end_others, end_sign_in


def current_id(request: Request) -> UUID | None:
    """Return the id of the session or token that the request was made with."""
    if isinstance(request.auth, AccessToken):
        return request.auth.pk
    row = request.session.row
    return row and row.session_id


class SessionViewSet(viewsets.GenericViewSet):
    """The caller's sessions and access tokens."""

    queryset = UserSession.objects.all()
    serializer_class = SignInSerializer
    filter_backends = ()
    lookup_field = "session_id"
    lookup_value_regex = UUID_REGEX

    def get_serializer_context(self) -> dict:
        context = super().get_serializer_context()
        if not getattr(self, "swagger_fake_view", False):
            context["current"] = current_id(self.request)
        return context

    @extend_schema(responses=SignInSerializer(many=True))
    def list(self, request: Request) -> Response:
        """List my sessions and tokens, newest first."""
        page = self.paginate_queryset(ActiveSignIns(request.user))
        rows = self.get_serializer(page, many=True).data
        return self.get_paginated_response(rows)

    @extend_schema(responses={204: None})
    def destroy(self, request: Request, session_id: str) -> Response:
        """End one of my sessions or revoke one of my tokens; its streams end too."""
        ending = UUID(session_id)
        is_own_session = request.auth is None and ending == current_id(request)
        end_sign_in(request.user, ending, actor=request.user)
        if is_own_session:
            logout(request._request)  # which deletes the cookie
        return Response(status=204)

    @extend_schema(request=None, responses={204: None})
    @action(detail=False, methods=["post"])
    def revoke_others(self, request: Request) -> Response:
        """End all my sessions and tokens except the one this call uses."""
        end_others(request.user, current=current_id(request))
        return Response(status=204)
