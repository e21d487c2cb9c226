"""Recording what matters for safety, in the transaction of what is recorded."""

from uuid import UUID

from chats import origin
from chats.models import AuditEntry, User

Action = AuditEntry.Action
MOST_DETAILS = AuditEntry._meta.get_field("details").max_length


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
        details=details[:MOST_DETAILS],
        address=origin.address()[:45],
        request_id=origin.request_id(),
    )


def record(action: AuditEntry.Action, *, actor: User | None, **what) -> None:
    """Store an entry; ``what`` is as ``entry`` has it."""
    entry(action, actor=actor, **what).save(force_insert=True)
