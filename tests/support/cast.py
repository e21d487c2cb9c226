"""What each service is called with, by whom, and the events that it appends."""

from collections.abc import Callable

from chats.models import Event, Message
from chats.realtime import log
from chats.services import conversations, messages, staff, users
from tests.support.factories import UserFactory, send, start


class Cast:
    """A conversation of alice with bob, a message of each; the others are outside."""

    names = ("alice", "bob", "carol", "root", "mallory")

    def __init__(self):
        for name in self.names:
            setattr(self, name, UserFactory(username=name))
        self.theirs = start(self.mallory, self.carol)
        self.conversation = start(self.alice, self.bob)
        self.id = self.conversation.pk
        self.by_alice = send(self.alice, self.conversation)
        self.by_bob = send(self.bob, self.conversation)
        self.since = Event.objects.last_id()

    def appended(self) -> list[tuple]:
        """Return the new events: type, message, whom about, actor, and audience."""
        people = {getattr(self, name).pk: name for name in self.names}
        reached = {
            name: set(log.visible_to(pk, self.since).values_list("pk", flat=True))
            for pk, name in people.items()
        }
        newest = Message.objects.order_by("-message_id").first()
        notes = {None: None, newest.pk if newest else 0: "new"}
        notes |= {self.by_alice.pk: "alice's", self.by_bob.pk: "bob's"}
        return [
            (
                event.type,
                notes[event.message_id],
                people.get(event.user_id),
                people[event.actor_id],
                " ".join(name for name in reached if event.pk in reached[name]),
            )
            for event in Event.objects.filter(event_id__gt=self.since)
        ]


ALL_BUT_CAROL = "alice bob"
EVERYBODY = "alice bob carol"

# What each service is called with, and the events it appends.
SERVICES: dict[str, tuple[Callable[[Cast], object], list[tuple]]] = {
    "start_conversation": (
        lambda c: conversations.start_conversation(
            c.alice, participant_ids=[c.carol.pk]
        ),
        [("conversation.created", None, None, "alice", "alice carol")],
    ),
    "rename_conversation": (
        lambda c: conversations.rename_conversation(c.bob, c.id, title="New"),
        [("conversation.updated", None, None, "bob", ALL_BUT_CAROL)],
    ),
    "delete_conversation": (
        lambda c: conversations.delete_conversation(c.alice, c.id),
        [("conversation.deleted", None, None, "alice", ALL_BUT_CAROL)],
    ),
    "delete_as_staff": (
        lambda c: staff.delete_as_staff(c.conversation, actor=c.root),
        [("conversation.deleted", None, None, "root", ALL_BUT_CAROL)],
    ),
    "add_participant": (
        lambda c: conversations.add_participant(c.bob, c.id, user_id=c.carol.pk),
        [("participant.added", None, "carol", "bob", EVERYBODY)],
    ),
    "remove_participant": (
        lambda c: conversations.remove_participant(c.alice, c.id, user_id=c.bob.pk),
        [("participant.removed", None, "bob", "alice", ALL_BUT_CAROL)],
    ),
    "remove_participant_who_leaves": (
        lambda c: conversations.remove_participant(c.bob, c.id, user_id=c.bob.pk),
        [("participant.removed", None, "bob", "bob", ALL_BUT_CAROL)],
    ),
    "remove_participant_who_owns": (
        lambda c: conversations.remove_participant(c.alice, c.id, user_id=c.alice.pk),
        [
            ("participant.removed", None, "alice", "alice", ALL_BUT_CAROL),
            ("conversation.updated", None, None, "alice", "bob"),
        ],
    ),
    "add_as_staff": (
        lambda c: staff.add_as_staff(c.conversation, user_id=c.carol.pk, actor=c.root),
        [("participant.added", None, "carol", "root", EVERYBODY)],
    ),
    "remove_as_staff": (
        lambda c: staff.remove_as_staff(c.conversation, user_id=c.bob.pk, actor=c.root),
        [("participant.removed", None, "bob", "root", ALL_BUT_CAROL)],
    ),
    "remove_as_staff_of_the_owner": (
        lambda c: staff.remove_as_staff(
            c.conversation, user_id=c.alice.pk, actor=c.root
        ),
        [
            ("participant.removed", None, "alice", "root", ALL_BUT_CAROL),
            ("conversation.updated", None, None, "root", "bob"),
        ],
    ),
    "rename_as_staff": (
        lambda c: staff.rename_as_staff(c.conversation, title="New", actor=c.root),
        [("conversation.updated", None, None, "root", ALL_BUT_CAROL)],
    ),
    "transfer_ownership": (
        lambda c: staff.transfer_ownership(
            c.conversation, owner_id=c.bob.pk, actor=c.root
        ),
        [("conversation.updated", None, None, "root", ALL_BUT_CAROL)],
    ),
    "change_participants": (
        lambda c: staff.change_participants(
            c.conversation, joining=[c.carol.pk], leaving=[c.bob.pk], actor=c.root
        ),
        [
            ("participant.removed", None, "bob", "root", ALL_BUT_CAROL),
            ("participant.added", None, "carol", "root", "alice carol"),
        ],
    ),
    "send_message": (
        lambda c: messages.send_message(c.bob, c.id, message_body="Hi"),
        [("message.created", "new", None, "bob", ALL_BUT_CAROL)],
    ),
    "edit_message": (
        lambda c: messages.edit_message(c.bob, c.by_bob.pk, message_body="Edited"),
        [("message.updated", "bob's", None, "bob", ALL_BUT_CAROL)],
    ),
    "delete_message": (
        lambda c: messages.delete_message(c.alice, c.by_bob.pk),
        [("message.deleted", "bob's", None, "alice", ALL_BUT_CAROL)],
    ),
    "redact_message": (
        lambda c: staff.redact_message(c.by_bob, actor=c.root),
        [("message.deleted", "bob's", None, "root", ALL_BUT_CAROL)],
    ),
    "mark_as_read": (
        lambda c: messages.mark_as_read(c.alice, c.by_bob.pk),
        [("read.updated", None, "alice", "alice", ALL_BUT_CAROL)],
    ),
    "mark_conversation_as_read": (
        lambda c: messages.mark_conversation_as_read(c.alice, c.id),
        [("read.updated", None, "alice", "alice", ALL_BUT_CAROL)],
    ),
    "delete_user": (
        lambda c: users.delete_user(c.alice, actor=c.root),
        [
            ("participant.removed", None, "alice", "root", ALL_BUT_CAROL),
            ("conversation.updated", None, None, "root", "bob"),
        ],
    ),
}
