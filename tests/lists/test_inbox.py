"""The lists of a person's conversations and messages are those of a plain query."""

import random
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import chain
from urllib.parse import urlencode

import pytest

from chats.lists.inbox import Inbox
from chats.models import Conversation, Message, Participant, User
from chats.models.participants import hour_of
from chats.services import conversations
from tests.support.factories import UserFactory, send, start

START = datetime(2026, 1, 1, tzinfo=UTC)
SEEDS = pytest.mark.parametrize("seed", range(6))
MINUTES = 600  # ten hours, in which all of it happens


class World:
    """Conversations of random people, with random messages; alice in many of them."""

    def __init__(self, alice: User, seed: int):
        self.draw = random.Random(seed)
        self.alice = alice
        self.people = [alice, *(UserFactory() for _ in range(4))]
        for _ in range(self.draw.choice([0, 3, 25, 60])):
            self.converse()

    def converse(self) -> None:
        draw = self.draw
        present = draw.sample(self.people, draw.randint(1, 4))
        moments = sorted(draw.sample(range(MINUTES), draw.choice([0, 1, 2, 9])))
        times = [START + timedelta(minutes=minute) for minute in moments]
        active_at = times[-1] if times else START
        if draw.random() < 0.3:  # a rename
            active_at += timedelta(minutes=draw.randrange(MINUTES))
        made = Conversation(owner=present[0], updated_at=active_at)
        said = [
            # Of anybody: they may have left since.
            Message(
                conversation=made,
                seq=seq,
                sender=draw.choice(self.people),
                message_body="Hello",
                sent_at=sent_at,
            )
            for seq, sent_at in enumerate(times, start=1)
        ]
        made.participant_count, made.last_seq = len(present), len(said)
        made.last_message = said[-1] if said else None
        made.save(force_insert=True)
        Message.objects.bulk_create(said)
        for person in present:
            read = draw.choice([0, len(said), draw.randint(0, len(said))])
            Participant.objects.create(
                conversation=made,
                user=person,
                last_read_seq=read,
                has_unread=read < len(said),
                active_hour=hour_of(active_at),
            )

    def cursors(self) -> dict:
        mine = Participant.objects.filter(user=self.alice)
        return dict(mine.values_list("conversation_id", "last_read_seq"))

    def some_time(self) -> datetime:
        return START + timedelta(minutes=self.draw.randrange(MINUTES))


def ids_of(call: Callable, url: str, key: str) -> list[list[str]]:
    """Return the ids on each page, from the first to the last."""
    pages = []
    while url:
        body = call(url).json()
        pages.append([row[key] for row in body["results"]])
        last, url = body, body["next"]
    backwards = [pages[-1]]
    while url := last["previous"]:
        last = call(url).json()
        backwards.append([row[key] for row in last["results"]])
    assert list(chain(*reversed(backwards))) == list(chain(*pages))
    return pages


def question(world: World) -> tuple[dict, list[Message]]:
    """Return some filters of messages, and what they leave of alice's."""
    draw, cursors = world.draw, world.cursors()
    asked, kept = {}, Message.objects.filter(conversation__in=cursors)
    kept = list(kept.order_by("-sent_at", "-message_id"))
    if draw.random() < 0.3:
        sender = draw.choice(world.people)
        asked["sender"] = sender.pk
        kept = [row for row in kept if row.sender_id == sender.pk]
    if draw.random() < 0.4:
        flag = draw.choice(["true", "false"])
        asked["unread"] = flag
        unread = flag == "true"
        kept = [r for r in kept if (r.seq > cursors[r.conversation_id]) == unread]
    if draw.random() < 0.3:
        moment = world.some_time()
        asked["sent_after"] = moment.isoformat()
        kept = [row for row in kept if row.sent_at > moment]
    if draw.random() < 0.3:
        moment = world.some_time()
        asked["sent_before"] = moment.isoformat()
        kept = [row for row in kept if row.sent_at < moment]
    if cursors and draw.random() < 0.3:
        conversation_id = draw.choice(list(cursors))
        asked["conversation_id"] = conversation_id
        kept = [row for row in kept if row.conversation_id == conversation_id]
    if draw.random() < 0.4:
        asked["ordering"] = "seq"
        kept.reverse()
    return asked, kept


def in_pages(rows: list, size: int) -> list[list[str]]:
    ids = [str(row.pk) for row in rows]
    return [ids[at : at + size] for at in range(0, len(ids), size)] or [[]]


@SEEDS
def test_messages_are_those_of_a_plain_query(seed, alice, as_alice):
    world = World(alice, seed)

    for _ in range(12):
        asked, wanted = question(world)
        size = world.draw.choice([1, 4, 50]) if len(wanted) < 20 else 11
        query = urlencode(asked | {"page_size": size})
        pages = ids_of(as_alice.get, f"/api/messages/?{query}", "message_id")
        assert pages == in_pages(wanted, size), query


@SEEDS
def test_conversations_are_those_of_a_plain_query(seed, alice, as_alice):
    world = World(alice, seed)
    cursors = world.cursors()
    mine = list(Conversation.objects.filter(pk__in=cursors))

    for unread in (None, "true", "false"):
        wanted = [
            row
            for row in mine
            if unread in (None, str(row.last_seq > cursors[row.pk]).lower())
        ]
        size = world.draw.choice([3, 7, 50])
        query = urlencode({"page_size": size} | ({"unread": unread} if unread else {}))
        pages = ids_of(as_alice.get, f"/api/conversations/?{query}", "conversation_id")
        assert pages == in_pages(wanted, size), query


# --- What happens between the look and the read --------------------------------


@pytest.fixture
def meanwhile(monkeypatch):
    """Return what sets a function to be called once, between the two statements."""
    original = Inbox._rows_of
    pending = []

    def rows_of(inbox, *args):
        while pending:
            pending.pop()()
        return original(inbox, *args)

    monkeypatch.setattr(Inbox, "_rows_of", rows_of)
    return pending.append


def test_page_is_full_although_a_message_was_sent_meanwhile(
    as_bob, alice, bob, meanwhile
):
    place = start(alice, bob)
    sent = [send(alice, place) for _ in range(4)]
    meanwhile(lambda: [send(alice, place) for _ in range(2)])

    body = as_bob.get("/api/messages/?page_size=2").json()

    ids = [message["message_id"] for message in body["results"]]
    assert ids == [str(message.pk) for message in sent[:1:-1]]
    assert body["next"] is not None


def test_page_goes_on_although_a_conversation_was_left_meanwhile(
    as_bob, alice, bob, meanwhile
):
    places = [start(alice, bob) for _ in range(3)]
    first, second, _ = [send(alice, place) for place in places]
    meanwhile(
        lambda: conversations.remove_participant(bob, places[2].pk, user_id=bob.pk)
    )

    body = as_bob.get("/api/messages/?page_size=1").json()

    assert body["results"][0]["message_id"] == str(second.pk)
    following = as_bob.get(body["next"]).json()
    assert following["results"][0]["message_id"] == str(first.pk)


def test_oldest_first_leaves_what_was_sent_meanwhile_for_the_next_page(
    as_bob, alice, bob, meanwhile
):
    silent, place = start(alice, bob), start(alice, bob)
    first, late = send(alice, place), []
    meanwhile(lambda: late.extend([send(alice, silent), send(alice, place)]))

    body = as_bob.get("/api/messages/?page_size=1&ordering=seq").json()
    assert [m["message_id"] for m in body["results"]] == [str(first.pk)]
    everything = as_bob.get("/api/messages/?ordering=seq").json()["results"]
    assert [m["message_id"] for m in everything] == [
        str(message.pk) for message in (first, *late)
    ]
