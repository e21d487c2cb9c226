"""Exporting a whole conversation, and importing it as it was.

A file has one JSON object a line: the conversation, its users, its participants, its
messages. Of users it has only the names. A file is trusted no more than what a client
sends: see ``transfer_lines``.
"""

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any
from uuid import UUID

from django.core.exceptions import ValidationError
from django.db import DataError, IntegrityError, transaction
from django.db.models import (
    F,
    Field,
    Model,
    OuterRef,
    PositiveBigIntegerField,
    Q,
    Subquery,
)
from django.db.models.functions import Coalesce, Least

from chats.models import AuditEntry, Conversation, Event, Message, Participant, User
from chats.models.fields import LineField
from chats.models.participants import hour_of
from chats.models.text.characters import as_line
from chats.models.text.identifiers import SystemName
from chats.services.announce import announce
from chats.services.audit import record
from chats.services.transfer_lines import Line, read_value, wrong
from chats.web.exceptions import ChatError, Conflict, NotFound

FORMAT = 1
CHUNK = 500  # rows read or written at once
MOST_PEOPLE = 100_000  # lines of them, and of participants: they are held in memory
CONVERSATION = (
    "conversation_id",
    "title",
    "owner_id",
    "last_seq",
    "created_at",
    "updated_at",
)
NAMES = ("user_id", "first_name", "last_name")
PERSON = (*NAMES, "username")  # in another installation it may be somebody else's
PARTICIPANT = ("user_id", "joined_at", "joined_seq", "last_read_seq")
# Every column but the conversation's, so that none is lost that is added later.
MESSAGE = tuple(
    field.attname
    for field in Message._meta.concrete_fields
    if field.name != "conversation"
)


def export_conversation(conversation_id: UUID) -> Iterator[Line]:
    """Return the lines of a conversation, read in chunks; raises NotFound.

    The caller makes sure that all reads see one state of the database. The caller
    records the export too, since this may run where nothing can be written.
    """
    found = Conversation.objects.kept().filter(pk=conversation_id)
    found = found.values(*CONVERSATION)
    for conversation in found:
        yield {"type": "conversation", "format": FORMAT, **conversation}
        break
    else:
        raise NotFound("This conversation does not exist.")
    sent = Message.objects.filter(conversation_id=conversation_id).order_by()
    people = User.objects.filter(
        Q(participations__conversation=conversation_id)
        | Q(pk__in=sent.values("sender_id"))
    )
    for person in people.order_by("pk").distinct().values(*PERSON):
        yield {"type": "person", **person}
    standing = Participant.objects.filter(conversation_id=conversation_id)
    for participant in standing.order_by("id").values(*PARTICIPANT):
        yield {"type": "participant", **participant}
    for after in range(0, conversation["last_seq"], CHUNK):
        chunk = sent.filter(seq__gt=after, seq__lte=after + CHUNK).order_by("seq")
        for message in chunk.values(*MESSAGE):
            yield {"type": "message", **message}
    yield {"type": "end"}


@transaction.atomic
def import_conversation(
    lines: Iterable[Line], *, create_missing: bool = False
) -> tuple[Conversation, int]:
    """Store a conversation from the lines of an export, with its ids, seqs and times.

    Users are found by id; with ``create_missing`` others are created, unable to sign
    in. Users deleted since then do not take part. Clients see the conversation as
    created. Returns it and the number of users created. Raises Conflict if it exists
    already, and ChatError, with the line and field if there is one, if the lines are
    not a whole export. Nothing is stored then.
    """
    file = _File(lines)
    head = file.take("conversation")[0]
    if head.get("format") != FORMAT:
        raise ChatError(f"Only format {FORMAT} can be imported.")
    conversation = _build(Conversation, CONVERSATION, head)
    _require_absent(conversation.pk)
    last_seq, conversation.last_seq = conversation.last_seq, 0
    try:
        people, created = _people(file.take("person"), create_missing=create_missing)
        _store(conversation, file, people, last_seq)
    except (IntegrityError, DataError) as error:
        text = str(error).partition("\n")[0]
        raise ChatError(f"The database rejected the file: {text}.") from error
    record(AuditEntry.Action.CONVERSATION_IMPORTED, conversation, actor=None)
    event = Event.of(Event.Type.CONVERSATION_CREATED, conversation.pk, actor=None)
    announce(event)
    conversation.participations.update(first_event_id=event.pk)
    return conversation, created


def _require_absent(conversation_id: UUID) -> None:
    there = Conversation.objects.filter(pk=conversation_id)
    for deleted_at in there.values_list("deleted_at", flat=True):
        if deleted_at is None:
            raise Conflict(f"Conversation {conversation_id} already exists.")
        raise Conflict(
            f"Conversation {conversation_id} has been deleted, but not completely"
            " erased: run manage.py prune_deleted first."
        )


class _File:
    """The numbered lines of an export, read kind by kind in their order."""

    def __init__(self, lines: Iterable[Line]):
        numbered = enumerate(lines, start=1)
        self._lines = (line | {"line": number} for number, line in numbered)
        self._next: Line | None = next(self._lines, None)

    def each(self, kind: str) -> Iterator[Line]:
        """Yield the next lines, as long as they are of this kind."""
        count = 0
        while self._next is not None and self._next.get("type") == kind:
            line, self._next = self._next, next(self._lines, None)
            count += 1
            if count > MOST_PEOPLE and kind != "message":
                raise wrong(
                    line,
                    "type",
                    f"there can be at most {MOST_PEOPLE} lines of type {kind}.",
                )
            yield line

    def ends(self) -> bool:
        """Return whether the next line is the last one, of type ``end``."""
        return len(list(self.each("end"))) == 1 and self._next is None

    def take(self, kind: str) -> list[Line]:
        """Return the next lines of a kind; raises ChatError if there are none."""
        if not (lines := list(self.each(kind))):
            raise ChatError(f"The file has no line of type {kind}.")
        return lines


def _people(lines: list[Line], *, create_missing: bool) -> tuple[dict[UUID, User], int]:
    """Return the users by id, locked, and how many of them were created."""
    named = {user.pk: user for user in (_build(User, NAMES, line) for line in lines)}
    there = User.objects.filter(pk__in=list(named)).order_by("pk")
    people = {user.pk: user for user in there.select_for_update(no_key=True)}
    missing = [user for pk, user in named.items() if pk not in people]
    if missing and not create_missing:
        ids = ", ".join(str(user.pk) for user in missing[:5])
        raise ChatError(f"{len(missing)} people do not exist here: {ids} …")
    for user in missing:
        user.username, user.email = SystemName.IMPORTED.of(user.pk)
        user.is_active = False
        user.set_unusable_password()
    User.objects.bulk_create(missing, batch_size=CHUNK)
    return people | {user.pk: user for user in missing}, len(missing)


def _store(
    conversation: Conversation, file: _File, people: dict[UUID, User], last_seq: int
) -> None:
    """Store the rows; raises ChatError if they do not agree with each other."""
    lines = list(file.each("participant"))
    standing = [
        _build(Participant, PARTICIPANT, {"joined_seq": 0} | line) for line in lines
    ]
    standing = [row for row in standing if _of(people, row.user_id).deleted_at is None]
    for row in standing:
        row.conversation = conversation
        if not 0 <= row.joined_seq <= row.last_read_seq <= last_seq:
            raise ChatError(f"{row.user_id} has read messages that do not exist.")
        row.has_unread = row.last_read_seq < last_seq
        row.active_hour = hour_of(conversation.updated_at)
    ids = [row.user_id for row in standing]
    if conversation.owner_id not in ids:
        conversation.owner_id = next(iter(ids), None)
    conversation.participant_count = len(ids)
    conversation.save(force_insert=True)
    Participant.objects.bulk_create(standing, batch_size=CHUNK)
    last = _store_messages(conversation, file, people)
    if (last.seq if last else 0) != last_seq or not file.ends():
        raise ChatError("The file is incomplete.")
    if last:
        if conversation.updated_at < last.sent_at:
            raise wrong({"line": 1}, "updated_at", "is before the last message.")
        conversation.last_seq, conversation.last_message_id = last.seq, last.pk
        conversation.save(update_fields=["last_seq", "last_message"])
    if not all("joined_seq" in line for line in lines):  # of an older release
        _derive_joined_seq(conversation)


def _derive_joined_seq(conversation: Conversation) -> None:
    """Set ``joined_seq`` to the last message sent before each participant joined."""
    earlier = Message.objects.filter(
        conversation_id=OuterRef("conversation_id"), sent_at__lt=OuterRef("joined_at")
    )
    at_joining = Coalesce(
        Subquery(earlier.order_by("-sent_at").values("seq")[:1]),
        0,
        output_field=PositiveBigIntegerField(),
    )
    conversation.participations.update(joined_seq=Least(at_joining, F("last_read_seq")))


def _store_messages(
    conversation: Conversation, file: _File, people: dict[UUID, User]
) -> Message | None:
    """Store the messages, whose ``seq`` has no gap; return the last one."""
    last = None
    lines = file.each("message")
    while chunk := list(islice(lines, CHUNK)):
        messages = [_build(Message, MESSAGE, line) for line in chunk]
        for message, line in zip(messages, chunk, strict=True):
            _of(people, message.sender_id)
            message.conversation = conversation
            if message.seq != (last.seq if last else 0) + 1:
                raise wrong(line, "seq", "is out of order.")
            if last and message.sent_at < last.sent_at:
                raise wrong(line, "sent_at", "is earlier than in the previous message.")
            last = message
        Message.objects.bulk_create(messages)
    return last


def _of(people: dict[UUID, User], user_id: UUID) -> User:
    if user_id not in people:
        raise ChatError(f"The file has no line for the person {user_id}.")
    return people[user_id]


def _build(model: type[Model], fields: Iterable[str], line: Line) -> Any:
    """Return an unsaved row of a line's values; raises ChatError."""
    values = {}
    for name in fields:
        try:
            values[name] = _read(model._meta.get_field(name), line.get(name))
        except ValidationError as error:
            raise wrong(line, name, " ".join(error.messages)) from error
    return model(**values)


def _read(field: Field, value: Any) -> Any:
    """Return the value of a column; raises ValidationError."""
    value = read_value(field, value)
    if isinstance(field, LineField) and value is not None:
        value = as_line(value)  # it may be from before the rules
    if value not in field.empty_values:
        field.run_validators(value)
    return value
