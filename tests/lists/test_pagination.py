"""Cursor pagination: every row once, in order, whatever happens between pages."""

import base64
import json
import uuid
from datetime import timedelta
from itertools import chain
from urllib.parse import parse_qs, urlsplit

import pytest

from chats.models import Conversation, Message, Participant, User
from chats.models.participants import hour_of
from chats.services import conversations
from tests.support.bulk import NOON, crowd, fill, tied
from tests.support.factories import UserFactory, send, start

ROWS = 500
UNEVEN = 37  # 500 rows make 13 whole pages and one of 19


def messages_in_two(alice: User, bob: User) -> tuple[str, str]:
    """250 messages in each of two conversations, and some of others."""
    for _ in range(2):
        fill(start(alice, bob), bob, ROWS // 2)
    fill(start(bob), bob, 20)
    return "/api/messages/", "message_id"


def messages_in_one(alice: User, bob: User) -> tuple[str, str]:
    conversation = start(alice, bob)
    fill(conversation, bob, ROWS)
    fill(start(alice, bob), bob, 20)
    return f"/api/messages/?conversation_id={conversation.pk}", "message_id"


def conversation_list(alice: User, bob: User) -> tuple[str, str]:
    made = Conversation.objects.bulk_create(
        Conversation(owner=bob, participant_count=1, updated_at=tied(number))
        for number in range(ROWS + 20)
    )
    Participant.objects.bulk_create(
        Participant(user=alice, conversation=item, active_hour=hour_of(item.updated_at))
        for item in made[:ROWS]
    )
    return "/api/conversations/", "conversation_id"


def participant_list(alice: User, bob: User) -> tuple[str, str]:
    conversation = start(alice, *crowd(ROWS - 1))
    start(alice, bob)
    return f"/api/conversations/{conversation.pk}/participants/", "user_id"


def in_order(url: str) -> list[str]:
    """Return the ids that a list must show, in their order."""
    route, _, query = url.partition("?")
    one = {key: values[0] for key, values in parse_qs(query).items()}
    sign = "" if one.get("ordering") == "seq" else "-"
    mine = Message.objects.filter(conversation__participants__username="alice")
    if "participants" in route:
        rows = Participant.objects.filter(conversation__participants__username="alice")
        rows = rows.filter(conversation=route.split("/")[3]).order_by("id")
        return [str(pk) for pk in rows.values_list("user_id", flat=True)]
    if route == "/api/conversations/":
        rows = Conversation.objects.filter(participants__username="alice")
        rows = rows.order_by("-updated_at", "-conversation_id")
    elif "conversation_id" in one:
        rows = mine.filter(conversation=one["conversation_id"]).order_by(f"{sign}seq")
    else:
        rows = mine.order_by(f"{sign}sent_at", f"{sign}message_id")
    return [str(pk) for pk in rows.values_list("pk", flat=True)]


def sized(url: str, size: int) -> str:
    return f"{url}{'&' if '?' in url else '?'}page_size={size}"


def walk(client, url: str | None, key: str, link: str = "next") -> list[list[str]]:
    """Return the ids on each page, following the link to the end."""
    pages = []
    while url:
        body = client.get(url).json()
        pages.append([row[key] for row in body["results"]])
        url = body[link]
    return pages


def last_page(client, url: str) -> str:
    """Return the address of the last page."""
    while following := client.get(url).json()["next"]:
        url = following
    return url


LISTS = {
    "messages": (messages_in_two, ""),
    "messages, oldest first": (messages_in_two, "?ordering=seq"),
    "messages of one": (messages_in_one, ""),
    "messages of one, oldest first": (messages_in_one, "&ordering=seq"),
    "conversations": (conversation_list, ""),
    "participants": (participant_list, ""),
}


@pytest.fixture(params=LISTS.values(), ids=LISTS.keys())
def listed(request, alice, bob) -> tuple[str, str]:
    """A list of 500 rows: its address and the name of its rows' id."""
    make, query = request.param
    url, key = make(alice, bob)
    return url + query, key


def test_pages_forward_and_back_have_each_row_once_in_order(listed, as_alice):
    url, key = listed
    wanted = in_order(url)

    forward = walk(as_alice, sized(url, UNEVEN), key)
    end = last_page(as_alice, sized(url, 200))
    back = walk(as_alice, end, key, "previous")

    assert len(wanted) == ROWS
    assert list(chain(*forward)) == wanted
    assert [len(page) for page in forward] == [37] * 13 + [19]
    assert list(chain(*reversed(back))) == wanted
    assert [len(page) for page in back] == [100, 200, 200]


def test_pages_turn_back_to_the_page_before(listed, as_alice):
    url, _ = listed
    first = as_alice.get(sized(url, UNEVEN)).json()
    second = as_alice.get(first["next"]).json()
    third = as_alice.get(second["next"]).json()

    back_at_second = as_alice.get(third["previous"]).json()
    back_at_first = as_alice.get(back_at_second["previous"]).json()

    assert back_at_second == second | {"previous": back_at_second["previous"]}
    assert back_at_first == first
    assert as_alice.get(back_at_first["next"]).json() == second


@pytest.mark.parametrize("count", [0, 1, 2, 3])
@pytest.mark.parametrize("size", [1, 2, 3])
def test_links_are_null_at_the_ends(size, count, as_alice, alice, bob):
    conversation = start(alice, bob)
    for _ in range(count):
        send(bob, conversation)
    url = sized("/api/messages/", size)

    pages = walk(as_alice, url, "seq")
    end = as_alice.get(last_page(as_alice, url)).json()

    newest_first = list(range(count, 0, -1))
    assert pages == [
        newest_first[at : at + size] for at in range(0, max(count, 1), size)
    ]
    assert as_alice.get(url).json()["previous"] is None
    assert end["next"] is None
    assert (end["previous"] is None) == (count <= size)


def send_newest(sender: User, other: User) -> None:
    """Send a message whose time is after all that ``fill`` has made."""
    made = start(other, sender)
    Conversation.objects.filter(pk=made.pk).update(updated_at=NOON + timedelta(days=1))
    send(sender, made)


def test_rows_that_arrive_at_the_top_shift_no_page(as_alice, alice, bob):
    url, key = messages_in_two(alice, bob)
    wanted, shown = in_order(url), []
    page = sized(url, 50)

    while page:
        body = as_alice.get(page).json()
        shown += [row[key] for row in body["results"]]
        page = body["next"]
        send_newest(bob, alice)

    assert shown == wanted
    assert in_order(url)[10:] == wanted


def test_rows_that_arrive_at_the_end_are_met_there(as_alice, alice, bob):
    conversation = start(alice, bob)
    fill(conversation, bob, 100)
    Conversation.objects.filter(pk=conversation.pk).update(
        last_seq=100, last_message=conversation.messages.get(seq=100)
    )
    page = f"/api/messages/?conversation_id={conversation.pk}&ordering=seq&page_size=30"
    shown = []

    while page:
        body = as_alice.get(page).json()
        shown += [row["seq"] for row in body["results"]]
        page = body["next"]
        if len(shown) < 100:
            send(bob, conversation)

    assert shown == list(range(1, 104))


def test_new_rows_are_found_by_turning_back(as_alice, alice, bob):
    conversation = start(alice, bob)
    for _ in range(4):
        send(bob, conversation)
    first = as_alice.get("/api/messages/?page_size=2").json()
    second = as_alice.get(first["next"]).json()
    for _ in range(3):
        send(bob, conversation)

    pages = walk(as_alice, second["previous"], "seq", "previous")

    assert pages == [[4, 3], [6, 5], [7]]


def test_a_row_at_the_edge_may_go_between_pages(as_alice, alice, bob):
    for _ in range(6):
        start(alice, bob)
    first = as_alice.get("/api/conversations/?page_size=2").json()
    wanted = in_order("/api/conversations/")
    conversations.delete_conversation(alice, uuid.UUID(wanted[1]))

    pages = walk(as_alice, first["next"], "conversation_id")

    assert list(chain(*pages)) == wanted[2:]


def test_links_keep_the_filters_and_the_size(as_alice, alice, bob):
    conversation = start(alice, bob)
    for _ in range(3):
        send(bob, conversation)
    query = {
        "conversation_id": [str(conversation.pk)],
        "ordering": ["seq"],
        "page_size": ["1"],
        "search": ["Héllo & good"],
    }
    Message.objects.update(message_body="Héllo & good bye")

    first = as_alice.get("/api/messages/", {k: v[0] for k, v in query.items()}).json()
    second = as_alice.get(first["next"]).json()

    assert [row["seq"] for row in second["results"]] == [2]
    for link in (first["next"], second["next"], second["previous"]):
        address = urlsplit(link)
        found = parse_qs(address.query)
        assert (address.scheme, address.netloc) == ("http", "testserver")
        assert found.pop("cursor") != []
        assert found == query


def test_a_page_has_50_rows_unless_asked(as_alice, alice, bob):
    fill(start(alice, bob), bob, 201)

    sizes = [
        len(as_alice.get(f"/api/messages/{query}").json()["results"])
        for query in ("", "?page_size=1", "?page_size=200")
    ]

    assert sizes == [50, 1, 200]


LIST_URLS = ["/api/messages/", "/api/conversations/", "/api/users/"]
LIST_URLS += ["/api/auth/tokens/", "/api/auth/sessions/"]
BAD_SIZES = ["0", "201", "-1", "x", "1.5", "1e2", "%201", "²", "9" * 5000]
BAD_SIZES += ["%00", "%D9%A3", "0x10"]


@pytest.mark.parametrize("url", LIST_URLS)
def test_a_bad_page_size_is_named(url, as_alice):
    for size in BAD_SIZES:
        response = as_alice.get(f"{url}?page_size={size}")

        error = {"page_size": ["Must be a whole number from 1 to 200."]}
        assert (response.status_code, response.json()) == (400, error), size


# --- Cursors -------------------------------------------------------------------


def forged(*parts: object) -> str:
    text = json.dumps(parts)
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


ID = str(uuid.UUID(int=1))
NEWEST = "-sent_at,-message_id"
BAD_CURSORS = {
    "garbage": "garbage",
    "not base64": "%C3%A9!",
    "one letter": "A",
    "not JSON": base64.urlsafe_b64encode(b"x").decode(),
    "not UTF-8": base64.urlsafe_b64encode(b"\xff\xfe").decode(),
    "a number": base64.urlsafe_b64encode(b"1").decode(),
    "an object": base64.urlsafe_b64encode(b'{"a": 1}').decode(),
    "nested deeply": base64.urlsafe_b64encode(b"[" * 5000).decode(),
    "nothing": forged(),
    "no values": forged(0, NEWEST),
    "one value": forged(0, NEWEST, str(NOON)),
    "three values": forged(0, NEWEST, str(NOON), ID, ID),
    "another direction": forged(2, NEWEST, str(NOON), ID),
    "another order": forged(0, "sent_at,message_id", str(NOON), ID),
    "another column": forged(0, "-seq", "1"),
    "hidden column": forged(0, "-sender__password", "a"),
    "no time": forged(0, NEWEST, "noon", ID),
    "no such day": forged(0, NEWEST, "2030-02-30 12:00:00+00:00", ID),
    "a time without offset": forged(0, NEWEST, "2030-01-01 12:00:00", ID),
    "a date": forged(0, NEWEST, "2030-01-01", ID),
    "before the first time": forged(0, NEWEST, "0001-01-01T00:00:00+14:00", ID),
    "after the last time": forged(0, NEWEST, "9999-12-31T23:59:59-14:00", ID),
    "no id": forged(0, NEWEST, str(NOON), "x"),
    "a number as id": forged(0, NEWEST, str(NOON), 5),
    "null as time": forged(0, NEWEST, None, ID),
    "surrogate": forged(0, NEWEST, str(NOON), "\ud800"),
}


INVALID = (400, {"cursor": ["Invalid cursor."]})


def test_a_bad_cursor_is_named(as_alice):
    for name, cursor in BAD_CURSORS.items():
        response = as_alice.get(f"/api/messages/?cursor={cursor}")

        assert (response.status_code, response.json()) == INVALID, name


# Each list, the column that its cursors name, and values that no cursor has.
BAD_VALUES = {
    "/api/messages/?conversation_id=<id>&": (
        "-seq",
        ["x", "-1", "1.5", "", str(2**63), "9" * 5000],
    ),
    "/api/conversations/<id>/participants/?": (
        "id",
        ["x", str(2**63), str(-(2**63) - 1)],
    ),
    "/api/users/?": ("username", ["a\0", "\ud800", "a b", "a" * 151]),
}


@pytest.mark.parametrize("url", BAD_VALUES)
def test_a_cursor_of_a_value_that_cannot_be_is_named(url, as_alice, conversation):
    column, values = BAD_VALUES[url]
    url = url.replace("<id>", str(conversation.pk))
    for value in values:
        response = as_alice.get(f"{url}cursor={forged(0, column, value)}")

        assert (response.status_code, response.json()) == INVALID, value


def test_a_cursor_of_one_list_is_refused_by_every_other(as_alice, alice, bob):
    conversation = start(alice, bob)
    UserFactory()
    for _ in range(2):
        send(bob, conversation)
        start(alice, bob)
    one = f"/api/messages/?conversation_id={conversation.pk}"
    lists = [
        "/api/users/",
        "/api/conversations/",
        f"/api/conversations/{conversation.pk}/participants/",
        "/api/messages/",
        "/api/messages/?ordering=seq",
        one,
        f"{one}&ordering=seq",
    ]
    cursors = {}
    for url in lists:
        link = as_alice.get(sized(url, 1)).json()["next"]
        cursors[url] = parse_qs(urlsplit(link).query)["cursor"][0]

    answers = {
        (url, of): as_alice.get(f"{sized(url, 1)}&cursor={cursor}").status_code
        for url in lists
        for of, cursor in cursors.items()
    }

    assert answers == {
        (url, of): 200 if url == of else 400 for url in lists for of in lists
    }


def test_by_conversation_shares_its_cursors_with_the_list(as_alice, alice, bob):
    conversation = start(alice, bob)
    for _ in range(3):
        send(bob, conversation)
    query = f"?conversation_id={conversation.pk}&page_size=2"
    link = as_alice.get(f"/api/messages/by_conversation/{query}").json()["next"]

    cursor = parse_qs(urlsplit(link).query)["cursor"][0]
    body = as_alice.get(f"/api/messages/{query}&cursor={cursor}").json()

    assert [row["seq"] for row in body["results"]] == [1]


def test_a_cursor_of_another_person_shows_nothing_of_theirs(
    as_alice, as_mallory, alice, bob, mallory
):
    hers = start(alice, bob)
    for _ in range(3):
        send(bob, hers)
    mine = send(mallory, start(mallory))
    link = as_alice.get("/api/messages/?page_size=1").json()["next"]

    body = as_mallory.get(link).json()
    back = as_mallory.get(body["previous"] or "/api/messages/").json()

    shown = [row["message_id"] for row in body["results"] + back["results"]]
    assert set(shown) <= {str(mine.pk)}
