"""What the viewsets share."""

from django.db.models import QuerySet
from rest_framework import viewsets

UUID_REGEX = "[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"


class ChatsViewSet(viewsets.ModelViewSet):
    """A ModelViewSet of things with UUIDs; the filters are the lists' only."""

    lookup_value_regex = UUID_REGEX

    def filter_queryset(self, queryset: QuerySet) -> QuerySet:
        return queryset if self.detail else super().filter_queryset(queryset)
