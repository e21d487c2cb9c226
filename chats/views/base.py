"""What the viewsets share."""

from collections.abc import Callable

from django.db.models import QuerySet
from rest_framework import viewsets
from rest_framework.exceptions import APIException
from rest_framework.permissions import SAFE_METHODS
from rest_framework.serializers import Serializer

from chats.uuids import UUID_REGEX


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
            serializer = serializer_class(data=self.request.data, partial=partial)
            serializer.is_valid(raise_exception=True)
        except APIException:
            if check:
                check()
            raise
        if check and not serializer.validated_data:
            check()
        return serializer.validated_data
