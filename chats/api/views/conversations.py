"""Conversations: starting, listing, renaming, joining, leaving."""

from collections.abc import Iterable
from contextlib import AbstractContextManager
from functools import partial
from uuid import UUID

from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema, extend_schema_view
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from chats.api.inputs.conversations import (
    ParticipantIdSerializer,
    RenameSerializer,
    StartConversationSerializer,
)
from chats.api.schema import Error, documented
from chats.api.views.base import ServiceViewSet
from chats.lists.filters import ConversationFilter
from chats.lists.keyset import Pages
from chats.lists.pages import conversation_pages
from chats.models import Conversation, Participant
from chats.serializers.conversations import (
    ConversationDetailSerializer,
    ConversationSerializer,
)
from chats.serializers.participants import ParticipantSerializer
from chats.serializers.rows import Row
from chats.services import conversations
from chats.services.starting import count_strangers, start_conversation_once
from chats.services.typing import announce_typing
from chats.web.throttles import StartConversationThrottle, strangers_counted


@extend_schema_view(
    list=documented(
        "List my conversations, latest activity first.",
        responses=ConversationSerializer(many=True),
    ),
    create=documented(
        """
        Start a conversation, which I own.

        With a `client_id` a retry is safe: the same value again returns the first
        conversation, with 200.
        """,
        responses={
            200: ConversationDetailSerializer,
            201: ConversationDetailSerializer,
            409: Error,
        },
    ),
    retrieve=documented("Get a conversation with its newest messages."),
    update=documented("Rename a conversation.", responses=ConversationDetailSerializer),
    partial_update=documented(
        "Rename a conversation.", responses=ConversationDetailSerializer
    ),
    destroy=documented(
        "Delete a conversation that I own, with its messages, for everyone."
    ),
)
class ConversationViewSet(ServiceViewSet):
    """The caller's conversations."""

    queryset = Conversation.objects.all()
    serializer_class = ConversationDetailSerializer
    input_classes = {
        "create": StartConversationSerializer,
        "update": RenameSerializer,
        "partial_update": RenameSerializer,
        "add_participant": ParticipantIdSerializer,
        "remove_participant": ParticipantIdSerializer,
    }
    create_throttles = (StartConversationThrottle,)
    filterset_class = ConversationFilter
    lookup_field = "conversation_id"

    def get_queryset(self) -> QuerySet:
        mine = Conversation.objects.visible_to(self.request.user)
        return mine.values(*ConversationSerializer.columns(for_reader=True))

    def get_answer_class(self) -> type[ConversationSerializer]:
        is_list = self.action == "list"
        return ConversationSerializer if is_list else ConversationDetailSerializer

    def get_pages(self) -> QuerySet | Pages:
        pages = conversation_pages(self.request.user.pk, self.request.query_params)
        return super().get_pages() if pages is None else pages

    def perform_create(self, fields: dict) -> tuple[Row, bool]:
        with self._strangers_counted(fields["participant_ids"]):
            key, is_new = start_conversation_once(self.request.user, **fields)
        self.kwargs[self.lookup_field] = str(key)
        return self.get_object(), is_new

    def perform_update(self, fields: dict) -> Row:
        conversations.rename_conversation(self.request.user, self.key, **fields)
        return self.get_object()

    def require_update(self) -> None:
        self._require("rename")

    def perform_destroy(self) -> None:
        conversations.delete_conversation(self.request.user, self.key)

    @extend_schema(responses=ConversationDetailSerializer)
    @action(detail=True, methods=["post"])
    def add_participant(self, request: Request, conversation_id: str) -> Response:
        """Add a participant; adding the same user again changes nothing."""
        user_id = self._person_named("add")
        with self._strangers_counted([user_id]):
            conversations.add_participant(request.user, self.key, user_id=user_id)
        return self.retrieve(request)

    @extend_schema(responses={200: ConversationDetailSerializer, 204: None})
    @action(detail=True, methods=["post"])
    def remove_participant(self, request: Request, conversation_id: str) -> Response:
        """Leave (204) or, as the owner, remove another participant (200)."""
        user_id = self._person_named()
        conversations.remove_participant(request.user, self.key, user_id=user_id)
        if user_id == request.user.pk:
            return Response(status=204)
        return self.retrieve(request)

    @extend_schema(request=None, responses={204: None})
    @action(detail=True, methods=["post"])
    def typing(self, request: Request, conversation_id: str) -> Response:
        """Tell the other participants that I am typing."""
        announce_typing(request.user, self.key)
        return Response(status=204)

    @extend_schema(responses=ParticipantSerializer(many=True), filters=False)
    @action(detail=True, filterset_class=None)
    def participants(self, request: Request, conversation_id: str) -> Response:
        """List the participants in the order in which they joined."""
        self.get_object()
        # The page's own query asks again: a removal may have come between.
        seen = Participant.objects.visible_to(request.user)
        everybody = seen.filter(conversation_id=conversation_id)
        page = self.paginate_queryset(
            everybody.values(*ParticipantSerializer.columns())
        )
        return self.get_paginated_response(ParticipantSerializer.render(page))

    def _strangers_counted(self, user_ids: Iterable[UUID]) -> AbstractContextManager:
        number = partial(count_strangers, self.request.user, user_ids)
        return strangers_counted(self.request, number)

    def _person_named(self, act: str = "") -> UUID:
        return self.validated(check=partial(self._require, act))["user_id"]

    def _require(self, act: str) -> None:
        conversations.require_allowed(self.request.user, self.key, act)
