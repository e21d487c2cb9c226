"""Current and past participants of conversations."""

from collections.abc import Iterable
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from django.db import models
from django.db.models import Case, F, Q, Value, When
from django.db.models.sql import UpdateQuery
from django.utils import timezone

from chats.db.prepared import Param, Prepared, columns, update
from chats.models.users import User

OPEN_END = 2**63 - 1  # the last event of a participation that has not ended


class Span(NamedTuple):
    """The events of a conversation that reach somebody: first and last included."""

    conversation_id: UUID
    first: int
    last: int = OPEN_END

    @property
    def is_open(self) -> bool:
        return self.last == OPEN_END


def hour_of(moment: datetime) -> int:
    """Return the whole hours from 1970 to this time, as stored in ``active_hour``."""
    return int(moment.timestamp() // 3600)


def this_hour() -> int:
    return hour_of(timezone.now())


class ParticipantQuerySet(models.QuerySet):
    """Sets of participations; chain freely."""

    def visible_to(self, user: User) -> "ParticipantQuerySet":
        """Those in conversations that ``user`` takes part in."""
        mine = Participant.objects.filter(user=user)
        return self.filter(conversation_id__in=mine.values("conversation_id"))

    def note_activity(self, conversations: Iterable[models.Model]) -> int:
        """Update ``active_hour`` for conversations that were touched.

        Call it with the conversations locked. A row is written only if its hour
        changes. Return the number of rows written.
        """
        hours: dict[int, list[UUID]] = {}
        for conversation in conversations:
            hour = hour_of(conversation.updated_at)
            hours.setdefault(hour, []).append(conversation.pk)
        written = 0
        for hour, ids in hours.items():
            behind = self.filter(conversation_id__in=ids).exclude(active_hour=hour)
            written += behind.update(active_hour=hour)
        return written


class Participant(models.Model):
    """A user's participation in a conversation; ``id`` follows the order of joining."""

    conversation = models.ForeignKey(
        "Conversation",
        on_delete=models.CASCADE,
        related_name="participations",
        db_index=False,
    )
    user = models.ForeignKey(
        User, on_delete=models.PROTECT, related_name="participations", db_index=False
    )
    joined_at = models.DateTimeField(default=timezone.now, editable=False)
    last_read_seq = models.PositiveBigIntegerField(default=0, editable=False)
    # The conversation's last_seq at joining. The read cursor starts there too, but the
    # participant has not read the messages up to it: read receipts are for later ones.
    joined_seq = models.PositiveBigIntegerField(default=0, db_default=0, editable=False)
    # The id of the event by which they joined, the first event that they receive.
    first_event_id = models.PositiveBigIntegerField(default=0, editable=False)
    # The hour of the conversation's updated_at, copied here so that one index sorts a
    # user's list. It is written once an hour, not with every message. This column and
    # has_unread are written under the conversation's lock: docs/decisions/0016.
    active_hour = models.IntegerField(default=this_hour, db_default=0, editable=False)
    # Whether the conversation's last_seq is after last_read_seq.
    has_unread = models.BooleanField(default=False, db_default=False, editable=False)

    objects = ParticipantQuerySet.as_manager()

    class Meta:
        ordering = ("id",)
        constraints = [
            # visible_to: the conversations of a user.
            models.UniqueConstraint(
                fields=["user", "conversation"], name="participant_unique"
            ),
            # The cursor starts at joining and never moves back.
            models.CheckConstraint(
                condition=Q(joined_seq__lte=F("last_read_seq")),
                name="participant_joined_before_reading",
            ),
        ]
        indexes = [
            # Previews, the list of participants and the next owner, by joining.
            models.Index(fields=["conversation", "id"], name="participant_joined"),
            # A user's conversations and messages, latest activity first.
            models.Index(fields=["user", "-active_hour"], name="participant_activity"),
            # The same, with unread messages only.
            models.Index(
                fields=["user", "-active_hour"],
                condition=Q(has_unread=True),
                name="participant_unread",
            ),
            # A send: the participants who had read everything before it.
            models.Index(
                fields=["conversation"],
                condition=Q(has_unread=False),
                name="participant_caught_up",
            ),
        ]

    def __str__(self) -> str:
        return str(self.user)

    def note_sent(self, message: models.Model) -> None:
        """Move the sender's cursor to a new message, and mark it unread for the others.

        Call it with the conversation locked since before ``message`` was created. One
        statement writes only the rows that change: those of participants who had read
        everything or, in a new hour, all rows.
        """
        hour = hour_of(message.sent_at)
        is_new_hour = self.active_hour != hour
        self.last_read_seq, self.active_hour = message.seq, hour
        statement = _NOTE_SENT_IN_NEW_HOUR if is_new_hour else _NOTE_SENT
        statement.run(**columns(self))

    def move_cursor(self, seq: int, *, last_seq: int) -> bool:
        """Move the read cursor up to ``seq``, never back; return whether it moved.

        ``last_seq`` is the conversation's, read under its lock. Without the lock a
        concurrent send could leave ``has_unread`` wrong: it would find the row still
        unread and skip it, before this call marks it read.
        """
        self.last_read_seq = max(self.last_read_seq, seq)
        self.has_unread = self.last_read_seq < last_seq
        return bool(_MOVE_CURSOR.run(**columns(self)))


_CONVERSATION_ID = Param("conversation_id", models.UUIDField())
_LAST_READ_SEQ = Param("last_read_seq", models.PositiveBigIntegerField())
_IS_OWN = Q(pk=Param("id", models.BigIntegerField()))


def _note_sent(rows: models.QuerySet) -> UpdateQuery:
    return update(
        rows,
        last_read_seq=Case(
            When(_IS_OWN, then=_LAST_READ_SEQ), default=F("last_read_seq")
        ),
        has_unread=Case(When(_IS_OWN, then=Value(False)), default=Value(True)),
        active_hour=Param("active_hour", models.IntegerField()),
    )


# The conversation is named on both sides of the OR: otherwise SQLite would read the
# whole table.
_NOTE_SENT = Prepared(
    lambda: _note_sent(
        Participant.objects.filter(
            Q(_IS_OWN, conversation_id=_CONVERSATION_ID)
            | Q(conversation_id=_CONVERSATION_ID, has_unread=False)
        )
    )
)
_NOTE_SENT_IN_NEW_HOUR = Prepared(
    lambda: _note_sent(Participant.objects.filter(conversation_id=_CONVERSATION_ID))
)
_MOVE_CURSOR = Prepared(
    lambda: update(
        Participant.objects.filter(
            conversation_id=_CONVERSATION_ID,
            user_id=Param("user_id", models.UUIDField()),
            last_read_seq__lt=_LAST_READ_SEQ,
        ),
        last_read_seq=_LAST_READ_SEQ,
        has_unread=Param("has_unread", models.BooleanField()),
    )
)


class PastParticipant(models.Model):
    """The span of events that a former participant may receive.

    So a user who was offline still receives the removal, but nothing after it. A row is
    deleted when the log is pruned past it. ``conversation_id`` is not a foreign key,
    because the conversation may no longer exist.
    """

    user = models.ForeignKey(User, on_delete=models.CASCADE, db_index=False)
    conversation_id = models.UUIDField()
    first_event_id = models.PositiveBigIntegerField()
    last_event_id = models.PositiveBigIntegerField()

    class Meta:
        indexes = [
            # A user's backlog: whether an event is within one of their spans.
            models.Index(
                fields=["user", "conversation_id", "last_event_id"],
                name="past_participant_span",
            ),
            # All spans of a user who opens a stream.
            models.Index(
                fields=["user", "last_event_id"], name="past_participant_user"
            ),
            # Pruning.
            models.Index(fields=["last_event_id"], name="past_participant_end"),
        ]

    def __str__(self) -> str:
        return f"{self.user_id} in {self.conversation_id} until {self.last_event_id}"
