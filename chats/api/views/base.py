"""What the viewsets share."""

from collections.abc import Callable
from functools import cache
from uuid import UUID

from django.db.models import Model, QuerySet
from rest_framework import viewsets
from rest_framework.exceptions import APIException, ValidationError
from rest_framework.permissions import SAFE_METHODS
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.serializers import Serializer
from rest_framework.throttling import BaseThrottle

from chats.api.renderers import JSONRenderer
from chats.db.uuids import UUID_REGEX
from chats.lists.keyset import Pages
from chats.serializers.rows import Row


class JSONErrors:
    """Answers errors in JSON, whatever the format of the view's other answers."""

    def handle_exception(self, exc: Exception) -> Response:
        response = super().handle_exception(exc)
        self.request.accepted_renderer = JSONRenderer()
        self.request.accepted_media_type = JSONRenderer.media_type
        return response


class ChatsViewSet(viewsets.ModelViewSet):
    """A ModelViewSet of rows with UUIDs; ``serializer_class`` is for its answers."""

    lookup_value_regex = UUID_REGEX
    # The serializer that reads the body, by the name of the action.
    input_classes: dict[str, type[Serializer]] = {}
    create_throttles: tuple[type[BaseThrottle], ...] = ()

    def get_serializer_class(self) -> type[Serializer]:
        return self.input_classes.get(self.action) or self.get_answer_class()

    def get_answer_class(self) -> type[Serializer]:
        return self.serializer_class

    def get_throttles(self) -> list[BaseThrottle]:
        own = self.create_throttles if self.action == "create" else ()
        return [*super().get_throttles(), *(throttle() for throttle in own)]

    def filter_queryset(self, queryset: QuerySet) -> QuerySet | Pages:
        """Filter lists only."""
        is_list = not self.detail and self.request.method in SAFE_METHODS
        return super().filter_queryset(queryset) if is_list else queryset


class ServiceViewSet(ChatsViewSet):
    """A viewset whose changes are made by services, which read the row under its lock.

    So ``perform_create`` and ``perform_update`` get the fields of the body, and not a
    serializer with an instance; the id in the path is ``key``. Answers are rendered by
    a RowSerializer.
    """

    @property
    def key(self) -> UUID:
        return UUID(self.kwargs[self.lookup_field])

    def get_pages(self) -> QuerySet | Pages:
        return self.filter_queryset(self.get_queryset())

    def list(self, request: Request, *args, **kwargs) -> Response:
        page = self.paginate_queryset(self.get_pages())
        shown = self.get_answer_class().render(page, request.user.pk)
        return self.get_paginated_response(shown)

    def create(self, request: Request, *args, **kwargs) -> Response:
        row, is_new = self.perform_create(self.validated())
        return self.answer(row, 201 if is_new else 200)

    def retrieve(self, request: Request, *args, **kwargs) -> Response:
        return self.answer(self.get_object())

    def update(self, request: Request, *args, partial=False, **kwargs) -> Response:
        fields = self.validated(check=self.require_update, partial=partial)
        if fields:
            return self.answer(self.perform_update(fields))
        return self.retrieve(request)

    def destroy(self, request: Request, *args, **kwargs) -> Response:
        self.perform_destroy()
        return Response(status=204)

    def perform_create(self, fields: dict) -> tuple[Row | Model, bool]:
        """Return the row, and whether it is new."""
        raise NotImplementedError

    def perform_update(self, fields: dict) -> Row | Model:
        raise NotImplementedError

    def perform_destroy(self) -> None:
        raise NotImplementedError

    def require_update(self) -> None:
        """Raise what the update would raise to callers who may not make it."""
        raise NotImplementedError

    def answer(self, row: Row | Model, status: int = 200) -> Response:
        """Return the answer, which shows the row as the caller sees it."""
        shown = self.get_answer_class().render_one(row, self.request.user.pk)
        return Response(shown, status)

    def validated(
        self, *, check: Callable[[], None] | None = None, partial: bool = False
    ) -> dict:
        """Return the fields of the body, or raise ValidationError.

        Rights come before the body: callers who may not do this at all get the error of
        ``check``, whatever they send. It is called only if the body is invalid or
        empty. For a valid one the service decides the same, under the lock.
        """
        try:
            if self.request.data is None:
                raise ValidationError({"non_field_errors": ["No data provided"]})
            reader = _blank(self.get_serializer_class(), partial)
            fields = reader.run_validation(self.request.data)
        except APIException:
            if check:
                check()
            raise
        if check and not fields:
            check()
        return fields


@cache
def _blank(serializer_class: type[Serializer], partial: bool) -> Serializer:
    """Return a serializer without an instance, made once: to make one is slow."""
    return serializer_class(partial=partial)
