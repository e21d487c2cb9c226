"""Saying that somebody types: passed on at once, kept nowhere."""

from uuid import UUID

from django.db import connection

from chats.db import wakeups
from chats.models import Participant, TypingSignal, User
from chats.models.events import TYPING_CHANNEL
from chats.web.exceptions import NotFound


def announce_typing(actor: User, conversation_id: UUID) -> None:
    """Tell the others in the conversation, here and in other processes.

    Raises NotFound to outsiders. Not part of the log: who is not there misses it.
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
