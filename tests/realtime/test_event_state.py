"""State kept up by events equals state fetched, whatever happened in between."""

import json
import sys
from typing import Any

import pytest
from django.core.cache import cache
from django.db import transaction
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    precondition,
    rule,
    run_state_machine_as_test,
)
from rest_framework.test import APIClient

from chats.models import Conversation, Message, User
from chats.realtime.audience import Subscription
from chats.realtime.streams import backlog
from chats.services import conversations, messages, staff, users
from chats.web.exceptions import ChatError
from tests.support.factories import UserFactory
from tests.support.hub import Driven, credential_of
from tests.support.servers import blocks_of

State = dict[str, dict[str, Any]]  # of the conversations, by id

MESSAGE = ("message_id", "message_body", "sent_at", "edited_at", "deleted_at")
CONVERSATION = ("title", "owner", "created_at", "updated_at")
# What shows a conversation as it is now: never to somebody who has been removed.
ONLY_FOR_PARTICIPANTS = ("conversation.updated", "participant.added", "read.updated")
NAMES = ("username", "first_name", "last_name", "role")


# --- What a client keeps -------------------------------------------------------


def kept_message(body: dict) -> dict:
    return {name: body[name] for name in MESSAGE} | {
        "sender": body["sender"]["user_id"]
    }


def kept_participant(body: dict) -> dict:
    kept = ("joined_at", "joined_seq", "last_read_seq", *NAMES)
    return {name: body[name] for name in kept}


def all_of(client: APIClient, path: str, **query) -> list[dict]:
    """Return a list, whole: nothing here has more than one page.

    That of a conversation one has been removed from since is empty; the event that
    says so follows.
    """
    response = client.get(path, {"page_size": 200} | query)
    if response.status_code == 404:
        return []
    page = response.json()
    assert page["next"] is None
    return page["results"]


def messages_of(client: APIClient, conversation_id: str) -> dict[int, dict]:
    query = {"conversation_id": conversation_id, "ordering": "seq"}
    listed = all_of(client, "/api/messages/by_conversation/", **query)
    return {body["seq"]: kept_message(body) for body in listed}


def fetched(client: APIClient) -> State:
    """Return a person's state as the REST routes have it."""
    return {
        body["conversation_id"]: {name: body[name] for name in CONVERSATION}
        | {
            "participants": {
                person["user_id"]: kept_participant(person)
                for person in body["participants"]
            },
            "messages": messages_of(client, body["conversation_id"]),
        }
        for body in all_of(client, "/api/conversations/")
    }


def derived(state: State, reader_id: str) -> dict[str, dict]:
    """Return what a client shows and the lists tell: counts and cursors."""
    shown = {}
    for key, kept in state.items():
        last = max(kept["messages"], default=0)
        mine = kept["participants"][reader_id]["last_read_seq"]
        shown[key] = {
            "participant_count": len(kept["participants"]),
            "last_seq": last,
            "last_read_seq": mine,
            "unread_count": last - mine,
            "last_message": last and kept["messages"][last]["message_id"],
            "read": {
                seq: seq <= mine or body["sender"] == reader_id
                for seq, body in kept["messages"].items()
            },
        }
    return shown


def listed(client: APIClient) -> dict[str, dict]:
    """Return what ``derived`` does, as the REST routes tell it."""
    told = {}
    for body in all_of(client, "/api/conversations/"):
        key, last = body["conversation_id"], body["last_message"]
        counts = ("participant_count", "last_seq", "last_read_seq", "unread_count")
        told[key] = {name: body[name] for name in counts}
        told[key]["last_message"] = last["message_id"] if last else 0
        query = {"conversation_id": key}
        bodies = all_of(client, "/api/messages/by_conversation/", **query)
        told[key]["read"] = {body["seq"]: body["is_read"] for body in bodies}
    return told


class Copy:
    """A client's copy: a snapshot, and every event since the cursor before it."""

    def __init__(self, user: User):
        self.user, self.user_id = user, str(user.pk)
        self.client = APIClient()
        self.client.force_authenticate(user)
        self.state: State | None = None
        self.left: set[str] = set()  # conversations, by the last event of theirs
        self.cursor = self.client.get("/api/events/").json()["cursor"]

    def load(self) -> None:
        """Fetch the snapshot, any time after the cursor was taken."""
        self.state = fetched(self.client)

    def poll(self, limit: int) -> None:
        """Apply what the JSON form has since the cursor."""
        page = {"more": True}
        while page["more"]:
            query = {"after": self.cursor, "limit": limit}
            page = self.client.get("/api/events/", query).json()
            for event in page["events"]:
                self.apply(event["type"], event)
            self.cursor = page["cursor"]

    def apply(self, kind: str, event: dict) -> None:
        """Bring the state up to date; an event may be one that it has already."""
        key = event.get("conversation_id")
        about_me = event.get("participant", {}).get("user_id") == self.user_id
        is_start = kind == "conversation.created"
        if is_start or (kind == "participant.added" and about_me):
            self.left.discard(key)
            self.open(key, event["conversation"])
            return
        assert kind not in ONLY_FOR_PARTICIPANTS or key not in self.left
        if kind == "conversation.deleted" or (
            kind == "participant.removed" and about_me
        ):
            self.left.add(key)
            self.state.pop(key, None)
        elif key in self.state:
            self.change(kind, event, self.state[key])

    def open(self, key: str, body: dict) -> None:
        """Begin a conversation; its messages from before are fetched."""
        self.state[key] = {"participants": {}, "messages": {}}
        self.merge(self.state[key], body)
        if body["last_seq"]:
            self.state[key]["messages"] = messages_of(self.client, key)

    def change(self, kind: str, event: dict, kept: dict) -> None:
        if "conversation" in event:
            self.merge(kept, event["conversation"])
        if "message" in event:
            self.note(kind, event["message"], kept)
        if kind == "participant.removed":
            kept["participants"].pop(event["participant"]["user_id"], None)
            kept["updated_at"] = None  # the event does not tell
        if kind == "read.updated":
            self.move_cursor(kept, event["user_id"], event["last_read_seq"])

    def merge(self, kept: dict, body: dict) -> None:
        kept |= {name: body[name] for name in CONVERSATION}
        for person in body["participants"]:
            known = kept["participants"].setdefault(person["user_id"], {})
            cursor = max(person["last_read_seq"], known.get("last_read_seq", 0))
            known |= kept_participant(person) | {"last_read_seq": cursor}

    def note(self, kind: str, body: dict, kept: dict) -> None:
        kept["messages"][body["seq"]] = kept_message(body)
        if kind == "message.created":
            self.move_cursor(kept, body["sender"]["user_id"], body["seq"])
            newer = kept["updated_at"] and kept["updated_at"] < body["sent_at"]
            if newer or kept["updated_at"] is None:
                kept["updated_at"] = body["sent_at"]

    def move_cursor(self, kept: dict, user_id: str, seq: int) -> None:
        if person := kept["participants"].get(user_id):
            person["last_read_seq"] = max(person["last_read_seq"], seq)

    def check(self) -> None:
        """Compare with a fresh snapshot, and with the counts that the lists tell."""
        fresh = fetched(self.client)
        for key, kept in self.state.items():
            if kept["updated_at"] is None and key in fresh:
                kept = kept | {"updated_at": fresh[key]["updated_at"]}
                self.state[key] = kept
        assert self.state == fresh
        assert derived(self.state, self.user_id) == listed(self.client)


class LiveCopy(Copy):
    """A copy that follows the hub, as the shell and a client do."""

    def __init__(self, user: User, driven: Driven):
        super().__init__(user)
        self.driven = driven
        self.stream: Subscription | None = None

    def connect(self) -> None:
        """Open a stream from the cursor: the backlog, then the hub."""
        position = int(self.cursor.removeprefix("1-"))
        self.stream = Subscription(position, credential_of(self.user))
        self.read_backlog()
        self.driven.hub.join(self.stream)

    def disconnect(self) -> None:
        if self.stream is not None:
            self.take()
            self.driven.hub.leave(self.stream)
            self.stream = None

    def read_backlog(self) -> None:
        more = True
        while more:
            piece = backlog(self.user.pk, self.stream.position)
            self.stream.position, more = piece.position, piece.has_more
            self.receive(piece.body)

    def take(self) -> None:
        """Receive what was posted; read the log again when behind."""
        posted = self.driven.posted
        self.receive(b"".join(frame for to, frame in posted if to is self.stream))
        posted[:] = [pair for pair in posted if pair[0] is not self.stream]
        if (self.stream, "behind") in self.driven.ended:
            self.driven.ended.remove((self.stream, "behind"))
            self.read_backlog()
            self.driven.hub.join(self.stream)
            self.driven.turn()
            self.take()

    def receive(self, data: bytes) -> None:
        for block in blocks_of([data]):
            if "event" in block:
                self.apply(block["event"], json.loads(block["data"]))
            self.cursor = block.get("id", self.cursor)


# --- What may happen -----------------------------------------------------------

picks = st.integers(0, 2**16)


class Program(RuleBasedStateMachine):
    """People do at random what the API lets them; copies are compared at random."""

    def __init__(self):
        super().__init__()
        cache.clear()
        self.example = transaction.atomic()
        self.example.__enter__()
        self.driven = Driven()
        self.people: list[User] = []
        self.copies: dict[User, Copy] = {}
        self.live: dict[User, LiveCopy] = {}

    def teardown(self) -> None:
        try:
            if sys.exc_info()[0] is None:
                self.compare_all()
        finally:
            transaction.set_rollback(True)
            self.example.__exit__(None, None, None)

    # --- Picking, by the order of making: the order of UUIDs is not repeatable ---

    def person(self, pick: int) -> User:
        return self.people[pick % len(self.people)]

    def conversation(self, pick: int) -> Conversation:
        """Return some conversation that has people; start one if there is none."""
        inhabited = Conversation.objects.exclude(participant_count=0)
        if not inhabited.exists():
            self.start(pick)
        return inhabited.order_by("created_at")[pick % inhabited.count()]

    def place(self, pick: int) -> tuple[Conversation, User]:
        """Return a conversation and somebody who takes part in it."""
        conversation = self.conversation(pick)
        people = list(conversation.participants.order_by("participations__id"))
        return conversation, people[pick // 7 % len(people)]

    def message(self, pick: int) -> Message | None:
        existing = list(Message.objects.order_by("sent_at"))
        return existing[pick % len(existing)] if existing else None

    # --- The beginning ---

    @initialize(starts=st.lists(picks, min_size=2, max_size=3))
    def begin(self, starts):
        self.people = UserFactory.create_batch(4)
        for pick in starts:
            self.start(pick)
        for person in self.people:
            self.copies[person] = Copy(person)
            self.copies[person].load()
            self.live[person] = LiveCopy(person, self.driven)
            self.live[person].load()
            self.live[person].connect()

    # --- Changes ---

    @rule(pick=picks)
    def start(self, pick):
        others = [p for number, p in enumerate(self.people) if pick >> number & 1]
        conversations.start_conversation(
            self.person(pick),
            participant_ids=[person.pk for person in others],
            title=f"Title {pick}",
        )

    @rule(pick=picks)
    def send(self, pick):
        conversation, person = self.place(pick)
        messages.send_message(person, conversation.pk, message_body=f"Body {pick}")

    @rule(pick=picks)
    def edit(self, pick):
        self.attempt(
            lambda message: messages.edit_message(
                message.sender, message.pk, message_body=f"Edited {pick}"
            ),
            self.message(pick),
        )

    @rule(pick=picks)
    def delete_message(self, pick):
        self.attempt(
            lambda message: messages.delete_message(message.sender, message.pk),
            self.message(pick),
        )

    @rule(pick=picks)
    def read(self, pick):
        self.attempt(
            lambda message: messages.mark_as_read(self.person(pick), message.pk),
            self.message(pick),
        )

    @rule(pick=picks)
    def read_all(self, pick):
        conversation, person = self.place(pick)
        messages.mark_conversation_as_read(person, conversation.pk)

    @rule(pick=picks)
    def rename(self, pick):
        conversation, person = self.place(pick)
        conversations.rename_conversation(
            person, conversation.pk, title=f"Renamed {pick}"
        )

    @rule(pick=picks, who=picks)
    def add(self, pick, who):
        conversation, person = self.place(pick)
        conversations.add_participant(
            person, conversation.pk, user_id=self.person(who).pk
        )

    @rule(pick=picks)
    def leave(self, pick):
        conversation, person = self.place(pick)
        conversations.remove_participant(person, conversation.pk, user_id=person.pk)

    @rule(pick=picks, who=picks)
    def remove(self, pick, who):
        conversation = self.conversation(pick)
        self.attempt(
            lambda person: conversations.remove_participant(
                conversation.owner, conversation.pk, user_id=person.pk
            ),
            self.person(who),
        )

    @rule(pick=picks)
    def hand_over(self, pick):
        conversation, person = self.place(pick)
        staff.transfer_ownership(
            conversation, owner_id=person.pk, actor=self.person(pick)
        )

    @rule(pick=picks, joins=picks, leaves=picks)
    def change_participants(self, pick, joins, leaves):
        staff.change_participants(
            self.conversation(pick),
            joining=[self.person(joins).pk],
            leaving=[self.person(leaves).pk],
            actor=self.person(pick),
        )

    @precondition(lambda self: Conversation.objects.count() > 2)
    @rule(pick=picks)
    def delete_conversation(self, pick):
        conversation = self.conversation(pick)
        conversations.delete_conversation(conversation.owner, conversation.pk)

    @precondition(lambda self: len(self.people) > 3)
    @rule(pick=picks)
    def delete_account(self, pick):
        person = self.person(pick)
        self.people.remove(person)
        del self.copies[person]
        self.live.pop(person).disconnect()
        users.delete_user(person, actor=person)

    def attempt(self, call, subject) -> None:
        """Do what may be refused, if there is something to do it to."""
        try:
            if subject is not None:
                call(subject)
        except ChatError:
            pass

    # --- Clients ---

    @rule(pick=picks)
    def take_cursor(self, pick):
        """Begin a snapshot, to be loaded when more has happened."""
        person = self.person(pick)
        self.copies[person] = Copy(person)

    @rule(pick=picks, limit=st.integers(1, 5))
    def poll(self, pick, limit):
        self.compare(self.copies[self.person(pick)], limit)

    @rule()
    def turn(self):
        self.driven.turn()

    @rule(pick=picks)
    def reconnect(self, pick):
        copy = self.live[self.person(pick)]
        if copy.stream is None:
            copy.connect()
        else:
            copy.disconnect()

    @rule(pick=picks)
    def load_anew(self, pick):
        """Take a cursor and connect, load a snapshot, then go on with the frames."""
        person = self.person(pick)
        self.live[person].disconnect()
        copy = self.live[person] = LiveCopy(person, self.driven)
        copy.state = {}
        copy.connect()
        copy.load()

    @rule(pick=picks)
    def follow(self, pick):
        self.compare_live(self.live[self.person(pick)])

    def compare(self, copy: Copy, limit: int) -> None:
        if copy.state is None:
            copy.load()
        copy.poll(limit)
        copy.check()

    def compare_live(self, copy: LiveCopy) -> None:
        if copy.stream is None:
            copy.connect()
        self.driven.turn()
        copy.take()
        copy.check()

    def compare_all(self) -> None:
        for person in self.people:
            self.compare(self.copies[person], 100)
            self.compare_live(self.live[person])


@pytest.mark.django_db
def test_state_kept_by_events_equals_state_fetched():
    run_state_machine_as_test(
        Program,
        settings=settings(
            max_examples=12,
            stateful_step_count=30,
            deadline=None,
            database=None,
            suppress_health_check=list(HealthCheck),
            phases=[Phase.generate],  # to shrink a failure takes minutes: add it then
        ),
    )
