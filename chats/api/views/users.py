"""Users: signing up, looking up, one's own account."""

from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema_view
from rest_framework.permissions import IsAuthenticated
from rest_framework.serializers import Serializer

from chats.api.inputs.proof import ProofSerializer, require_proof
from chats.api.inputs.users import AccountSerializer, SignUpSerializer
from chats.api.permissions import CanManageAccount, CanRegister
from chats.api.schema import Error, documented
from chats.api.views.base import ChatsViewSet
from chats.lists.filters import UserFilter
from chats.models import User
from chats.serializers.users import UserSerializer
from chats.services import users
from chats.web.throttles import SignUpThrottle

CHANGED = {200: UserSerializer, 409: Error}  # 409: the account has been deleted
# The optional body of a DELETE is in the schema only if ``extend_schema`` names it.
DELETED = {"request": ProofSerializer, "responses": {204: None}}


@extend_schema_view(
    list=documented("List active users."),
    retrieve=documented("Get a user."),
    create=documented("Sign up.", responses={201: UserSerializer}),
    update=documented("Change an account.", responses=CHANGED),
    partial_update=documented("Change an account.", responses=CHANGED),
    destroy=documented(
        """
        Delete an account: leave every conversation and anonymise the user.

        To delete one's own account requires `current_password`, unless the session
        signed in within the last 15 minutes. Admins delete other accounts without it.
        """,
        **DELETED,
    ),
)
class UserViewSet(ChatsViewSet):
    """User accounts."""

    hashes_passwords = True
    queryset = User.objects.all()
    serializer_class = UserSerializer
    input_classes = {
        "create": SignUpSerializer,
        "update": AccountSerializer,
        "partial_update": AccountSerializer,
        "destroy": ProofSerializer,
    }
    create_throttles = (SignUpThrottle,)
    permission_classes = (IsAuthenticated, CanManageAccount)
    filterset_class = UserFilter
    lookup_field = "user_id"

    def get_queryset(self) -> QuerySet:
        if self.action == "list":
            return User.objects.active().order_by("username")
        return User.objects.visible_to(self.request.user)

    def get_permissions(self) -> list:
        if self.action == "create":
            return [CanRegister()]
        if self.action == "retrieve":
            return [IsAuthenticated()]
        return super().get_permissions()

    def perform_create(self, serializer: Serializer) -> None:
        user = serializer.save()
        if not self.request.user.is_authenticated:
            self.request.user = user  # the answer shows them their private fields

    def perform_destroy(self, instance: User) -> None:
        if instance == self.request.user:
            serializer = self.get_serializer(data=self.request.data)
            serializer.is_valid(raise_exception=True)
            proof = serializer.validated_data.get("current_password")
            require_proof(self.request, proof, purpose="delete your account")
        users.delete_user(instance, actor=self.request.user)


@extend_schema_view(
    retrieve=documented("Get my account."),
    update=documented("Change my account.", responses=CHANGED),
    partial_update=documented("Change my account.", responses=CHANGED),
    destroy=documented(
        """
        Delete my account: leave every conversation and anonymise the user.

        Requires `current_password`, unless the session signed in within the last 15
        minutes.
        """,
        **DELETED,
    ),
)
class MeViewSet(UserViewSet):
    """The caller's own account."""

    def get_object(self) -> User:
        self.kwargs[self.lookup_field] = str(self.request.user.pk)
        return super().get_object()
