"""Conversations: the lock that orders everything in them, and a user's list of them."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

from django.db import models
from django.db.models import F, Q
from django.utils import timezone

from chats.db.prepared import Param, Prepared, columns, update
from chats.db.uuids import uuid7
from chats.models.fields import LineField
from chats.models.participants import Participant, hour_of
from chats.models.rules import Participation, require
from chats.models.users import NAMES, User, any_contains
from chats.web.exceptions import ChatError, NotFound

END_OF_TIME = datetime.max.replace(tzinfo=UTC)  # microseconds before the year 10000


class ConversationQuerySet(models.QuerySet):
    """Sets of conversations; chain freely."""

    # For pagination: columns of an ordering that are computed from another column.
    implied = {"active_hour": ("updated_at", hour_of)}

    def kept(self) -> "ConversationQuerySet":
        """Those that nobody has deleted."""
        return self.filter(deleted_at=None)

    def deleted(self) -> "ConversationQuerySet":
        """Those that were deleted and whose messages are still being erased."""
        return self.filter(deleted_at__isnull=False)

    def visible_to(self, user: User) -> "ConversationQuerySet":
        """Those in which ``user`` takes part, annotated with the user's read state."""
        return self.filter(participations__user=user).annotate(
            last_read_seq=F("participations__last_read_seq"),
            has_unread=F("participations__has_unread"),
            active_hour=F("participations__active_hour"),
        )

    def latest_first(self) -> "ConversationQuerySet":
        """Sort the result of ``visible_to`` by activity, newest first.

        ``active_hour`` does not change the order, but it has an index. With it the
        database sorts one hour at a time, and only as many as a page needs.
        """
        return self.order_by("-active_hour", *Conversation._meta.ordering)

    def unread(self) -> "ConversationQuerySet":
        """Of ``visible_to``: those with messages after the reader's cursor."""
        return self.filter(has_unread=True)

    def read(self) -> "ConversationQuerySet":
        """Of ``visible_to``: those without messages after the reader's cursor."""
        return self.filter(has_unread=False)

    def with_participant(self, user_id: UUID) -> "ConversationQuerySet":
        """Those in which ``user_id`` takes part."""
        others = Participant.objects.filter(user_id=user_id)
        return self.filter(pk__in=others.values("conversation_id"))

    def search(self, text: str) -> "ConversationQuerySet":
        """Those with ``text`` in the title or in a participant's names.

        This uses a subquery for one value instead of EXISTS. PostgreSQL would run an
        EXISTS by first collecting everyone with that name and all their conversations.
        """
        fields = [f"user__{name}" for name in NAMES]
        people = Participant.objects.filter(conversation_id=models.OuterRef("pk"))
        one = people.filter(any_contains(fields, text)).order_by().values("pk")[:1]
        found = any_contains(["title"], text) | Q(one_named__isnull=False)
        return self.alias(one_named=models.Subquery(one)).filter(found)

    def locked(
        self, conversation_id: UUID, *, seen_by: User, field: str = "", to: str = ""
    ) -> "Conversation":
        """Return the conversation with its row locked until the commit.

        This lock orders everything in one conversation: ``seq``, participation and
        ownership. The actor's participation is read after the lock is held, so nobody
        acts on one that has ended. It is returned as ``conversation.participation``.

        Raises NotFound if ``seen_by`` is not a participant; if the conversation's id
        came from a field of the request body, name it in ``field`` to raise ChatError
        instead. Raises NotAllowed if the participant may not do ``to``, an act in
        ``chats.models.rules``.
        """
        conversation = _LOCK.instance(conversation_id=conversation_id)
        participation = conversation and _PARTICIPATION.instance(
            conversation_id=conversation_id, user_id=seen_by.pk
        )
        if participation:
            conversation.participation = participation
            if to:
                conversation.require(to)
            return conversation
        if not field:
            raise NotFound
        raise ChatError(
            f"Conversation {conversation_id} does not exist.",
            field=field,
            code="does_not_exist",
        )

    def locked_for_staff(self, conversation_id: UUID) -> "Conversation":
        """Return the conversation with its row locked, without checking participation.

        Raises NotFound if it no longer exists.
        """
        conversation = _LOCK.instance(conversation_id=conversation_id)
        if conversation is None:
            raise NotFound("This conversation no longer exists.")
        return conversation


class Conversation(models.Model):
    """A titled exchange between participants; ``seq`` orders its messages."""

    conversation_id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    title = LineField(max_length=200, blank=True, default="")
    owner = models.ForeignKey(
        User,
        on_delete=models.PROTECT,
        related_name="owned_conversations",
        null=True,
        blank=True,
        help_text="Empty only if the conversation has no participants.",
    )
    participants = models.ManyToManyField(
        User, through="Participant", related_name="conversations"
    )
    participant_count = models.PositiveIntegerField(default=0, editable=False)
    last_seq = models.PositiveBigIntegerField(default=0, editable=False)
    # The message with seq = last_seq, so that a join finds it. It has no database
    # constraint: each deletion of a message would search all conversations for it.
    last_message = models.ForeignKey(
        "Message",
        on_delete=models.DO_NOTHING,
        related_name="+",
        null=True,
        editable=False,
        db_index=False,
        db_constraint=False,
    )
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    updated_at = models.DateTimeField(
        default=timezone.now,
        editable=False,
        help_text="The time of the last message, rename or change of participants.",
    )
    # Set if there were too many messages to delete at once. The row then stays, without
    # participants and so invisible, until its messages are erased
    # (chats/services/erasing.py).
    deleted_at = models.DateTimeField(null=True, editable=False)

    objects = ConversationQuerySet.as_manager()

    class Meta:
        ordering = ("-updated_at", "-conversation_id")
        constraints = [
            models.CheckConstraint(
                condition=Q(owner__isnull=False) | Q(participant_count=0),
                name="conversation_has_owner",
            ),
            models.CheckConstraint(
                condition=Q(last_seq=0, last_message=None)
                | Q(last_seq__gt=0, last_message__isnull=False),
                name="conversation_last_message_set",
            ),
            models.CheckConstraint(
                condition=Q(deleted_at=None)
                | Q(participant_count=0, owner=None, title=""),
                name="conversation_deleted_is_empty",
            ),
        ]
        indexes = [
            # The conversation list, the admin's list: latest activity first.
            models.Index(
                fields=["-updated_at", "-conversation_id"], name="conversation_activity"
            ),
            # The admin's filter by date.
            models.Index(fields=["created_at"], name="conversation_created"),
            # The conversations that are being erased: usually none.
            models.Index(
                fields=["deleted_at"],
                condition=Q(deleted_at__isnull=False),
                name="conversation_deleted",
            ),
        ]

    def __str__(self) -> str:
        return self.title or f"Conversation {self.pk}"

    def require(self, act: str, *, sender_id: UUID | None = None) -> None:
        """Raise NotAllowed unless the actor it is locked for may do this.

        ``act`` is one of ``chats.models.rules``, and ``sender_id`` the sender of the
        message that it is done to.
        """
        participation = Participation(self.participation.user_id, self.owner_id)
        require(act, participation, sender_id=sender_id)

    def note_message(self, message: models.Model) -> None:
        """Make a new message the last one; call it with the conversation locked."""
        self.last_seq = message.seq
        self.last_message_id = message.pk
        _NOTE_MESSAGE.run(**columns(self))

    def touch(self) -> datetime:
        """Set ``updated_at`` to now, or just after its old value, and return it.

        So times rise with ``seq`` even if the clocks of two nodes differ. If a wrong
        clock has reached the end of the calendar, the time stays there. The caller
        saves the conversation.
        """
        step = min(timedelta(microseconds=1), END_OF_TIME - self.updated_at)
        self.updated_at = max(timezone.now(), self.updated_at + step)
        return self.updated_at


class StartedConversation(models.Model):
    """The conversation that a user started with a ``client_id``, for their retries.

    The row outlives the conversation, so that a late retry does not start it again.
    Therefore ``conversation_id`` is not a foreign key.
    """

    user = models.ForeignKey(User, on_delete=models.CASCADE, db_index=False)
    client_id = models.UUIDField()
    conversation_id = models.UUIDField()
    # SHA-256, in hexadecimal, of the requested participants and title.
    digest = models.CharField(max_length=64)

    class Meta:
        constraints = [
            # A retry starts no second conversation; also the lookup of the first.
            models.UniqueConstraint(
                fields=["user", "client_id"], name="started_conversation_unique"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.conversation_id} by {self.client_id}"


_LOCK = Prepared(
    lambda: (
        Conversation.objects.kept()
        .filter(pk=Param("conversation_id", models.UUIDField()))
        .order_by()
        .select_for_update(no_key=True)
    )
)
_NOTE_MESSAGE = Prepared(
    lambda: update(
        Conversation.objects.filter(pk=Param("conversation_id", models.UUIDField())),
        last_seq=Param("last_seq", models.BigIntegerField()),
        last_message_id=Param("last_message_id", models.UUIDField()),
        updated_at=Param("updated_at", models.DateTimeField()),
    )
)
_PARTICIPATION = Prepared(
    lambda: Participant.objects.filter(
        conversation_id=Param("conversation_id", models.UUIDField()),
        user_id=Param("user_id", models.UUIDField()),
    ).order_by()
)
