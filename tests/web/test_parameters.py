"""Query parameters of all lists: what is unknown, blank or repeated is refused."""

import pytest
from django.urls import get_resolver
from rest_framework.test import APIClient

from chats.lists.pagination import KeysetPagination
from chats.services.messages import send_message
from tests.support.bodies import no_choice

PAGING = "cursor, page_size"
EVERYWHERE = "format"
OF_MESSAGES = (
    "conversation_id, sender, unread, sent_after, sent_before, after_seq, before_seq,"
    f" search, ordering, conversation, {PAGING}"
)
# Each list and the parameters it knows.
LISTS = {
    "/api/users/": f"search, role, is_online, {PAGING}",
    "/api/conversations/": f"participant, unread, search, {PAGING}",
    "/api/conversations/<id>/participants/": PAGING,
    "/api/messages/": OF_MESSAGES,
    "/api/messages/by_conversation/?conversation_id=<id>": OF_MESSAGES,
    "/api/auth/tokens/": PAGING,
    "/api/auth/sessions/": PAGING,
    "/api/events/": "lastEventId, after, limit",
}
BLANK = ["This parameter may not be blank."]
ONCE = ["Give this parameter once."]


def unknown(known: str) -> list[str]:
    return [f"Unknown parameter. Known here: {known}, {EVERYWHERE}."]


@pytest.fixture
def ask(alice, conversation):
    """Return a function that gets a list as alice, who signed in with a session."""
    client = APIClient()
    client.force_login(alice)

    def get(url: str, query: str, **headers: str):
        url = url.replace("<id>", str(conversation.pk))
        return client.get(f"{url}{'&' if '?' in url else '?'}{query}", headers=headers)

    return get


@pytest.mark.parametrize(("url", "known"), LISTS.items())
def test_unknown_parameter_is_refused_with_those_known(url, known, ask):
    response = ask(url, "offset=5&q=&q=")

    wanted = dict.fromkeys(("offset", "q"), unknown(known))
    assert (response.status_code, response.json()) == (400, wanted)


NAMES = [(url, name) for url, known in LISTS.items() for name in known.split(", ")]


@pytest.mark.parametrize(("url", "name"), NAMES)
def test_blank_parameter_is_refused(url, name, ask):
    if name.startswith("conversation"):
        url = url.partition("?")[0]

    answers = [ask(url, f"{name}={blank}") for blank in ("", "%20", "%09+%E3%80%80")]

    at_fault = {name, "conversation_id"} if name == "conversation" else {name}
    assert [answer.status_code for answer in answers] == [400] * 3
    assert [set(answer.json()) <= at_fault for answer in answers] == [True] * 3


def test_blank_parameter_is_named(ask):
    assert ask("/api/messages/", "sender=&search=%20").json() == {
        "sender": BLANK,
        "search": BLANK,
    }


@pytest.mark.parametrize(
    ("url", "query", "name"),
    [
        ("/api/users/", "search=a&search=b", "search"),
        ("/api/conversations/", "page_size=1&page_size=2", "page_size"),
        ("/api/conversations/", "unread=true&unread=true", "unread"),
        ("/api/messages/", "conversation_id=<id>&conversation_id=<id>", None),
        ("/api/messages/", "conversation=<id>&conversation=<id>", "conversation"),
        ("/api/events/", "limit=1&limit=2", "limit"),
    ],
)
def test_repeated_parameter_is_refused(url, query, name, ask, conversation):
    response = ask(url, query.replace("<id>", str(conversation.pk)))

    wanted = {name or "conversation_id": ONCE}
    assert (response.status_code, response.json()) == (400, wanted)


def test_name_in_bodies_is_another_name_of_the_filter(alice, conversation, ask):
    send_message(alice, conversation.pk, message_body="Hello")
    asked = {
        name: ask(url, f"{name}=<id>".replace("<id>", str(conversation.pk))).json()
        for name in ("conversation_id", "conversation")
        for url in ("/api/messages/", "/api/messages/by_conversation/")
    }

    assert asked["conversation"] == asked["conversation_id"]
    assert [row["message_body"] for row in asked["conversation"]["results"]] == [
        "Hello"
    ]


def test_links_of_pages_repeat_what_was_asked_for(alice, conversation, ask):
    for number in range(3):
        send_message(alice, conversation.pk, message_body=f"Number {number}")

    first = ask("/api/messages/", f"conversation={conversation.pk}&page_size=2").json()
    second = ask(*first["next"].removeprefix("http://testserver").split("?")).json()

    assert [row["seq"] for row in second["results"]] == [1]


def test_form_of_the_browsable_api_may_leave_fields_empty(ask, conversation):
    """A browser sends all fields of a form, the empty ones too."""
    query = "participant=&unread=&search=Plans&page_size=50"

    response = ask("/api/conversations/", query, accept="text/html")

    assert response.status_code == 200
    assert str(conversation.pk) in response.content.decode()
    response = ask("/api/conversations/", "titel=Plans", accept="text/html")
    assert response.status_code == 400
    response = ask("/api/conversations/", "search=Plans&unread=x", accept="text/html")
    assert no_choice("x")[0] in response.content.decode()


def test_every_list_is_in_the_table():
    """By the routes: what is paged, and the events."""
    paged = {
        f"/api/{pattern.pattern}"
        for pattern in _patterns()
        if getattr(getattr(pattern.callback, "cls", None), "pagination_class", None)
        is KeysetPagination
        and _gives_a_list(pattern)
    }
    assert len(paged) + 1 == len(LISTS), paged


def _patterns() -> list:
    api = next(p for p in get_resolver().url_patterns if str(p.pattern) == "api/")
    return list(_flat(api.url_patterns))


def _flat(patterns):
    for pattern in patterns:
        yield from (
            _flat(pattern.url_patterns)
            if hasattr(pattern, "url_patterns")
            else [pattern]
        )


def _gives_a_list(pattern) -> bool:
    actions = getattr(pattern.callback, "actions", None) or {}
    return actions.get("get") in {"list", "by_conversation", "participants"}
