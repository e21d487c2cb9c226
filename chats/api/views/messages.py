"""Messages: sending, paging, editing, reading."""

from functools import partial
from uuid import UUID

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
from chats.api.schema import Error
from chats.api.views.base import ChatsViewSet
from chats.lists.filters import MessageFilter, OneConversationFilter
from chats.lists.pages import message_pages
from chats.models import Message
from chats.serializers.messages import MarkedSerializer, MessageSerializer
from chats.services import messages
from chats.web.throttles import SendThrottle


@extend_schema_view(retrieve=extend_schema(description="Get a message."))
class MessageViewSet(ChatsViewSet):
    """Messages in the caller's conversations."""

    queryset = Message.objects.all()
    serializer_class = MessageSerializer
    filterset_class = MessageFilter
    lookup_field = "message_id"

    def get_queryset(self) -> QuerySet:
        mine = Message.objects.visible_to(self.request.user)
        return mine.values(*MessageSerializer.columns(for_reader=True))

    def get_throttles(self) -> list:
        throttles = super().get_throttles()
        return [*throttles, SendThrottle()] if self.action == "create" else throttles

    def list(self, request: Request) -> Response:
        """List the messages of my conversations, newest first."""
        reader_id = request.user.pk
        pages = message_pages(reader_id, request.query_params)
        if pages is None or self.action == "by_conversation":  # 404 to outsiders
            pages = self.filter_queryset(Message.objects.visible_to(request.user))
        page = self.paginate_queryset(pages)
        return self.get_paginated_response(MessageSerializer.render(page, reader_id))

    @extend_schema(
        request=SendSerializer,
        responses={200: MessageSerializer, 201: MessageSerializer, 409: Error},
    )
    def create(self, request: Request) -> Response:
        """Send a message.

        With a `client_id` a retry is safe: the same value again returns the first
        message, with 200.
        """
        fields = self.validated(SendSerializer)
        message, is_new = messages.send_message(
            request.user,
            fields["conversation"],
            message_body=fields["message_body"],
            client_id=fields.get("client_id"),
        )
        return self._answer(message, 201 if is_new else 200)

    @extend_schema(
        request=MessageEditSerializer, responses={200: MessageSerializer, 409: Error}
    )
    def update(self, request: Request, message_id: str) -> Response:
        """Edit one of my messages."""
        return self._edit(request, message_id)

    @extend_schema(
        request=MessageEditSerializer, responses={200: MessageSerializer, 409: Error}
    )
    def partial_update(self, request: Request, message_id: str) -> Response:
        """Edit one of my messages."""
        return self._edit(request, message_id, is_partial=True)

    def destroy(self, request: Request, message_id: str) -> Response:
        """Delete a message: a tombstone stays in its place."""
        messages.delete_message(request.user, UUID(message_id))
        return Response(status=204)

    @extend_schema(request=None, responses=MessageSerializer)
    @action(detail=True, methods=["post"])
    def mark_as_read(self, request: Request, message_id: str) -> Response:
        """Move my read cursor forward to this message, never back."""
        return self._answer(messages.mark_as_read(request.user, UUID(message_id)))

    @extend_schema(
        operation_id="messages_mark_as_read_patch",
        request=None,
        responses=MessageSerializer,
    )
    @mark_as_read.mapping.patch
    def patch_as_read(self, request: Request, message_id: str) -> Response:
        """Move my read cursor forward to this message, never back."""
        return self.mark_as_read(request, message_id)

    @extend_schema(request=MarkConversationSerializer, responses=MarkedSerializer)
    @action(detail=False, methods=["post"])
    def mark_conversation_as_read(self, request: Request) -> Response:
        """Move my read cursor to the end of a conversation."""
        conversation_id = self.validated(MarkConversationSerializer)["conversation_id"]
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

    def _edit(
        self, request: Request, message_id: str, *, is_partial: bool = False
    ) -> Response:
        actor, key = request.user, UUID(message_id)
        check = partial(messages.require_editable, actor, key)
        fields = self.validated(MessageEditSerializer, check=check, partial=is_partial)
        if not fields:
            return self.retrieve(request, message_id)
        return self._answer(messages.edit_message(actor, key, **fields))

    def _answer(self, message: Message, status: int = 200) -> Response:
        shown = MessageSerializer.render_one(message, self.request.user.pk)
        return Response(shown, status)
