"""Typing notifications, which are passed on at once and not stored in the log."""

from uuid import UUID

from django.db import connection

from chats.db import wakeups
from chats.models import Participant, TypingSignal, User
from chats.models.events import TYPING_CHANNEL
from chats.web.exceptions import NotFound


def announce_typing(actor: User, conversation_id: UUID) -> None:
    """Notify the other participants who are connected, to any process.

    Raises NotFound to outsiders.
    """
    taking_part = Participant.objects.filter(user=actor)
    if not taking_part.filter(conversation_id=conversation_id).exists():
        raise NotFound
    wakeups.notify_typing(conversation_id, actor.pk)
    if connection.vendor == "postgresql":
        words = f"{wakeups.PROCESS_ID} {conversation_id} {actor.pk}"
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_notify(%s, %s)", [TYPING_CHANNEL, words])
    else:
        TypingSignal.objects.send(wakeups.PROCESS_ID, conversation_id, actor.pk)
