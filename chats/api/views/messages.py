"""Messages: sending, paging, editing, reading."""

from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema, extend_schema_view
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from chats.api.inputs.messages import (
    MarkConversationSerializer,
    MessageEditSerializer,
    SendSerializer,
)
from chats.api.schema import Error, documented
from chats.api.views.base import ServiceViewSet
from chats.lists.filters import MessageFilter, OneConversationFilter
from chats.lists.keyset import Pages
from chats.lists.pages import message_pages
from chats.models import Message
from chats.serializers.messages import MarkedSerializer, MessageSerializer
from chats.services import messages
from chats.web.throttles import SendThrottle

CHANGED = {200: MessageSerializer, 409: Error}


@extend_schema_view(
    list=documented("List the messages of my conversations, newest first."),
    create=documented(
        """
        Send a message.

        With a `client_id` a retry is safe: the same value again returns the first
        message, with 200.
        """,
        responses={**CHANGED, 201: MessageSerializer},
    ),
    retrieve=documented("Get a message."),
    update=documented("Edit one of my messages.", responses=CHANGED),
    partial_update=documented("Edit one of my messages.", responses=CHANGED),
    destroy=documented("Delete a message: a tombstone stays in its place."),
)
class MessageViewSet(ServiceViewSet):
    """Messages in the caller's conversations."""

    queryset = Message.objects.all()
    serializer_class = MessageSerializer
    input_classes = {
        "create": SendSerializer,
        "update": MessageEditSerializer,
        "partial_update": MessageEditSerializer,
        "mark_conversation_as_read": MarkConversationSerializer,
    }
    create_throttles = (SendThrottle,)
    filterset_class = MessageFilter
    lookup_field = "message_id"

    def get_queryset(self) -> QuerySet:
        mine = Message.objects.visible_to(self.request.user)
        return mine.values(*MessageSerializer.columns(for_reader=True))

    def get_pages(self) -> QuerySet | Pages:
        pages = message_pages(self.request.user.pk, self.request.query_params)
        if pages is None or self.action == "by_conversation":  # 404 to outsiders
            return self.filter_queryset(Message.objects.visible_to(self.request.user))
        return pages

    def perform_create(self, fields: dict) -> tuple[Message, bool]:
        return messages.send_message(
            self.request.user,
            fields["conversation"],
            message_body=fields["message_body"],
            client_id=fields.get("client_id"),
        )

    def perform_update(self, fields: dict) -> Message:
        return messages.edit_message(self.request.user, self.key, **fields)

    def require_update(self) -> None:
        messages.require_editable(self.request.user, self.key)

    def perform_destroy(self) -> None:
        messages.delete_message(self.request.user, self.key)

    @extend_schema(methods=["POST"], request=None, responses=MessageSerializer)
    @extend_schema(
        methods=["PATCH"],
        operation_id="messages_mark_as_read_patch",
        request=None,
        responses=MessageSerializer,
    )
    @action(detail=True, methods=["post", "patch"])
    def mark_as_read(self, request: Request, message_id: str) -> Response:
        """Move my read cursor forward to this message, never back."""
        return self.answer(messages.mark_as_read(request.user, self.key))

    @extend_schema(responses=MarkedSerializer)
    @action(detail=False, methods=["post"])
    def mark_conversation_as_read(self, request: Request) -> Response:
        """Move my read cursor to the end of a conversation."""
        conversation_id = self.validated()["conversation_id"]
        cursor, marked = messages.mark_conversation_as_read(
            request.user, conversation_id
        )
        return Response(
            {
                "conversation_id": conversation_id,
                "last_read_seq": cursor,
                "marked": marked,
                "unread_count": 0,
            }
        )

    @extend_schema(responses={200: MessageSerializer(many=True), 404: Error})
    @action(detail=False, filterset_class=OneConversationFilter)
    def by_conversation(self, request: Request) -> Response:
        """List the messages of one conversation, newest first."""
        return self.list(request)
