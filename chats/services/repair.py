"""Correcting what participants' rows say about their conversations."""

from uuid import UUID

from django.db import transaction
from django.db.models import F

from chats.models import Conversation, Participant


@transaction.atomic
def repair_batch(after: UUID | None, size: int) -> tuple[UUID | None, int]:
    """Correct the rows of the next ``size`` conversations, under their locks.

    Returns the last conversation's id and the number of corrected rows; None and 0
    after the last conversation.
    """
    rows = Conversation.objects.order_by("pk").select_for_update(no_key=True)
    rows = rows.filter(pk__gt=after) if after else rows
    conversations = list(rows[:size])
    if not conversations:
        return None, 0
    theirs = Participant.objects.filter(conversation__in=conversations)
    last_seq = "conversation__last_seq"
    lacking = theirs.filter(**{f"{last_seq}__gt": F("last_read_seq")}, has_unread=False)
    wrong = theirs.filter(**{f"{last_seq}__lte": F("last_read_seq")}, has_unread=True)
    mended = Participant.objects.note_activity(conversations)
    mended += lacking.update(has_unread=True) + wrong.update(has_unread=False)
    return conversations[-1].pk, mended
