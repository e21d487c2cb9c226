"""People: signing up, looking up, one's own account."""

from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema, extend_schema_view
from rest_framework.decorators import action
from rest_framework.permissions import IsAuthenticated
from rest_framework.request import Request
from rest_framework.response import Response

from chats.api.inputs.proof import ProofSerializer, require_proof
from chats.api.inputs.users import AccountSerializer, SignUpSerializer
from chats.api.permissions import CanManageAccount, CanRegister
from chats.api.schema import Error
from chats.api.views.base import ChatsViewSet
from chats.lists.filters import UserFilter
from chats.models import User
from chats.serializers.users import UserSerializer
from chats.services import users
from chats.web.throttles import SignUpThrottle

CHANGED = {200: UserSerializer, 409: Error}  # an account; one that has been deleted


@extend_schema_view(
    list=extend_schema(description="List active users."),
    retrieve=extend_schema(description="Get a user."),
)
class UserViewSet(ChatsViewSet):
    """User accounts."""

    hashes_passwords = True
    queryset = User.objects.all()
    serializer_class = UserSerializer
    permission_classes = (IsAuthenticated, CanManageAccount)
    filterset_class = UserFilter
    lookup_field = "user_id"

    def get_queryset(self) -> QuerySet:
        if self.action == "list":
            return User.objects.active().order_by("username")
        return User.objects.visible_to(self.request.user)

    def get_object(self) -> User:
        """Return the person in the path; on ``me/``, which names nobody, the caller."""
        self.kwargs.setdefault(self.lookup_field, str(self.request.user.pk))
        return super().get_object()

    def get_permissions(self) -> list:
        if self.action == "create":
            return [CanRegister()]
        if self.action == "retrieve":
            return [IsAuthenticated()]
        return super().get_permissions()

    def get_throttles(self) -> list:
        throttles = super().get_throttles()
        return [*throttles, SignUpThrottle()] if self.action == "create" else throttles

    @extend_schema(request=SignUpSerializer, responses={201: UserSerializer})
    def create(self, request: Request) -> Response:
        """Sign up."""
        context = self.get_serializer_context()
        serializer = SignUpSerializer(data=request.data, context=context)
        serializer.is_valid(raise_exception=True)
        user = serializer.save()
        if not request.user.is_authenticated:
            request.user = user  # so that the answer is the person's own
        return Response(UserSerializer(user, context=context).data, 201)

    @extend_schema(request=AccountSerializer, responses=CHANGED)
    def update(self, request: Request, user_id: str) -> Response:
        """Change an account."""
        return self._update(request, partial=False)

    @extend_schema(request=AccountSerializer, responses=CHANGED)
    def partial_update(self, request: Request, user_id: str) -> Response:
        """Change an account."""
        return self._update(request, partial=True)

    @extend_schema(request=ProofSerializer, responses={204: None})
    def destroy(self, request: Request, user_id: str) -> Response:
        """Delete an account: leave every conversation and anonymise the user.

        To delete one's own account requires `current_password`, unless the session
        signed in within the last 15 minutes. Admins delete other accounts without it.
        """
        user = self.get_object()
        if user == request.user:
            serializer = ProofSerializer(data=request.data)
            serializer.is_valid(raise_exception=True)
            proof = serializer.validated_data.get("current_password")
            require_proof(request, proof, purpose="delete your account")
        users.delete_user(user, actor=request.user)
        return Response(status=204)

    @action(detail=False)
    def me(self, request: Request) -> Response:
        """Get my account."""
        return self._mine(self.retrieve)

    @extend_schema(request=AccountSerializer, responses=CHANGED)
    @me.mapping.put
    def update_me(self, request: Request) -> Response:
        """Change my account."""
        return self._mine(self.update)

    @extend_schema(request=AccountSerializer, responses=CHANGED)
    @me.mapping.patch
    def partial_update_me(self, request: Request) -> Response:
        """Change my account."""
        return self._mine(self.partial_update)

    @extend_schema(request=ProofSerializer, responses={204: None})
    @me.mapping.delete
    def delete_me(self, request: Request) -> Response:
        """Delete my account: leave every conversation and anonymise the user.

        Requires `current_password`, unless the session signed in within the last 15
        minutes.
        """
        return self._mine(self.destroy)

    def _mine(self, handler) -> Response:
        self.detail = True
        return handler(self.request, str(self.request.user.pk))

    def _update(self, request: Request, *, partial: bool) -> Response:
        context = self.get_serializer_context()
        serializer = AccountSerializer(
            self.get_object(), data=request.data, partial=partial, context=context
        )
        serializer.is_valid(raise_exception=True)
        return Response(UserSerializer(serializer.save(), context=context).data)
