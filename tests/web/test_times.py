"""Times in filters and bodies: exactly those of RFC 3339."""

from datetime import UTC, datetime, timedelta

import pytest
from rest_framework.test import APIClient

from chats.models import AccessToken
from chats.web.times import parse_time
from tests.support.factories import PASSWORD

NO_TIME = ["Must be an RFC 3339 time, such as 2026-11-23T18:00:00Z."]
NOON = datetime(2030, 1, 1, 12, tzinfo=UTC)
NEARLY = NOON.replace(hour=11, minute=59, second=59, microsecond=999_999)

GOOD = {
    "2030-01-01T12:00:00Z": NOON,
    "2030-01-01t12:00:00z": NOON,
    "2030-01-01T14:00:00+02:00": NOON,
    "2030-01-01T07:00:00-05:00": NOON,
    "2030-01-01T12:00:00-00:00": NOON,
    "2030-01-01T12:00:00.000000000Z": NOON,
    "2030-01-01T11:59:59.9999999Z": NEARLY,
    "2030-01-01T11:59:60Z": NOON,
}
BAD = [
    "2030-W01-2T12:00:00Z",
    "2030-W01-2",
    "2030-001T12:00:00Z",
    "20300101T120000Z",
    "2030-01-01",
    "2030-01-01T12:00:00",
    "2030-01-01T12:00Z",
    "2030-01-01 12:00:00Z",
    "2030-01-01T12:00:00,5Z",
    "2030-01-01T12:00:00.Z",
    "2030-01-01T12:00:00+0200",
    "2030-01-01T12:00:00+02",
    "2030-01-01T12:00:00+24:00",
    "2030-01-01T12:00:00+01:00:30",
    "2030-01-01T24:00:00Z",
    "2030-02-30T12:00:00Z",
    "2030-01-01T12:00:61Z",
    "0000-01-01T00:00:00Z",
    "0001-01-01T00:00:00+14:00",
    "9999-12-31T23:59:60Z",
    "10000-01-01T00:00:00Z",
    "2030-01-01T12:00:00Z\n",
    "२०३०-01-01T12:00:00Z",
    "1893499200",
    "now",
]


@pytest.mark.parametrize(("text", "moment"), GOOD.items())
def test_time_is_read_in_utc(text, moment):
    parsed = parse_time(text)
    assert (parsed, parsed.tzinfo) == (moment, UTC)


def test_time_in_a_filter_is_read(as_alice):
    for text in GOOD:
        query = {"sent_after": text, "sent_before": text}
        assert as_alice.get("/api/messages/", query).status_code == 200, text


@pytest.mark.parametrize("name", ["sent_after", "sent_before"])
def test_text_that_is_no_time_in_a_filter_is_400(as_alice, name):
    for text in BAD:
        answer = as_alice.get("/api/messages/", {name: text})
        assert (answer.status_code, answer.json()) == (400, {name: NO_TIME}), text


def test_value_that_is_no_time_in_a_body_is_400(anonymous, alice):
    for value in [*BAD, "", 1893499200, 1.5, True, [], {}]:
        answer = issue(anonymous, value)
        assert answer.status_code == 400, value
        assert answer.json() == {"expires_at": NO_TIME}, value
    assert not AccessToken.objects.exists()


def test_time_in_a_body_is_read(anonymous, alice):
    tomorrow = datetime.now(UTC).replace(microsecond=0) + timedelta(days=1)
    answer = issue(anonymous, f"{tomorrow:%Y-%m-%dt%H:%M:%Sz}")
    assert answer.status_code == 201
    assert AccessToken.objects.get().expires_at == tomorrow


def issue(client: APIClient, expires_at):
    body = {"name": "x", "username": "alice", "password": PASSWORD}
    return client.post("/api/auth/tokens/", body | {"expires_at": expires_at})
