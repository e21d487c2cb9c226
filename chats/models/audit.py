"""The audit log: security-relevant actions, kept for a year and never changed."""

from datetime import datetime

from django.db import models
from django.utils import timezone

from chats.db.clocks import SKEW

MAX_DETAILS = 500


class AuditEntryQuerySet(models.QuerySet):
    """Sets of entries."""

    def prune_batch(self, before: datetime, size: int) -> int:
        """Delete up to ``size`` entries older than ``before``; return how many.

        An entry that a wrong clock dated too early counts as old as its neighbours.
        """
        possible = (before, timezone.now() + SKEW)
        younger = self.filter(created_at__range=possible).order_by("pk").first()
        old = self.filter(created_at__lt=before)
        if younger:
            old = self.filter(pk__lt=younger.pk)
        ids = list(old.order_by("created_at").values_list("pk", flat=True)[:size])
        return self.filter(pk__in=ids).delete()[0]


class AuditEntry(models.Model):
    """One action. The ids are plain values: the entry outlives the rows it refers to.

    It contains no message bodies, and no names except those of access tokens.
    """

    class Action(models.TextChoices):
        MESSAGES_READ = "messages.read"
        MESSAGE_REDACTED = "message.redacted"
        CONVERSATION_RETITLED = "conversation.retitled"
        CONVERSATION_HANDED_OVER = "conversation.handed_over"
        CONVERSATION_DELETED = "conversation.deleted"
        CONVERSATION_IMPORTED = "conversation.imported"
        CONVERSATION_EXPORTED = "conversation.exported"
        PARTICIPANT_ADDED = "participant.added"
        PARTICIPANT_REMOVED = "participant.removed"
        USER_CREATED = "user.created"
        USER_CHANGED = "user.changed"
        USER_POWERS_CHANGED = "user.powers_changed"
        USER_SUSPENDED = "user.suspended"
        USER_REACTIVATED = "user.reactivated"
        USER_DELETED = "user.deleted"
        USER_EXPORTED = "user.exported"
        GROUP_CREATED = "group.created"
        GROUP_CHANGED = "group.changed"
        GROUP_DELETED = "group.deleted"
        PASSWORD_CHANGED = "password.changed"
        TOKEN_CREATED = "token.created"
        TOKEN_REVOKED = "token.revoked"
        SESSION_REVOKED = "session.revoked"
        SIGN_IN_UNLOCKED = "sign_in.unlocked"
        LIST_EXPORTED = "list.exported"

    entry_id = models.BigAutoField(primary_key=True)
    created_at = models.DateTimeField(default=timezone.now)
    action = models.CharField(max_length=32, choices=Action.choices)
    # The user who did it; empty for the operator at the command line.
    actor_id = models.UUIDField(null=True)
    # The user, conversation or message it was done to.
    user_id = models.UUIDField(null=True)
    conversation_id = models.UUIDField(null=True)
    message_id = models.UUIDField(null=True)
    details = models.CharField(max_length=MAX_DETAILS, blank=True)
    address = models.CharField(max_length=45, blank=True)
    request_id = models.CharField(max_length=64, blank=True)

    objects = AuditEntryQuerySet.as_manager()

    class Meta:
        ordering = ("-entry_id",)
        verbose_name_plural = "audit entries"
        indexes = [
            # The admin's list of one user's actions, newest first.
            models.Index(fields=["actor_id", "entry_id"], name="audit_entry_actor"),
            # The actions on one user.
            models.Index(fields=["user_id", "entry_id"], name="audit_entry_user"),
            # The actions on one conversation.
            models.Index(
                fields=["conversation_id", "entry_id"], name="audit_entry_conversation"
            ),
            # Pruning by age.
            models.Index(fields=["created_at"], name="audit_entry_created"),
        ]

    def __str__(self) -> str:
        return f"{self.entry_id} {self.action}"
