"""Recording actions that matter for security, in the transaction of the action."""

from collections.abc import Iterable, Iterator
from uuid import UUID

from django.db.models import Model

from chats.models import AuditEntry, User
from chats.models.audit import MAX_DETAILS
from chats.web import origin

Action = AuditEntry.Action


def entry(
    action: AuditEntry.Action,
    *,
    actor: User | None,
    user_id: UUID | None = None,
    conversation_id: UUID | None = None,
    message_id: UUID | None = None,
    details: str = "",
) -> AuditEntry:
    """Return an entry that is not stored yet, with the origin of the request.

    ``actor`` is None for the operator at the command line. ``details`` name fields or
    numbers, and never contain what a user wrote.
    """
    return AuditEntry(
        action=action,
        actor_id=actor and actor.pk,
        user_id=user_id,
        conversation_id=conversation_id,
        message_id=message_id,
        details=details,
        address=origin.address(),
        request_id=origin.request_id(),
    )


def record(action: AuditEntry.Action, *rows: Model, actor: User | None, **what) -> None:
    """Store an entry about ``rows``, each a user, a conversation or a message.

    ``what`` are further arguments of ``entry``.
    """
    about = {row._meta.pk.attname: row.pk for row in rows}
    entry(action, actor=actor, **about, **what).save(force_insert=True)


def record_all(
    action: AuditEntry.Action, words: Iterable[str], *, prefix: str = "", **what
) -> None:
    """Store all of ``words``, in as many entries as they need; no words, no entry.

    The details of each begin with ``prefix``. ``what`` are arguments of ``entry``.
    """
    AuditEntry.objects.bulk_create(entries(action, words, prefix=prefix, **what))


def entries(
    action: AuditEntry.Action, words: Iterable[str], *, prefix: str = "", **what
) -> list[AuditEntry]:
    """Return the entries that ``record_all`` stores."""
    return [
        entry(action, details=prefix + text, **what)
        for text in joined(words, MAX_DETAILS - len(prefix))
    ]


def joined(words: Iterable[str], length: int) -> Iterator[str]:
    """Yield the words joined into as few texts of at most ``length`` as possible."""
    text = ""
    for word in words:
        longer = f"{text}, {word}" if text else word
        if len(longer) > length:
            yield text
            longer = word
        text = longer
    if text:
        yield text


def steps(before: set[str], after: set[str]) -> list[str]:
    """Return what was added to a set and what was removed: "+group 2", "-group 1"."""
    came = [f"+{name}" for name in sorted(after - before)]
    return came + [f"-{name}" for name in sorted(before - after)]
