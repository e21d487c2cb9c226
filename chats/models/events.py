"""The event log: what happened, in commit order, as references to rows."""

import secrets
from typing import Any
from uuid import UUID

from django.db import connection, models
from django.utils import timezone

from chats.db.prepared import Param, Prepared, PreparedSQL, insert
from chats.db.wakeups import PROCESS_ID

LOG_LOCK = 0x6C6F67  # "log": the key of PostgreSQL's advisory lock
# PostgreSQL's LISTEN/NOTIFY channels. The payload begins with the writer's process id.
WAKE_CHANNEL = "chats_events"
TYPING_CHANNEL = "chats_typing"
TYPING_SIGNALS_KEPT = 100


class EventQuerySet(models.QuerySet):
    """Sets of events."""

    def append(self, *events: "Event") -> None:
        """Append events to the log, in the given order.

        Call it last in a transaction. Ids must be in commit order over the whole log:
        otherwise a reader who has seen 11 would miss a 10 that commits later. On
        PostgreSQL a lock ensures this. It is taken before the id is drawn and held
        until the commit. On SQLite the write transaction already is such a lock. The
        same statement notifies the other processes, at the commit.
        """
        is_postgresql = connection.vendor == "postgresql"
        if len(events) == 1:
            (_APPEND if is_postgresql else _INSERT).store(events[0])
            return
        if is_postgresql:
            _LOCK_LOG.run()
        self.bulk_create(events)

    def last_id(self) -> int:
        """Return the id of the newest event, or 0 if there never was one."""
        newest = self.order_by("-event_id").values_list("event_id", flat=True).first()
        return newest if newest is not None else EventLog.pruned_through()


class Event(models.Model):
    """One change in one conversation.

    An event refers to rows and does not copy them: its payload is rendered from the
    rows at the time of reading. The ids are plain values, not foreign keys, because the
    log outlives the rows it refers to.
    """

    class Type(models.TextChoices):
        MESSAGE_CREATED = "message.created"
        MESSAGE_UPDATED = "message.updated"
        MESSAGE_DELETED = "message.deleted"
        CONVERSATION_CREATED = "conversation.created"
        CONVERSATION_UPDATED = "conversation.updated"
        CONVERSATION_DELETED = "conversation.deleted"
        PARTICIPANT_ADDED = "participant.added"
        PARTICIPANT_REMOVED = "participant.removed"
        READ_UPDATED = "read.updated"

    event_id = models.BigAutoField(primary_key=True)
    type = models.CharField(max_length=24, choices=Type.choices)
    conversation_id = models.UUIDField()
    message_id = models.UUIDField(null=True)
    # The user the event is about, who joined, left or read.
    user_id = models.UUIDField(null=True)
    actor_id = models.UUIDField(null=True)
    created_at = models.DateTimeField(default=timezone.now)

    objects = EventQuerySet.as_manager()

    class Meta:
        ordering = ("event_id",)
        indexes = [
            # The backlog of one conversation.
            models.Index(fields=["conversation_id", "event_id"], name="event_backlog"),
            # Pruning by age.
            models.Index(fields=["created_at"], name="event_created"),
        ]

    def __str__(self) -> str:
        return f"{self.event_id} {self.type}"

    @classmethod
    def of(
        cls,
        event_type: "Event.Type",
        conversation_id: UUID,
        actor: Any | None,
        *,
        message_id: UUID | None = None,
        user_id: UUID | None = None,
    ) -> "Event":
        """Return an unsaved event; without an actor the operator caused it."""
        return cls(
            type=event_type,
            conversation_id=conversation_id,
            message_id=message_id,
            user_id=user_id,
            actor_id=actor and actor.pk,
        )


_INSERT = Prepared(lambda: insert(Event))
_HOLD = [LOG_LOCK, WAKE_CHANNEL, PROCESS_ID]
_LOCK_LOG = PreparedSQL(
    {"postgresql": "SELECT pg_advisory_xact_lock(%s), pg_notify(%s, %s)"}, params=_HOLD
)
# The same for one event: the SELECT yields its row, and so draws the id, only after the
# lock is held.
_VALUES = {
    "type": "%s",
    "conversation_id": "%s::uuid",
    "message_id": "%s::uuid",
    "user_id": "%s::uuid",
    "actor_id": "%s::uuid",
    "created_at": "%s::timestamptz",
}
_APPEND = PreparedSQL(
    {
        "postgresql": f"""
WITH held AS MATERIALIZED (SELECT pg_advisory_xact_lock(%s), pg_notify(%s, %s))
INSERT INTO chats_event ({", ".join(_VALUES)})
SELECT {", ".join(_VALUES.values())} FROM held
RETURNING event_id
"""  # noqa: S608 (all of it is here)
    },
    params=[*_HOLD, *(Param(name, Event._meta.get_field(name)) for name in _VALUES)],
    fields={"event_id": Event._meta.get_field("event_id")},
)


class EventLog(models.Model):
    """The only row: the log's identity, and the id up to which it has been pruned.

    Without a row, it is the first log and nothing has been pruned.
    """

    FIRST = "1"

    id = models.PositiveSmallIntegerField(primary_key=True, default=1)
    # The first part of every cursor; a new identity invalidates all earlier cursors.
    identity = models.CharField(max_length=16, default=FIRST, db_default=FIRST)
    pruned_through_id = models.PositiveBigIntegerField(default=0)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=models.Q(id=1), name="event_log_single_row"
            ),
        ]

    def __str__(self) -> str:
        return f"pruned through {self.pruned_through_id}"

    @classmethod
    def state(cls) -> tuple[str, int]:
        """Return the log's identity and the id up to which it has been pruned."""
        row = cls.objects.values_list("identity", "pruned_through_id").first()
        return row or (cls.FIRST, 0)

    @classmethod
    def pruned_through(cls) -> int:
        return cls.state()[1]

    @classmethod
    def renew(cls) -> str:
        """Give the log a new identity and return it."""
        identity = secrets.token_hex(8)
        cls.objects.update_or_create(pk=1, defaults={"identity": identity})
        return identity


class TypingSignalQuerySet(models.QuerySet):
    """Sets of typing signals."""

    def send(self, process_id: str, conversation_id: UUID, user_id: UUID) -> None:
        """Write a signal, and delete all but the last ``TYPING_SIGNALS_KEPT``."""
        signal = self.create(
            process_id=process_id, conversation_id=conversation_id, user_id=user_id
        )
        self.filter(pk__lt=signal.pk - TYPING_SIGNALS_KEPT).delete()


class TypingSignal(models.Model):
    """A typing signal for the other processes that share a SQLite database.

    SQLite has no notifications, so the signals are rows. Only the last few are kept,
    and they are not part of the log. On PostgreSQL the table stays empty.
    """

    process_id = models.CharField(max_length=32)
    conversation_id = models.UUIDField()
    user_id = models.UUIDField()

    objects = TypingSignalQuerySet.as_manager()

    def __str__(self) -> str:
        return f"{self.user_id} types in {self.conversation_id}"
