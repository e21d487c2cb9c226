"""What the viewsets share."""

from collections.abc import Callable
from functools import cache

from django.db.models import QuerySet
from rest_framework import viewsets
from rest_framework.exceptions import APIException, ValidationError
from rest_framework.permissions import SAFE_METHODS
from rest_framework.response import Response
from rest_framework.serializers import Serializer

from chats.api.renderers import JSONRenderer
from chats.db.uuids import UUID_REGEX


class JSONErrors:
    """Answers errors in JSON, whatever the form of the view's other answers."""

    def handle_exception(self, exc: Exception) -> Response:
        response = super().handle_exception(exc)
        self.request.accepted_renderer = JSONRenderer()
        self.request.accepted_media_type = JSONRenderer.media_type
        return response


class ChatsViewSet(viewsets.ModelViewSet):
    """A ModelViewSet of things with UUIDs; the filters are the lists' only."""

    lookup_value_regex = UUID_REGEX

    def filter_queryset(self, queryset: QuerySet) -> QuerySet:
        is_list = not self.detail and self.request.method in SAFE_METHODS
        return super().filter_queryset(queryset) if is_list else queryset

    def validated(
        self,
        serializer_class: type[Serializer],
        *,
        check: Callable[[], None] | None = None,
        partial: bool = False,
    ) -> dict:
        """Return the body's fields, or raise what is wrong with the body.

        But not to those who may not do this at all, whatever the body: ``check``
        raises what they get. It is asked only when the body is bad or empty; with a
        good one the service asks the same, under the lock.
        """
        try:
            if self.request.data is None:
                raise ValidationError({"non_field_errors": ["No data provided"]})
            fields = _blank(serializer_class, partial).run_validation(self.request.data)
        except APIException:
            if check:
                check()
            raise
        if check and not fields:
            check()
        return fields


@cache
def _blank(serializer_class: type[Serializer], partial: bool) -> Serializer:
    """Return a serializer of no instance, made once: each copies all its fields."""
    return serializer_class(partial=partial)
