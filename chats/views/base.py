"""What the viewsets share."""

from django.db.models import QuerySet
from rest_framework import viewsets
from rest_framework.permissions import SAFE_METHODS

from chats.uuids import UUID_REGEX


class ChatsViewSet(viewsets.ModelViewSet):
    """A ModelViewSet of things with UUIDs; the filters are the lists' only."""

    lookup_value_regex = UUID_REGEX

    def filter_queryset(self, queryset: QuerySet) -> QuerySet:
        is_list = not self.detail and self.request.method in SAFE_METHODS
        return super().filter_queryset(queryset) if is_list else queryset
