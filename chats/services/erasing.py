"""Erasing the messages of deleted conversations, a few at a time.

A long transaction would hold up every write on SQLite, and the deletion's own caller.
So a conversation of many messages is only emptied of what makes it visible when it is
deleted; a thread of that process erases the rest. What is left when the process ends,
the next such deletion takes along, or ``manage.py prune_deleted``.
"""

import logging
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from time import perf_counter

from django.db import DatabaseError, connection, transaction

from chats.models import Conversation
from chats.services.pacing import pause_after

logger = logging.getLogger(__name__)

AGAIN_AFTER = 10.0  # seconds, where the database failed
BATCH = 1_000  # messages deleted in one transaction

_worker = ThreadPoolExecutor(max_workers=1, thread_name_prefix="erase")


@transaction.atomic
def erase_batch(size: int = BATCH) -> int:
    """Erase the oldest ``size`` messages of a deleted conversation; return how many
    rows went.

    The conversation's own row goes with the last of them, under whose lock this is.
    0: nothing is left, or what is left is locked by another process that erases it.
    """
    waiting = Conversation.objects.deleted().order_by("deleted_at")
    locked = waiting.select_for_update(skip_locked=True, no_key=True)
    conversation = locked.first()
    if conversation is None:
        return 0
    messages = conversation.messages.order_by("seq")
    seqs = list(messages.values_list("seq", flat=True)[:size])
    if len(seqs) < size:
        return conversation.delete()[0]
    return messages.filter(seq__lte=seqs[-1]).order_by().delete()[0]


def begin() -> None:
    """Erase what is waiting, in the background of this process.

    Piece by piece, each queued by the one before: so a process that ends waits for one
    of them and not for all.
    """
    with suppress(RuntimeError):  # the process ends
        _worker.submit(_erase_on)


def _later(seconds: float) -> None:
    timer = threading.Timer(seconds, begin)
    timer.daemon = True
    timer.start()


def _erase_on() -> None:
    began, erased = perf_counter(), 0
    try:
        erased = erase_batch()
    except DatabaseError as error:
        logger.warning("Erasing continues in %s seconds: %s", AGAIN_AFTER, error)
        _later(AGAIN_AFTER)
    except Exception:  # nobody waits for the result, who would see it
        logger.exception("Deleted conversations could not be erased")
    finally:
        if not erased:
            connection.close()
    if erased:
        pause_after(began)
        begin()
