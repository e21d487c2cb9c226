"""The bridge: what is left of a request when its answer has been taken."""

import gc
import json
import weakref
from collections.abc import Iterator

import pytest
from django.http import HttpResponse, StreamingHttpResponse
from rest_framework.views import APIView

from chats.models import Conversation, User
from chats.server.bridge import CHUNK, Exchange, environ_of
from messaging_app.wsgi import application
from tests.support.servers import scope_of, token_of

NOBODYS = "/api/messages/018f0000-0000-7000-8000-000000000000/"


@pytest.fixture
def _no_garbage_collection() -> Iterator[None]:
    gc.disable()
    yield
    gc.enable()


@pytest.fixture
def made(monkeypatch) -> list[weakref.ref]:
    """Refers to the views and requests that there are from now on."""
    found: list[weakref.ref] = []
    initialize_request = APIView.initialize_request

    def noting(view: APIView, request, *args, **kwargs):
        wrapped = initialize_request(view, request, *args, **kwargs)
        found.extend(map(weakref.ref, (view, request, wrapped)))
        return wrapped

    monkeypatch.setattr(APIView, "initialize_request", noting)
    return found


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("_no_garbage_collection")
@pytest.mark.parametrize(
    ("method", "path", "headers", "text", "status"),
    [
        ("GET", "/api/messages/", {}, "", 200),
        ("GET", "/api/conversations/", {}, "", 200),
        ("POST", "/api/messages/", {}, "Hello", 201),
        ("POST", "/api/messages/", {}, "", 400),
        ("GET", "/api/messages/", {"Authorization": "Token of nobody"}, "", 401),
        ("GET", NOBODYS, {}, "", 404),
        ("PUT", "/api/messages/", {}, "", 405),
        ("GET", "/api/events/", {}, "", 200),
        ("GET", "/api/events/", {"Accept": "text/event-stream"}, "", 200),
    ],
)
def test_answer_and_what_made_it_are_freed_when_it_has_been_taken(
    method, path, headers, text, status, bob: User, conversation: Conversation, made
):
    headers = {"Content-Type": "application/json", **token_of(bob), **headers}
    encoded = [(name.encode(), value.encode()) for name, value in headers.items()]
    scope = scope_of(path, headers=encoded, method=method)
    body = {"conversation": str(conversation.pk), "message_body": text}
    exchange = Exchange(application, environ_of(scope, json.dumps(body).encode()))

    exchange.begin()

    assert (exchange.status, exchange.finished, len(made)) == (status, True, 3)
    made.append(weakref.ref(exchange._result))
    del exchange
    assert [thing() for thing in made] == [None] * 4


@pytest.mark.django_db  # the end of a request looks after its connections
@pytest.mark.parametrize(
    ("response", "pieces"),
    [
        (HttpResponse([b"a" * CHUNK, b"b"]), [CHUNK + 1]),
        (StreamingHttpResponse([b"a" * CHUNK, b"b"]), [CHUNK, 1]),
    ],
)
def test_only_what_is_streamed_is_taken_in_pieces(response, pieces):
    """A long page waited, in memory and uncounted, for its caller's second turn."""
    exchange = Exchange(lambda environ, start: response, {})

    found = [len(exchange.begin())]
    while not exchange.finished:
        found.append(len(exchange.next()))

    assert found == pieces
