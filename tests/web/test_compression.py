"""Large answers are compressed for those who ask for it; small and streamed are not."""

import gzip
import json

import httpx
import pytest

from chats.services.messages import send_message
from chats.web import compression
from chats.web.compression import accepts_gzip, compressed
from tests.support.servers import Follower, serving_in_thread, token_of

MESSAGES, GZIP = "/api/messages/", {"HTTP_ACCEPT_ENCODING": "gzip, deflate, br"}


@pytest.fixture
def _many(alice, conversation):
    for number in range(20):
        send_message(alice, conversation.pk, message_body=f"Message {number}")


@pytest.mark.parametrize(
    ("header", "accepted"),
    [
        ("gzip", True),
        ("gzip, deflate, br, zstd", True),
        ("br,GZIP", True),
        ("deflate, gzip;q=0.5", True),
        ("gzip ; q=1.0, *;q=0", True),
        ("", False),
        ("br", False),
        ("identity", False),
        ("gzip;q=0", False),
        ("br, gzip; q=0.000", False),
        ("xgzip", False),
    ],
)
def test_gzip_is_accepted_where_the_header_says_so(header, accepted):
    assert accepts_gzip(header) is accepted


def test_compressed_body_is_the_same_and_of_another_length_each_time():
    body = b"all work and no play " * 1000
    answers = [compressed(body) for _ in range(100)]
    assert {gzip.decompress(answer) for answer in answers} == {body}
    lengths = {len(answer) for answer in answers}
    assert len(lengths) > 10
    assert max(lengths) - min(lengths) <= compression.PADDING + 1


@pytest.mark.usefixtures("_many")
def test_large_answer_is_compressed(as_alice):
    plain = as_alice.get(MESSAGES)
    packed = as_alice.get(MESSAGES, **GZIP)

    assert gzip.decompress(packed.content) == plain.content
    assert len(plain.content) > 4 * len(packed.content)
    assert packed.headers["Content-Encoding"] == "gzip"
    assert packed.headers["Content-Length"] == str(len(packed.content))
    assert "Content-Encoding" not in plain.headers
    for answer in (plain, packed):
        assert "Accept-Encoding" in answer.headers["Vary"]
        assert answer.headers["Cache-Control"] == "no-store"


@pytest.mark.usefixtures("_many")
def test_head_tells_that_the_answer_would_be_compressed(as_alice):
    head = as_alice.head(MESSAGES, **GZIP)
    assert head.headers["Content-Encoding"] == "gzip"


def test_small_answer_is_sent_as_it_is(as_alice, conversation):
    answer = as_alice.get("/api/conversations/", **GZIP)
    assert "Content-Encoding" not in answer.headers
    assert answer.json()["results"][0]["title"] == "Plans"


def test_etag_of_a_compressed_answer_is_weak_and_still_good(client, db):
    packed = client.get("/api/schema/", **GZIP)
    etag = packed.headers["ETag"]
    assert etag.startswith('W/"')
    again = client.get("/api/schema/", HTTP_IF_NONE_MATCH=etag, **GZIP)
    assert (again.status_code, again.content) == (304, b"")
    assert "Content-Encoding" not in again.headers


@pytest.mark.usefixtures("_many")
def test_export_is_streamed_as_it_is(anonymous, alice):
    asked = {"HTTP_AUTHORIZATION": token_of(alice)["Authorization"]} | GZIP
    answer = anonymous.get("/api/users/me/export/", **asked)
    lines = b"".join(answer.streaming_content).splitlines()
    assert json.loads(lines[-1]) == {"type": "end"}
    assert "Content-Encoding" not in answer.headers


@pytest.mark.django_db(transaction=True)
def test_backlog_of_a_stream_is_sent_as_it_is(transactional_db, alice, conversation):
    first = httpx.Headers(token_of(alice))
    with serving_in_thread() as server:
        asked = {"headers": first, "timeout": 10}
        cursor = httpx.get(f"{server.url}/api/events/", **asked).json()["cursor"]
        for number in range(20):
            send_message(alice, conversation.pk, message_body=f"Message {number}")
        with Follower(server, dict(first), last_event_id=cursor) as follower:
            events = follower.take(20)
            headers = follower.response.headers

    assert [event["message"]["seq"] for event in events] == list(range(1, 21))
    assert "Content-Encoding" not in headers
    assert follower.response.request.headers["Accept-Encoding"].startswith("gzip")
