"""The rows of messages that are known by their ids."""

from uuid import UUID

from django.db import models

from chats.db.prepared import Keys, Param, Prepared
from chats.models import Message
from chats.serializers.rows import MESSAGE, Row


def messages_of(reader_id: UUID, ids: list[UUID]) -> list[Row]:
    """Return those that the reader may see and nobody has deleted, with
    ``last_read_seq``, in no order."""
    return _MESSAGES.rows(reader_id=reader_id, message_ids=ids)


_MESSAGES = Prepared(
    lambda: (
        Message.objects.visible_to(Param("reader_id", models.UUIDField()))
        .filter(pk__in=Keys("message_ids", models.UUIDField()), deleted_at=None)
        .order_by()
        .values(*MESSAGE, "last_read_seq")
    )
)
