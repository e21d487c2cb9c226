"""Answers end by their bytes as well as by their rows, and go on where they ended."""

import json
from itertools import chain

import pytest

from chats.models import Conversation, Event, Message
from chats.realtime import log, streams
from chats.services import conversations
from chats.web import sizes
from chats.web.sizes import PAGE_BYTES, count_fitting, fitting
from tests.support.factories import start
from tests.support.searches import follow, pages

LONG = "\N{GRINNING FACE}" * 10_000  # 40 kB
CONTROL = "\x01" * 10_000  # 60 kB in JSON
MOST = PAGE_BYTES + 61_000  # the last row is the one that passes it


def fill(conversation: Conversation, sender, count: int, body: str = LONG) -> None:
    """Store messages of one body, with their events."""
    first = conversation.last_seq + 1
    made = Message.objects.bulk_create(
        Message(
            conversation=conversation,
            seq=seq,
            sender=sender,
            message_body=body,
            sent_at=conversation.touch(),
        )
        for seq in range(first, first + count)
    )
    conversation.last_seq, conversation.last_message = made[-1].seq, made[-1]
    conversation.save()
    conversation.participations.update(has_unread=True)
    Event.objects.append(
        *(
            Event(
                type=Event.Type.MESSAGE_CREATED,
                conversation_id=conversation.pk,
                message_id=message.pk,
                actor_id=sender.pk,
            )
            for message in made
        )
    )


@pytest.fixture
def wordy(alice, bob, conversation) -> Conversation:
    """40 messages of 40 kB each."""
    fill(conversation, bob, 40)
    return conversation


def seqs(found: list[list[dict]]) -> list[int]:
    return [message["seq"] for message in chain(*found)]


@pytest.mark.parametrize("ordering", ["seq", "-seq"])
@pytest.mark.parametrize(
    "query",
    [
        "conversation_id={}",
        "conversation_id={}&sent_after=2000-01-01T00:00:00Z",
        "unread=true",
        "search=%F0%9F%98%80",
        "search=%F0%9F%98%80&conversation_id={}",
    ],
)
def test_page_of_long_messages_ends_early_and_goes_on(as_alice, wordy, query, ordering):
    query = query.replace("{}", str(wordy.pk))
    url = f"/api/messages/?page_size=200&ordering={ordering}&{query}"

    assert len(as_alice.get(url).content) < MOST
    found = pages(as_alice, url)
    assert [len(page) for page in found] == [13, 13, 13, 1]
    rising = list(range(1, 41))
    assert seqs(found) == (rising if ordering == "seq" else rising[::-1])


def test_size_of_a_page_is_that_of_its_json(as_alice, bob, conversation):
    fill(conversation, bob, 12, CONTROL)

    response = as_alice.get(f"/api/messages/?conversation_id={conversation.pk}")

    assert [len(response.json()["results"]), len(response.content) < MOST] == [9, True]


def test_page_has_one_row_at_least(as_alice, wordy, monkeypatch):
    monkeypatch.setattr(sizes, "PAGE_BYTES", 1)

    found = follow(as_alice, "/api/messages/?page_size=200", "next")

    assert [len(page["results"]) for page in found] == [1] * 40


def test_conversation_shows_fewer_messages_where_they_are_long(as_alice, wordy):
    response = as_alice.get(f"/api/conversations/{wordy.pk}/")

    shown = [message["seq"] for message in response.json()["messages"]]
    assert shown == list(range(40, 27, -1))
    older = f"/api/messages/?conversation_id={wordy.pk}&before_seq={shown[-1]}"
    assert as_alice.get(older).json()["results"][0]["seq"] == 27


def test_list_of_conversations_ends_early_and_goes_on(as_alice, alice, bob):
    for _ in range(30):
        fill(start(alice, bob), bob, 1)
    url = "/api/conversations/?page_size=200"

    assert len(as_alice.get(url).content) < MOST
    found = pages(as_alice, url)
    assert [len(page) for page in found] == [13, 13, 4]
    assert len({item["conversation_id"] for item in chain(*found)}) == 30


def test_page_of_events_ends_early_and_goes_on(as_alice, alice, wordy, monkeypatch):
    monkeypatch.setattr(log, "RENDERED", 7)
    cursor, found = "1-0", []
    while True:
        response = as_alice.get(f"/api/events/?after={cursor}&limit=1000")
        assert len(response.content) < MOST
        page = response.json()
        found.append(page["events"])
        if not page["more"]:
            break
        cursor = page["cursor"]

    assert [len(events) for events in found] == [13, 13, 13, 2]
    messages = [
        event["message"]["seq"] for event in chain(*found) if "message" in event
    ]
    assert messages == list(range(1, 41))


def test_renames_under_a_long_message_are_counted_too(as_alice, alice, wordy):
    for number in range(20):
        conversations.rename_conversation(alice, wordy.pk, title=f"Title {number}")

    page = as_alice.get("/api/events/?after=1-41&limit=1000")

    assert len(page.content) < MOST
    assert (len(page.json()["events"]), page.json()["more"]) == (13, True)


def test_piece_of_a_streams_backlog_is_bounded(alice, wordy):
    piece = streams.backlog(alice.pk, 0)
    read = [piece]
    while read[-1].has_more:
        read.append(streams.backlog(alice.pk, read[-1].position))

    assert all(len(piece.body) < MOST for piece in read)
    lines = b"".join(piece.body for piece in read).splitlines()
    datas = [json.loads(line[6:]) for line in lines if line.startswith(b"data: ")]
    told = [data["message"]["seq"] for data in datas if "message" in data]
    assert told == list(range(1, 41))


def test_short_rows_are_not_measured(monkeypatch):
    monkeypatch.setattr(sizes, "to_json", None)

    assert fitting([{"message_body": "x" * 70}] * 200) == 200
    assert fitting([{"title": "x", "participant_count": 1000}] * 50) == 50


@pytest.mark.parametrize(
    ("given", "count"),
    [([], 0), ([1], 1), ([PAGE_BYTES + 1, 1], 1), ([PAGE_BYTES, 1, 1], 2)],
)
def test_page_ends_with_the_row_that_passes_its_size(given, count):
    assert count_fitting(given) == count
