"""Erasing the messages of deleted conversations, a few at a time.

A long transaction would delay every write on SQLite, and the caller of the deletion. So
the deletion of a conversation with many messages only removes what makes it visible; a
thread of the process erases the rest. If the process ends before that, the next such
deletion or ``manage.py prune_deleted`` continues.
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

AGAIN_AFTER = 10.0  # seconds, if the database failed
BATCH = 1_000  # messages deleted in one transaction

_worker = ThreadPoolExecutor(max_workers=1, thread_name_prefix="erase")


@transaction.atomic
def erase_batch(size: int = BATCH) -> int:
    """Erase the oldest ``size`` messages of a deleted conversation.

    Returns the number of deleted rows. The conversation's row, which is locked
    meanwhile, goes with its last messages. 0 means that nothing is left, or that
    another process has locked what is left and erases it.
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
    """Erase deleted conversations in the background of this process.

    Each batch queues the next one, so a process that ends waits for one batch only.
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
    except Exception:  # no caller waits for the result
        logger.exception("Deleted conversations could not be erased")
    finally:
        if not erased:
            connection.close()
    if erased:
        pause_after(began)
        begin()
