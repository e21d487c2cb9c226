"""The bridge: what is left of a request when its answer has been sent."""

import gc
import json
import weakref
from collections.abc import Iterator

import pytest

from chats.bridge import Exchange, environ_of
from chats.models import Conversation, User
from messaging_app.wsgi import application
from tests.servers import token_of
from tests.test_stream import scope_of


class Witness:
    """Is there as long as the request that it is part of."""


@pytest.fixture
def _no_garbage_collection() -> Iterator[None]:
    gc.disable()
    yield
    gc.enable()


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("_no_garbage_collection")
@pytest.mark.parametrize(
    ("path", "sent", "status"),
    [
        ("/api/messages/", None, 200),
        ("/api/conversations/", None, 200),
        ("/api/messages/", {"message_body": "Hello"}, 201),
        ("/api/messages/", {"message_body": ""}, 400),
        ("/api/messages/018f0000-0000-7000-8000-000000000000/", None, 404),
        ("/api/events/", None, 200),
    ],
)
def test_answer_is_freed_when_it_has_been_sent(
    path, sent, status, bob: User, conversation: Conversation
):
    headers = [(name.encode(), value.encode()) for name, value in token_of(bob).items()]
    headers.append((b"Content-Type", b"application/json"))
    scope = scope_of(path, headers=headers, method="POST" if sent else "GET")
    body = json.dumps(sent and {"conversation": str(conversation.pk), **sent}).encode()
    witness = Witness()
    environ = environ_of(scope, body if sent else b"") | {"tests.witness": witness}
    exchange = Exchange(application, environ)

    exchange.begin()

    answer, request = weakref.ref(exchange._result), weakref.ref(witness)
    assert exchange.status == status
    del exchange, environ, witness
    assert (answer(), request()) == (None, None)
