"""Recording what matters for safety, in the transaction of what is recorded."""

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
    """Return an entry, not stored yet, with where the call came from.

    ``actor`` is None for the operator at the command line. ``details`` say which
    fields or numbers, never what anybody wrote.
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
    """Store an entry about rows, each a user, a conversation or a message.

    ``what`` is as ``entry`` has it.
    """
    about = {row._meta.pk.attname: row.pk for row in rows}
    entry(action, actor=actor, **about, **what).save(force_insert=True)


def record_all(
    action: AuditEntry.Action, words: Iterable[str], *, prefix: str = "", **what
) -> None:
    """Store all of ``words``, in as many entries as hold them; none without words.

    Each begins with ``prefix``; ``what`` is as ``entry`` has it.
    """
    AuditEntry.objects.bulk_create(entries(action, words, prefix=prefix, **what))


def entries(
    action: AuditEntry.Action, words: Iterable[str], *, prefix: str = "", **what
) -> list[AuditEntry]:
    """Return the entries of ``record_all``, not stored yet."""
    return [
        entry(action, details=prefix + text, **what)
        for text in joined(words, MAX_DETAILS - len(prefix))
    ]


def joined(words: Iterable[str], length: int) -> Iterator[str]:
    """Yield the words, none longer than ``length``, as few texts of that length."""
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
    """Return what has come into a set, and what has gone: "+group 2", "-group 1"."""
    came = [f"+{name}" for name in sorted(after - before)]
    return came + [f"-{name}" for name in sorted(before - after)]
