"""GET /api/events/: pages in JSON, and the stream that ends, as on plain WSGI."""

import json
import uuid
from collections.abc import Iterator

import httpx
import pytest
from django.db import OperationalError, connection
from django.test.utils import CaptureQueriesContext

from chats.models import Conversation, Event, EventLog, Message, User
from chats.realtime import streams
from chats.services import conversations, messages, users
from tests.support import bodies
from tests.support.bodies import participant_body, rfc3339, user_body
from tests.support.factories import UserFactory, send, start
from tests.support.routes import EVENTS as URL
from tests.support.routes import STREAM
from tests.support.servers import Block, blocks_of, session_of, token_of

# What differs by reader, and so is in no event.
PERSONAL = {"is_read", "unread_count", "can"}


def last_id() -> int:
    return Event.objects.last_id()


def page(client, after: int = 0, **query) -> dict:
    """Return the page of a person's events past an id."""
    response = client.get(URL, {"after": f"1-{after}"} | query)
    assert response.status_code == 200
    return response.json()


def kinds(client, after: int = 0) -> list[str]:
    return [event["type"] for event in page(client, after)["events"]]


def stream(client, **headers_or_query) -> list[Block]:
    """Return the blocks of the finite stream."""
    query = {"after": headers_or_query.pop("after", None)}
    query = {name: value for name, value in query.items() if value is not None}
    response = client.get(URL, query, **STREAM, **headers_or_query)
    assert response.status_code == 200
    assert response["Content-Type"] == "text/event-stream; charset=utf-8"
    blocks = list(blocks_of([response.content]))
    # Some clients pass every block on as a message, and parse its data.
    assert all({"event", "data"} <= set(block) for block in blocks)
    return blocks


def head(kind: str, actor: User) -> dict:
    """Return what the newest event of a type begins with, and nothing else."""
    event = Event.objects.filter(type=kind).order_by("-event_id").first()
    return {
        "id": f"1-{event.pk}",
        "type": kind,
        "conversation_id": str(event.conversation_id),
        "created_at": rfc3339(event.created_at),
        "actor_id": str(actor.pk),
    }


def person_body(user: User) -> dict:
    user.refresh_from_db()
    return user_body(user, is_online=user.is_active)


def message_body(message: Message) -> dict:
    message.refresh_from_db()
    return without(bodies.message_body(message), "is_read")


def conversation_body(conversation: Conversation) -> dict:
    conversation.refresh_from_db()
    body = bodies.conversation_body(conversation, conversation.owner)
    if body["last_message"]:
        body["last_message"] = without(body["last_message"], "is_read")
    return without(body, "can", "unread_count", "last_read_seq")


def without(body: dict, *names: str) -> dict:
    return {name: value for name, value in body.items() if name not in names}


def keys_in(body) -> Iterator[str]:
    """Yield every key at any depth."""
    if isinstance(body, dict):
        for key, value in body.items():
            yield key
            yield from keys_in(value)
    if isinstance(body, list):
        for item in body:
            yield from keys_in(item)


# --- Cursors and pages ---------------------------------------------------------


def test_events_without_a_cursor_are_none_and_the_present_cursor(
    as_alice, alice, conversation
):
    send(alice, conversation)

    response = as_alice.get(URL)

    assert response.status_code == 200
    assert response.json() == {
        "events": [],
        "cursor": f"1-{last_id()}",
        "more": False,
    }
    assert response["Cache-Control"] == "no-store"


def test_events_of_an_empty_log_begin_at_zero(as_alice):
    assert as_alice.get(URL).json() == {"events": [], "cursor": "1-0", "more": False}
    assert page(as_alice) == {"events": [], "cursor": "1-0", "more": False}


def test_events_after_a_cursor_are_those_since(as_bob, alice, conversation):
    cursor = as_bob.get(URL).json()["cursor"]
    message = send(alice, conversation)

    response = as_bob.get(URL, {"after": cursor})

    expected = head("message.created", alice) | {"message": message_body(message)}
    assert response.json() == {
        "events": [expected],
        "cursor": expected["id"],
        "more": False,
    }


def test_events_are_followed_page_by_page(as_bob, alice, conversation):
    for _ in range(4):
        send(alice, conversation)
    ids = [
        f"1-{pk}" for pk in Event.objects.order_by("pk").values_list("pk", flat=True)
    ]

    pages = [page(as_bob, limit=2)]
    while pages[-1]["more"]:
        answer = as_bob.get(URL, {"after": pages[-1]["cursor"], "limit": 2})
        pages.append(answer.json())

    assert [[event["id"] for event in item["events"]] for item in pages] == [
        ids[0:2],
        ids[2:4],
        ids[4:5],
    ]
    assert [item["cursor"] for item in pages] == [ids[1], ids[3], ids[4]]


def test_events_exactly_filling_a_page_leave_no_more(as_bob, alice, conversation):
    send(alice, conversation)

    assert page(as_bob, limit=2)["more"] is False


def test_cursor_moves_past_the_events_of_others(as_alice, bob, mallory):
    start(bob, mallory)

    assert page(as_alice) == {"events": [], "cursor": f"1-{last_id()}", "more": False}


def test_cursor_of_a_full_page_stops_at_its_last_event(
    as_alice, alice, bob, mallory, conversation
):
    first = last_id()
    start(bob, mallory)
    send(alice, conversation)

    assert page(as_alice, limit=1)["cursor"] == f"1-{first}"


def test_events_are_a_hundred_unless_told_otherwise(as_alice, alice, conversation):
    for _ in range(101):
        send(alice, conversation)

    answer = page(as_alice)

    assert (len(answer["events"]), answer["more"]) == (100, True)
    assert len(page(as_alice, limit=1000)["events"]) == 102


MALFORMED = [
    "0",
    "1",
    "1-",
    "-1",
    "1--1",
    "1-01",
    "2-1",
    "1-1 ",
    "1-x",
    "1-²",
    "1-٣",
]
MALFORMED += ["1-1\n", "1-1234567890123456789", "1-1.0", "null", "\0", "é", "1-1\x00"]


@pytest.mark.parametrize("cursor", MALFORMED)
@pytest.mark.parametrize("headers", [{}, STREAM], ids=["json", "stream"])
def test_malformed_cursor_is_400(headers, cursor, as_alice):
    response = as_alice.get(URL, {"after": cursor}, **headers)

    assert response.status_code == 400
    assert response["Content-Type"] == "application/json"
    assert response.json() == {"after": ["Invalid cursor."]}


@pytest.mark.parametrize("limit", ["0", "1001", "-1", "x", "1.5", "٣", "1" * 30, "+5"])
def test_limit_out_of_range_is_400(limit, as_alice):
    response = as_alice.get(URL, {"after": "1-0", "limit": limit})

    assert response.status_code == 400
    assert response.json() == {"limit": ["Must be a whole number from 1 to 1000."]}


@pytest.mark.parametrize("ahead", [1, 10**17])
def test_cursor_ahead_of_the_log_is_410(ahead, as_alice, conversation):
    response = as_alice.get(URL, {"after": f"1-{last_id() + ahead}"})

    assert response.status_code == 410
    assert response.json() == {
        "detail": "This cursor is older than the events kept. Reload everything.",
        "code": "gone",
    }


def test_cursor_older_than_what_is_kept_is_410(as_alice, conversation):
    EventLog.objects.create(pruned_through_id=last_id())

    assert as_alice.get(URL, {"after": f"1-{last_id() - 1}"}).status_code == 410
    assert as_alice.get(URL, {"after": f"1-{last_id()}"}).status_code == 200


def test_events_in_another_form_are_406(as_alice):
    assert as_alice.get(URL, HTTP_ACCEPT="text/csv").status_code == 406


@pytest.mark.parametrize("method", ["post", "put", "patch", "delete"])
def test_events_cannot_be_written(method, as_alice):
    assert getattr(as_alice, method)(URL).status_code == 405


# --- Payloads, whole -----------------------------------------------------------


def newest(client, after: int) -> dict:
    """Return the one event since, which has nothing personal."""
    [event] = page(client, after)["events"]
    assert PERSONAL & set(keys_in(event)) == set()
    assert "last_read_seq" not in event.get("conversation", {})
    return event


def test_payload_of_a_message_sent(as_alice, bob, conversation):
    since = last_id()

    message = send(bob, conversation)

    expected = head("message.created", bob) | {"message": message_body(message)}
    assert newest(as_alice, since) == expected


def test_payload_of_a_message_edited(as_alice, bob, conversation):
    message = send(bob, conversation)
    since = last_id()

    messages.edit_message(bob, message.pk, message_body="Edited")

    expected = head("message.updated", bob) | {"message": message_body(message)}
    assert newest(as_alice, since) == expected
    assert expected["message"]["message_body"] == "Edited"
    assert expected["message"]["edited_at"] is not None


def test_payload_of_a_message_deleted(as_bob, alice, bob, conversation):
    message = send(bob, conversation)
    since = last_id()

    messages.delete_message(alice, message.pk)

    expected = head("message.deleted", alice) | {"message": message_body(message)}
    assert newest(as_bob, since) == expected
    assert expected["message"]["message_body"] == ""
    assert expected["message"]["deleted_at"] is not None


def test_payload_of_a_conversation_started(as_bob, alice, bob):
    conversation = start(alice, bob, title="Plans")

    expected = head("conversation.created", alice)
    expected |= {"conversation": conversation_body(conversation)}
    assert newest(as_bob, 0) == expected
    assert expected["conversation"]["last_message"] is None


def test_payload_of_a_conversation_renamed(as_bob, alice, bob, conversation):
    send(bob, conversation)
    since = last_id()

    conversations.rename_conversation(alice, conversation.pk, title="Plan B")

    expected = head("conversation.updated", alice)
    expected |= {"conversation": conversation_body(conversation)}
    assert newest(as_bob, since) == expected
    assert expected["conversation"]["title"] == "Plan B"


def test_payload_of_a_conversation_deleted(as_bob, alice, conversation):
    since = last_id()

    conversations.delete_conversation(alice, conversation.pk)

    assert newest(as_bob, since) == head("conversation.deleted", alice)


def test_payload_of_somebody_joining(as_bob, alice, mallory, conversation):
    send(alice, conversation)
    since = last_id()

    conversations.add_participant(alice, conversation.pk, user_id=mallory.pk)

    assert newest(as_bob, since) == head("participant.added", alice) | {
        "participant": participant_body(mallory.participations.get()),
        "conversation": conversation_body(conversation),
    }


def test_payload_of_somebody_removed(as_alice, alice, bob, conversation):
    since = last_id()

    conversations.remove_participant(alice, conversation.pk, user_id=bob.pk)

    expected = head("participant.removed", alice) | {"participant": person_body(bob)}
    assert newest(as_alice, since) == expected


def test_payload_of_somebody_reading_on(as_alice, alice, bob, conversation):
    send(alice, conversation)
    since = last_id()

    messages.mark_conversation_as_read(bob, conversation.pk)

    assert newest(as_alice, since) == head("read.updated", bob) | {
        "user_id": str(bob.pk),
        "joined_seq": 0,
        "last_read_seq": 1,
    }


def test_payloads_of_an_owner_leaving(as_bob, alice, bob, conversation):
    since = last_id()

    conversations.remove_participant(alice, conversation.pk, user_id=alice.pk)

    removed = head("participant.removed", alice) | {"participant": person_body(alice)}
    changed = head("conversation.updated", alice)
    changed |= {"conversation": conversation_body(conversation)}
    assert page(as_bob, since)["events"] == [removed, changed]
    assert changed["conversation"]["owner"] == str(bob.pk)


def test_events_are_the_same_for_everybody(as_alice, as_bob, alice, bob, conversation):
    message = send(alice, conversation)
    messages.mark_as_read(bob, message.pk)
    conversations.rename_conversation(bob, conversation.pk, title="New")

    assert page(as_alice) == page(as_bob)


# --- Who gets what -------------------------------------------------------------


def test_events_of_others_never_arrive(as_mallory, alice, bob, mallory, conversation):
    own = start(mallory)
    message = send(alice, conversation, "A secret of alice and bob")
    messages.edit_message(alice, message.pk, message_body="Another secret")
    messages.mark_as_read(bob, message.pk)
    conversations.rename_conversation(alice, conversation.pk, title="Secret plans")
    newcomer = UserFactory()
    conversations.add_participant(alice, conversation.pk, user_id=newcomer.pk)
    conversations.remove_participant(alice, conversation.pk, user_id=newcomer.pk)
    messages.delete_message(alice, message.pk)
    conversations.delete_conversation(alice, conversation.pk)

    answer = page(as_mallory)

    assert [event["conversation_id"] for event in answer["events"]] == [str(own.pk)]
    assert "ecret" not in json.dumps(answer)


def test_role_admin_gets_no_events_of_others(as_admin, alice, conversation):
    send(alice, conversation)

    assert kinds(as_admin) == []


def test_newcomer_gets_events_from_their_joining_on(
    as_mallory, alice, mallory, conversation
):
    before = send(alice, conversation, "Before")
    conversations.add_participant(alice, conversation.pk, user_id=mallory.pk)
    messages.edit_message(alice, before.pk, message_body="Edited after")
    send(alice, conversation, "After")

    events = page(as_mallory)["events"]

    assert [event["type"] for event in events] == [
        "participant.added",
        "message.updated",
        "message.created",
    ]
    assert events[2]["message"]["message_body"] == "After"


def test_somebody_removed_gets_the_removal_and_nothing_after(
    as_bob, alice, bob, conversation
):
    since = last_id()
    conversations.remove_participant(alice, conversation.pk, user_id=bob.pk)
    send(alice, conversation, "Secret")
    conversations.rename_conversation(alice, conversation.pk, title="Secret plans")

    events = page(as_bob, since)["events"]

    expected = head("participant.removed", alice) | {"participant": person_body(bob)}
    assert events == [expected]


def test_somebody_removed_while_away_sees_nothing_from_after_it(
    as_bob, alice, bob, mallory, conversation
):
    """The events before the removal show rows as they are now; these they may not."""
    kept = send(alice, conversation, "For bob too")
    changed = send(alice, conversation, "For bob too, at first")
    conversations.rename_conversation(alice, conversation.pk, title="For bob too")
    conversations.add_participant(alice, conversation.pk, user_id=mallory.pk)
    messages.mark_conversation_as_read(mallory, conversation.pk)
    conversations.remove_participant(alice, conversation.pk, user_id=bob.pk)
    messages.edit_message(alice, changed.pk, message_body="A secret")
    send(alice, conversation, "A secret")
    conversations.rename_conversation(alice, conversation.pk, title="Secret plans")
    messages.mark_conversation_as_read(mallory, conversation.pk)

    answer = page(as_bob)

    assert [event["type"] for event in answer["events"]] == [
        "message.created",
        "participant.removed",
    ]
    assert answer["events"][0]["message"] == message_body(kept)
    assert "ecret" not in json.dumps(answer)
    assert answer["cursor"] == f"1-{last_id()}"


def test_somebody_who_came_back_gets_the_events_of_each_stay(
    as_bob, alice, bob, conversation
):
    since = last_id()
    first = send(alice, conversation, "First stay")
    conversations.remove_participant(bob, conversation.pk, user_id=bob.pk)
    send(alice, conversation, "Away")
    conversations.add_participant(alice, conversation.pk, user_id=bob.pk)
    second = send(alice, conversation, "Second stay")
    conversations.remove_participant(alice, conversation.pk, user_id=bob.pk)
    send(alice, conversation, "Away again")

    events = page(as_bob, since)["events"]

    assert [event["type"] for event in events] == [
        "message.created",
        "participant.removed",
        "message.created",
        "participant.removed",
    ]
    got = [events[0]["message"], events[2]["message"]]
    assert got == [message_body(first), message_body(second)]


def test_deleted_conversation_leaves_its_end_only(as_bob, alice, conversation):
    send(alice, conversation)
    conversations.rename_conversation(alice, conversation.pk, title="New")
    conversations.delete_conversation(alice, conversation.pk)

    assert page(as_bob)["events"] == [head("conversation.deleted", alice)]


def test_deleted_conversation_is_no_news_to_who_left_before(
    as_bob, alice, bob, conversation
):
    conversations.remove_participant(bob, conversation.pk, user_id=bob.pk)
    since = last_id()
    conversations.delete_conversation(alice, conversation.pk)

    assert kinds(as_bob, since) == []


def test_deleted_person_is_announced_to_the_others(as_bob, alice, bob, conversation):
    since = last_id()

    users.delete_user(alice, actor=alice)

    removed, changed = page(as_bob, since)["events"]
    expected = head("participant.removed", alice) | {"participant": person_body(alice)}
    assert removed == expected
    assert removed["participant"]["first_name"] == "Deleted"
    assert changed["conversation"]["owner"] == str(bob.pk)


@pytest.mark.parametrize("count", [1, 3, 50])
@pytest.mark.parametrize("headers", [{}, STREAM], ids=["json", "stream"])
def test_events_take_as_many_queries_whatever_their_number(
    headers, count, as_alice, alice, monkeypatch
):
    # On PostgreSQL the ids of events go on from test to test.
    monkeypatch.setattr("chats.realtime.log.SCANNED", 10**9)
    monkeypatch.setattr(streams, "FIRST_PAGE", 1000)
    for _ in range(count):
        bob = UserFactory()
        conversation = start(alice, bob)
        message = send(bob, conversation)
        messages.mark_as_read(alice, message.pk)
        conversations.rename_conversation(alice, conversation.pk, title="New")
        conversations.remove_participant(alice, conversation.pk, user_id=bob.pk)

    with CaptureQueriesContext(connection) as queries:
        response = as_alice.get(URL, {"after": "1-0", "limit": 1000}, **headers)

    assert response.content.count(b'"type":"read.updated"') == count
    # The end, the events, what is kept, five of rows, who left.
    assert len(queries) == 9


# --- The stream that ends ------------------------------------------------------


def test_stream_without_a_cursor_says_where_it_begins(as_alice, alice, conversation):
    send(alice, conversation)

    blocks = stream(as_alice)

    cursor = f"1-{last_id()}"
    data = f'{{"cursor":"{cursor}"}}'
    assert blocks == [{"retry": "1000", "id": cursor, "event": "ready", "data": data}]


def test_stream_answers_what_is_waiting_and_ends(as_bob, alice, conversation):
    since = last_id()
    send(alice, conversation, "One\u2028two\r\nthree")
    send(alice, conversation, "Four")

    blocks = stream(as_bob, after=f"1-{since}")

    events = page(as_bob, since)["events"]
    assert [json.loads(block.pop("data")) for block in blocks] == events
    one, four = ({"id": event["id"], "event": event["type"]} for event in events)
    assert blocks == [{"retry": "1000"} | one, four]


PING = {"event": "ping", "data": "{}"}


def test_stream_of_nothing_new_only_says_when_to_come_back(as_bob, conversation):
    assert stream(as_bob, after=f"1-{last_id()}") == [{"retry": "1000"} | PING]


def test_stream_moves_the_cursor_past_the_events_of_others(
    as_alice, bob, mallory, conversation
):
    since = last_id()
    start(bob, mallory)

    blocks = stream(as_alice, after=f"1-{since}")

    assert blocks == [{"retry": "1000", "id": f"1-{last_id()}"} | PING]


def test_stream_moves_the_cursor_past_the_events_of_others_after_own(
    as_alice, alice, bob, mallory, conversation
):
    since = last_id()
    send(alice, conversation)
    start(bob, mallory)

    _, last = stream(as_alice, after=f"1-{since}")

    assert last == {"id": f"1-{last_id()}"} | PING


def test_stream_resumes_from_last_event_id_rather_than_after(
    as_bob, alice, conversation
):
    send(alice, conversation)
    seen = f"1-{last_id()}"
    send(alice, conversation)

    blocks = stream(as_bob, after="1-0", HTTP_LAST_EVENT_ID=seen)

    assert [block["id"] for block in blocks] == [f"1-{last_id()}"]


@pytest.mark.parametrize("headers", [{}, STREAM], ids=["json", "stream"])
def test_events_resume_from_the_parameter_of_event_source_polyfill(
    headers, as_bob, alice, conversation
):
    """It puts ``lastEventId`` behind the address that it was given."""
    first = f"1-{last_id()}"
    send(alice, conversation)
    seen = f"1-{last_id()}"
    send(alice, conversation)

    alone = as_bob.get(f"{URL}?lastEventId={seen}", **headers)
    behind = as_bob.get(f"{URL}?after={first}&lastEventId={seen}", **headers)
    with_header = as_bob.get(
        f"{URL}?lastEventId={first}", HTTP_LAST_EVENT_ID=seen, **headers
    )

    for response in (alone, behind, with_header):
        assert response.content.count(b'"type":"message.created"') == 1


@pytest.mark.parametrize("cursor", ["5", "1-x"])
@pytest.mark.parametrize("name", ["after", "lastEventId"])
def test_events_from_a_malformed_cursor_are_400_by_the_parameters_name(
    name, cursor, as_bob
):
    response = as_bob.get(URL, {name: cursor})

    assert (response.status_code, response.json()) == (
        400,
        {name: ["Invalid cursor."]},
    )


def test_page_resumes_from_last_event_id_too(as_bob, alice, conversation):
    seen = f"1-{last_id()}"
    send(alice, conversation)

    response = as_bob.get(URL, {"after": "nonsense"}, HTTP_LAST_EVENT_ID=seen)

    got = [event["type"] for event in response.json()["events"]]
    assert got == ["message.created"]


def test_stream_resumed_with_an_empty_last_event_id_uses_after(as_bob, conversation):
    blocks = stream(as_bob, after=f"1-{last_id()}", HTTP_LAST_EVENT_ID="")

    assert blocks == [{"retry": "1000"} | PING]


def test_stream_from_a_malformed_last_event_id_is_400(as_bob):
    response = as_bob.get(URL, HTTP_LAST_EVENT_ID="5", **STREAM)

    assert (response.status_code, response.json()) == (
        400,
        {"after": ["Invalid cursor."]},
    )


@pytest.mark.parametrize("offset", [-1, 1], ids=["too old", "ahead"])
def test_stream_from_a_cursor_that_is_gone_is_reset(offset, as_alice, conversation):
    EventLog.objects.create(pruned_through_id=last_id())

    blocks = stream(as_alice, after=f"1-{last_id() + offset}")

    cursor = f"1-{last_id()}"
    data = f'{{"cursor":"{cursor}"}}'
    assert blocks == [{"retry": "1000", "id": cursor, "event": "reset", "data": data}]


def test_stream_with_more_waiting_asks_to_come_back_at_once(
    as_alice, alice, conversation, monkeypatch
):
    monkeypatch.setattr(streams, "PAGE", 2)
    monkeypatch.setattr(streams, "FIRST_PAGE", 2)
    for _ in range(2):
        send(alice, conversation)

    first = stream(as_alice, after="1-0")
    cursor = first[-1]["id"]
    second = stream(as_alice, after=cursor)

    assert [first[0]["retry"], second[0]["retry"]] == ["0", "1000"]
    assert [block["event"] for block in first + second] == [
        "conversation.created",
        "message.created",
        "message.created",
    ]


def test_stream_says_how_to_be_passed_on(as_alice):
    response = as_alice.get(URL, **STREAM)

    assert response["Cache-Control"] == "no-store, no-transform"
    assert response["X-Accel-Buffering"] == "no"


def test_head_of_a_stream_has_no_body(as_alice):
    response = as_alice.head(URL, **STREAM)

    assert (response.status_code, response.content) == (200, b"")


@pytest.mark.parametrize("headers", [{}, STREAM], ids=["json", "stream"])
def test_events_are_answered_to_pages_of_allowed_origins(headers, as_alice, settings):
    settings.CORS_ALLOWED_ORIGINS = ["https://app.example"]

    allowed = as_alice.get(URL, HTTP_ORIGIN="https://app.example", **headers)
    other = as_alice.get(URL, HTTP_ORIGIN="https://evil.example", **headers)

    assert allowed["Access-Control-Allow-Origin"] == "https://app.example"
    assert allowed["Access-Control-Allow-Credentials"] == "true"
    assert "Access-Control-Allow-Origin" not in other


def test_events_are_throttled(as_alice, settings):
    settings.THROTTLE_RATES = settings.THROTTLE_RATES | {"user": (2, 3600)}

    answers = [as_alice.get(URL) for _ in range(3)]

    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert answers[2].json()["code"] == "throttled"
    assert int(answers[2]["Retry-After"]) > 0


def test_stream_that_is_throttled_says_when_to_come_back(
    as_bob, alice, conversation, settings, django_assert_num_queries
):
    """EventSource gives up for good at 429. To ask again before that gets no more."""
    settings.THROTTLE_RATES = settings.THROTTLE_RATES | {"user": (1, 3600)}
    since = f"1-{last_id()}"
    assert stream(as_bob, after=since) == [{"retry": "1000"} | PING]
    send(alice, conversation)

    for _ in range(2):
        with django_assert_num_queries(0):
            [end] = stream(as_bob, after=since)
        assert end["event"] == "end"
        assert json.loads(end["data"])["code"] == "throttled"
        assert 0 < int(end["retry"]) <= 3_600_000
        assert "id" not in end


def test_stream_of_a_stranger_is_throttled_as_ever(anonymous, settings):
    settings.THROTTLE_RATES = settings.THROTTLE_RATES | {"anon": (1, 3600)}

    statuses = [anonymous.get(URL, **STREAM).status_code for _ in range(3)]

    assert (statuses[0], statuses[-1]) == (401, 429)


def test_stream_asked_for_while_the_database_is_away_says_when_to_come_back(
    as_bob, monkeypatch
):
    def fail(*_: object) -> None:
        raise OperationalError("gone")

    monkeypatch.setattr("chats.api.views.events.opening", fail)

    [end] = stream(as_bob)

    detail = "The database is busy or not answering. Try again."
    assert json.loads(end.pop("data")) == {"code": "unavailable", "detail": detail}
    assert end == {"retry": "1000", "event": "end"}


def test_events_of_an_expired_session_are_401(alice, client):
    response = client.get(URL, HTTP_COOKIE=f"sessionid={uuid.uuid4().hex}", **STREAM)

    assert response.status_code == 401


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("credentials_of", [token_of, session_of])
def test_stream_on_a_wsgi_server_ends_and_is_resumed(
    credentials_of, live_server, alice, conversation
):
    headers = {"Accept": "text/event-stream"} | credentials_of(alice)
    with httpx.Client(base_url=live_server.url, headers=headers) as client:
        first = list(blocks_of([client.get(URL).content]))
        message = send(alice, conversation)
        resumed = client.get(URL, headers={"Last-Event-ID": first[-1]["id"]})

    assert [block["event"] for block in first] == ["ready"]
    [event] = blocks_of([resumed.content])
    assert json.loads(event["data"])["message"] == message_body(message)
    assert event["retry"] == "1000"
