"""Messages: the numbered texts of a conversation."""

from datetime import UTC, datetime
from uuid import UUID

from django.db import models
from django.db.models import Exists, ExpressionWrapper, F, OuterRef, Q, Subquery, Value
from django.db.models.functions import Coalesce, Length
from django.db.models.lookups import LessThanOrEqual

from chats.db.prepared import Param, Prepared, insert
from chats.db.uuids import uuid7
from chats.models.conversations import Conversation, Participant
from chats.models.users import User

MAX_BODY_LENGTH = 10_000  # characters
EVER = datetime.min.replace(tzinfo=UTC)


def _read_until(conversation_id: OuterRef, seq: OuterRef) -> Coalesce:
    """Return when the message of this ``seq`` was sent, or the beginning of time."""
    rows = Message.objects.filter(conversation_id=conversation_id, seq=seq)
    never = Value(EVER, models.DateTimeField())
    return Coalesce(Subquery(rows.order_by().values("sent_at")), never)


class MessageQuerySet(models.QuerySet):
    """Sets of messages; chain freely."""

    def kept(self) -> "MessageQuerySet":
        """Those of conversations that nobody has deleted.

        This uses a subquery, which is usually empty and runs once, instead of a join.
        """
        gone = Conversation.objects.deleted().order_by().values("pk")
        return self.exclude(conversation__in=gone)

    def insert(self, message: "Message") -> None:
        """Store a new message."""
        _INSERT.store(message)

    def sent_with(
        self, client_id: UUID, *, sender: User, conversation_id: UUID
    ) -> "Message | None":
        """Return the message with this ``client_id``, with its sender, or None."""
        return _SENT_WITH.instance(
            conversation_id=conversation_id, sender_id=sender.pk, client_id=client_id
        )

    def locked(self, message_id: UUID, *, seen_by: User) -> "Message | None":
        """Lock the conversation of a message; return the message if visible, or None.

        The message has its sender, its conversation and the user's ``last_read_seq``.
        All are read after the lock is held, so a call that waited for the lock sees
        the changes made before it.
        """
        asked = {"message_id": message_id, "reader_id": seen_by.pk}
        return _LOCKED.instance(**asked) if _LOCK.instance(**asked) else None

    def visible_to(self, user: User) -> "MessageQuerySet":
        """Those in the conversations of ``user``, with the user's ``last_read_seq``."""
        return self.filter(conversation__participations__user=user).annotate(
            last_read_seq=F("conversation__participations__last_read_seq")
        )

    def by_conversation(self) -> "MessageQuerySet":
        """Make the result of ``visible_to`` the outer query for ``of_opened``."""
        return self.alias(
            opened_id=F("conversation__participations__conversation_id"),
            read_until=_read_until(OuterRef("opened_id"), OuterRef("last_read_seq")),
        )

    def of_opened(self) -> "MessageQuerySet":
        """Those of one conversation of an outer query, for use in a subquery only.

        The outer query must have the conversation's ``opened_id`` and the reader's
        ``last_read_seq``.
        """
        opened_id, last_read_seq = OuterRef("opened_id"), OuterRef("last_read_seq")
        return self.filter(conversation_id=opened_id).alias(
            last_read_seq=ExpressionWrapper(last_read_seq, models.BigIntegerField()),
            read_until=_read_until(OuterRef(opened_id), OuterRef(last_read_seq)),
        )

    def scanned_by(self, user: User) -> "MessageQuerySet":
        """Those of ``visible_to``, for scans in order of time.

        EXISTS makes the database test each message as the scan reaches it. For a join
        it might first collect all messages of the user.
        """
        mine = Participant.objects.order_by().filter(
            user=user, conversation_id=OuterRef("conversation_id")
        )
        return self.filter(Exists(mine)).annotate(
            last_read_seq=Subquery(mine.values("last_read_seq"))
        )

    def unread(self) -> "MessageQuerySet":
        """Of ``visible_to``: those after the reader's cursor (never their own)."""
        return self._compared_to_cursor("gt")

    def read(self) -> "MessageQuerySet":
        """Of ``visible_to``: those up to the reader's cursor."""
        return self._compared_to_cursor("lte")

    def _compared_to_cursor(self, lookup: str) -> "MessageQuerySet":
        rows = self.filter(**{f"seq__{lookup}": F("last_read_seq")})
        if "read_until" in self.query.annotations:  # equivalent, for an index by time
            rows = rows.filter(**{f"sent_at__{lookup}": F("read_until")})
        return rows

    def search(self, text: str) -> "MessageQuerySet":
        """Those with ``text`` in the body."""
        return self.filter(message_body__has_text=text)


class Message(models.Model):
    """One message. ``seq`` counts 1, 2, 3 … in its conversation without a gap."""

    message_id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    conversation = models.ForeignKey(
        Conversation, on_delete=models.CASCADE, related_name="messages", db_index=False
    )
    seq = models.PositiveBigIntegerField(editable=False)
    sender = models.ForeignKey(
        User, on_delete=models.PROTECT, related_name="sent_messages", db_index=False
    )
    message_body = models.TextField(blank=True, max_length=MAX_BODY_LENGTH)
    sent_at = models.DateTimeField(editable=False)
    edited_at = models.DateTimeField(null=True, editable=False)
    deleted_at = models.DateTimeField(null=True, editable=False)
    client_id = models.UUIDField(null=True, editable=False)

    objects = MessageQuerySet.as_manager()

    class Meta:
        ordering = ("-sent_at", "-message_id")
        permissions = [("read_message_body", "Can read what other people wrote")]
        constraints = [
            # The order itself; also the index of every page within a conversation.
            models.UniqueConstraint(
                fields=["conversation", "seq"], name="message_seq_unique"
            ),
            # A retry does not store a message twice; also the lookup of the first.
            models.UniqueConstraint(
                fields=["conversation", "sender", "client_id"],
                condition=Q(client_id__isnull=False),
                name="message_client_id_unique",
            ),
            models.CheckConstraint(condition=Q(seq__gte=1), name="message_seq_from_1"),
            models.CheckConstraint(
                condition=Q(deleted_at=None) & ~Q(message_body="")
                | Q(deleted_at__isnull=False, message_body=""),
                name="message_body_empty_when_deleted",
            ),
            models.CheckConstraint(
                condition=LessThanOrEqual(Length("message_body"), MAX_BODY_LENGTH),
                name="message_body_length",
            ),
        ]
        indexes = [
            # The admin's list of all messages, newest first, and its filter by date.
            models.Index(fields=["-sent_at", "-message_id"], name="message_newest"),
            # The admin's list of one sender's messages.
            models.Index(fields=["sender", "-sent_at"], name="message_sender"),
            # One conversation's messages by time, as in lists across conversations.
            models.Index(fields=["conversation", "sent_at"], name="message_time"),
            # The same for one sender.
            models.Index(
                fields=["conversation", "sender", "sent_at"], name="message_sender_time"
            ),
        ]

    def __str__(self) -> str:
        return f"#{self.seq} of {self.conversation_id}"

    @property
    def is_deleted(self) -> bool:
        return self.deleted_at is not None

    @property
    def is_untouched(self) -> bool:
        """Whether the body is still the one first sent."""
        return self.edited_at is None and self.deleted_at is None


_INSERT = Prepared(lambda: insert(Message))
_SENT_WITH = Prepared(
    lambda: (
        Message.objects.filter(
            conversation_id=Param("conversation_id", models.UUIDField()),
            sender_id=Param("sender_id", models.UUIDField()),
            client_id=Param("client_id", models.UUIDField()),
        )
        .select_related("sender")
        .order_by()
    )
)
_LOCK = Prepared(
    lambda: (
        Conversation.objects.filter(
            messages=Param("message_id", models.UUIDField()),
            participations__user=Param("reader_id", models.UUIDField()),
        )
        .only("pk")
        .select_for_update(of=("self",), no_key=True)
        .order_by()
    )
)
_LOCKED = Prepared(
    lambda: (
        Message.objects.visible_to(Param("reader_id", models.UUIDField()))
        .filter(pk=Param("message_id", models.UUIDField()))
        .select_related("sender", "conversation")
        .order_by()
    )
)
