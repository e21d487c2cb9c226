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
from chats.api.schema import Error
from chats.api.views.base import ChatsViewSet
from chats.lists.filters import ConversationFilter
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
    retrieve=extend_schema(description="Get a conversation with its newest messages.")
)
class ConversationViewSet(ChatsViewSet):
    """The caller's conversations."""

    queryset = Conversation.objects.all()
    filterset_class = ConversationFilter
    lookup_field = "conversation_id"

    def get_queryset(self) -> QuerySet:
        mine = Conversation.objects.visible_to(self.request.user)
        return mine.values(*ConversationSerializer.columns(for_reader=True))

    def get_serializer_class(self) -> type[ConversationSerializer]:
        is_list = self.action == "list"
        return ConversationSerializer if is_list else ConversationDetailSerializer

    def get_throttles(self) -> list:
        throttles = super().get_throttles()
        return (
            [*throttles, StartConversationThrottle()]
            if self.action == "create"
            else throttles
        )

    def list(self, request: Request) -> Response:
        """List my conversations, latest activity first."""
        pages = conversation_pages(request.user.pk, request.query_params)
        if pages is None:
            pages = self.filter_queryset(self.get_queryset())
        page = self.paginate_queryset(pages)
        shown = ConversationSerializer.render(page, request.user.pk)
        return self.get_paginated_response(shown)

    @extend_schema(
        request=StartConversationSerializer,
        responses={
            200: ConversationDetailSerializer,
            201: ConversationDetailSerializer,
            409: Error,
        },
    )
    def create(self, request: Request) -> Response:
        """Start a conversation, which I own.

        With a `client_id` a retry is safe: the same value again returns the first
        conversation, with 200.
        """
        fields = self.validated(StartConversationSerializer)
        with self._strangers_counted(fields["participant_ids"]):
            key, is_new = start_conversation_once(request.user, **fields)
        self.kwargs[self.lookup_field] = key
        return Response(self._detail(), 201 if is_new else 200)

    @extend_schema(request=RenameSerializer, responses=ConversationDetailSerializer)
    def update(self, request: Request, conversation_id: str) -> Response:
        """Rename a conversation."""
        return self._rename(UUID(conversation_id))

    @extend_schema(request=RenameSerializer, responses=ConversationDetailSerializer)
    def partial_update(self, request: Request, conversation_id: str) -> Response:
        """Rename a conversation."""
        return self._rename(UUID(conversation_id), is_partial=True)

    def destroy(self, request: Request, conversation_id: str) -> Response:
        """Delete a conversation that I own, with its messages, for everyone."""
        conversations.delete_conversation(request.user, UUID(conversation_id))
        return Response(status=204)

    @extend_schema(
        request=ParticipantIdSerializer, responses=ConversationDetailSerializer
    )
    @action(detail=True, methods=["post"])
    def add_participant(self, request: Request, conversation_id: str) -> Response:
        """Add a participant; adding the same user again changes nothing."""
        key = UUID(conversation_id)
        user_id = self._person_named(key, "add")
        with self._strangers_counted([user_id]):
            conversations.add_participant(request.user, key, user_id=user_id)
        return Response(self._detail())

    @extend_schema(
        request=ParticipantIdSerializer,
        responses={200: ConversationDetailSerializer, 204: None},
    )
    @action(detail=True, methods=["post"])
    def remove_participant(self, request: Request, conversation_id: str) -> Response:
        """Leave (204) or, as the owner, remove another participant (200)."""
        key = UUID(conversation_id)
        user_id = self._person_named(key)
        conversations.remove_participant(request.user, key, user_id=user_id)
        if user_id == request.user.pk:
            return Response(status=204)
        return Response(self._detail())

    @extend_schema(request=None, responses={204: None})
    @action(detail=True, methods=["post"])
    def typing(self, request: Request, conversation_id: str) -> Response:
        """Tell the other participants that I am typing."""
        announce_typing(request.user, UUID(conversation_id))
        return Response(status=204)

    @extend_schema(responses=ParticipantSerializer(many=True), filters=False)
    @action(detail=True, filterset_class=None)
    def participants(self, request: Request, conversation_id: str) -> Response:
        """List the participants in the order in which they joined."""
        self.get_object()
        # Asked again by the page's own query: a removal may have come between.
        seen = Participant.objects.visible_to(request.user)
        everybody = seen.filter(conversation_id=conversation_id)
        page = self.paginate_queryset(
            everybody.values(*ParticipantSerializer.columns())
        )
        return self.get_paginated_response(ParticipantSerializer.render(page))

    def _strangers_counted(self, user_ids: Iterable[UUID]) -> AbstractContextManager:
        number = partial(count_strangers, self.request.user, user_ids)
        return strangers_counted(self.request, number)

    def _person_named(self, conversation_id: UUID, act: str = "") -> UUID:
        check = partial(self._require, conversation_id, act)
        return self.validated(ParticipantIdSerializer, check=check)["user_id"]

    def _rename(self, conversation_id: UUID, *, is_partial: bool = False) -> Response:
        check = partial(self._require, conversation_id, "rename")
        fields = self.validated(RenameSerializer, check=check, partial=is_partial)
        if fields:
            conversations.rename_conversation(
                self.request.user, conversation_id, **fields
            )
        return Response(self._detail())

    def _require(self, conversation_id: UUID, act: str) -> None:
        conversations.require_allowed(self.request.user, conversation_id, act)

    def _detail(self) -> Row:
        """Return the conversation in the path, or raise Http404."""
        return self.get_serializer(self.get_object()).data
