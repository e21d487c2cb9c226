"""Who takes part in which conversation, and who did."""

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
    """Return the hours from 1970 to this time: what ``active_hour`` holds."""
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
        """Bring ``active_hour`` in line with conversations that were touched.

        Under their locks. A row is written only when a new hour has begun. Returns
        how many were.
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
    """One person's part in one conversation; ``id`` rises in the order of joining."""

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
    # The conversation's last_seq at joining. The cursor starts there too, but nothing
    # up to it was read by this person: a receipt is for a seq after it.
    joined_seq = models.PositiveBigIntegerField(default=0, db_default=0, editable=False)
    # The id of the event by which they joined, the first one that reaches them.
    first_event_id = models.PositiveBigIntegerField(default=0, editable=False)
    # The hour of the conversation's updated_at, here so that one index sorts a
    # person's list; written once an hour, not with every message. The conversation's
    # lock keeps this and has_unread true: docs/decisions/0016.
    active_hour = models.IntegerField(default=this_hour, db_default=0, editable=False)
    # Whether the conversation's last_seq is past last_read_seq.
    has_unread = models.BooleanField(default=False, db_default=False, editable=False)

    objects = ParticipantQuerySet.as_manager()

    class Meta:
        ordering = ("id",)
        constraints = [
            # visible_to: who takes part where, from the person's side.
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
            # Previews, the participants page, the next owner: by order of joining.
            models.Index(fields=["conversation", "id"], name="participant_joined"),
            # A person's conversations and messages, latest activity first.
            models.Index(fields=["user", "-active_hour"], name="participant_activity"),
            # The same, of those with something unread only.
            models.Index(
                fields=["user", "-active_hour"],
                condition=Q(has_unread=True),
                name="participant_unread",
            ),
            # A send: for whom the conversation has something unread only now.
            models.Index(
                fields=["conversation"],
                condition=Q(has_unread=False),
                name="participant_caught_up",
            ),
        ]

    def __str__(self) -> str:
        return str(self.user)

    def note_sent(self, message: models.Model) -> None:
        """Move the sender's own cursor to a new message, unread for everybody else.

        Under the conversation's lock, which ``message`` follows in time. One
        statement, which writes the rows that change: those that had read everything
        and, in a new hour, all.
        """
        hour = hour_of(message.sent_at)
        is_new_hour = self.active_hour != hour
        self.last_read_seq, self.active_hour = message.seq, hour
        statement = _NOTE_SENT_IN_NEW_HOUR if is_new_hour else _NOTE_SENT
        statement.run(**columns(self))

    def move_cursor(self, seq: int, *, last_seq: int) -> bool:
        """Move the read cursor up to ``seq``, never back; tell whether it moved.

        ``last_seq`` is the conversation's, under its lock: without that a message
        that is being sent would find the row unread, and then not be.
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


# The conversation is named on either side of the OR, or SQLite would read all of it.
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
    """The span of events that reached somebody who is no longer a participant.

    So one who was away still learns of the removal, and of nothing after it.
    Rows go when the log is pruned past them; there is no link to the
    conversation, which may itself be gone.
    """

    user = models.ForeignKey(User, on_delete=models.CASCADE, db_index=False)
    conversation_id = models.UUIDField()
    first_event_id = models.PositiveBigIntegerField()
    last_event_id = models.PositiveBigIntegerField()

    class Meta:
        indexes = [
            # A person's backlog of events: was this event within one of the spans?
            models.Index(
                fields=["user", "conversation_id", "last_event_id"],
                name="past_participant_span",
            ),
            # The spans of those who open a stream.
            models.Index(
                fields=["user", "last_event_id"], name="past_participant_user"
            ),
            # Pruning.
            models.Index(fields=["last_event_id"], name="past_participant_end"),
        ]

    def __str__(self) -> str:
        return f"{self.user_id} in {self.conversation_id} until {self.last_event_id}"
