"""One JSON line a request, request ids, and the metrics."""

import json
import logging

import pytest
from django.test import RequestFactory

from chats.realtime.hub import Hub
from chats.services.messages import send_message
from chats.web import origin
from chats.web.logs import JSONFormatter, OnceASecond
from tests.support.factories import PASSWORD

TOKEN = "a-token-of-16-characters-or-more"


@pytest.fixture
def lines(settings, caplog):
    """Return a function that gives the lines of requests so far."""
    settings.LOG_FORMAT = "json"
    caplog.set_level("INFO", "chats.access")
    formatter = JSONFormatter()

    def read() -> list[dict]:
        return [
            json.loads(formatter.format(record))
            for record in caplog.records
            if record.name == "chats.access"
        ]

    return read


def test_line_tells_of_a_request_all_but_ids_and_query(lines, as_alice, alice, message):
    url = f"/api/messages/{message.pk}/?search=secret&token=hidden"

    answer = as_alice.get(url, REMOTE_ADDR="192.0.2.7", HTTP_AUTHORIZATION="Secret")

    [line] = lines()
    assert 0 < line.pop("duration_ms") < 60_000
    assert line.pop("time").endswith("Z")
    assert line == {
        "level": "INFO",
        "logger": "chats.access",
        "message": "request",
        "request_id": answer.headers["X-Request-ID"],
        "method": "GET",
        "route": "/api/messages/<message_id>/",
        "status": 200,
        "user_id": str(alice.pk),
        "address": "192.0.2.7",
        "bytes": len(answer.content),
    }


@pytest.fixture
def message(alice, conversation):
    return send_message(alice, conversation.pk, message_body="Hello")[0]


def test_line_of_a_session_names_the_person(lines, client, alice):
    client.force_login(alice)
    client.get("/api/users/me/")

    assert [line["user_id"] for line in lines()] == [str(alice.pk)]


def test_line_of_nobody_and_of_no_route(lines, client, db):
    client.get("/api/nowhere/1/")

    [line] = lines()
    assert (line["route"], line["status"], line["user_id"]) == ("", 404, None)


def test_line_has_no_password(lines, anonymous, alice):
    body = {"username": "alice", "password": PASSWORD}
    anonymous.post("/api/auth/login/", body)

    assert PASSWORD not in json.dumps(lines())
    assert [line["status"] for line in lines()] == [200]


def test_no_line_by_default(caplog, as_alice):
    caplog.set_level("INFO", "chats.access")
    as_alice.get("/api/users/me/")

    assert [record for record in caplog.records if record.name == "chats.access"] == []


def test_traceback_is_in_the_line():
    try:
        raise ValueError("broken")
    except ValueError as error:
        info = (type(error), error, error.__traceback__)
    record = logging.LogRecord("x", logging.ERROR, "f", 1, "It %s", ("fell",), info)

    text = JSONFormatter().format(record)

    assert "\n" not in text
    line = json.loads(text)
    assert line["message"] == "It fell"
    assert line["exception"].endswith("ValueError: broken")


@pytest.mark.parametrize(
    ("proxies", "claimed", "is_taken"),
    [
        (1, "abc-DEF_123.4", True),
        (0, "abc-DEF_123.4", False),
        (1, "short", False),
        (1, "x" * 65, False),
        (1, "has space in it", False),
        (1, "eight888\n", False),
    ],
)
def test_request_id_is_taken_from_a_trusted_proxy_if_well_formed(
    proxies, claimed, is_taken, settings, client
):
    settings.TRUSTED_PROXIES = proxies

    answer = client.get("/healthz", HTTP_X_REQUEST_ID=claimed)

    got = answer.headers["X-Request-ID"]
    assert (got == claimed) is is_taken
    assert is_taken or len(got) == 16


# --- Metrics -------------------------------------------------------------------


def scrape(client, token: str = TOKEN):
    return client.get("/metrics", HTTP_AUTHORIZATION=f"Bearer {token}")


def value(text: str, name: str) -> float:
    """Return the value of a series, 0 where there is none yet."""
    lines = dict(line.rsplit(" ", 1) for line in text.splitlines())
    return float(lines.get(name, 0))


def test_metrics_are_absent_unless_switched_on(client):
    assert scrape(client).status_code == 404
    assert client.get("/metrics", HTTP_AUTHORIZATION="Bearer ").status_code == 404


@pytest.mark.parametrize("token", ["", "wrong", TOKEN[:-1], "é"])
def test_metrics_ask_for_the_token(token, settings, client):
    settings.METRICS_TOKEN = TOKEN

    assert scrape(client, token).status_code == 401
    assert client.get("/metrics").status_code == 401


def test_metrics_count_requests_by_route_and_status(settings, client, db):
    settings.METRICS_TOKEN = TOKEN
    name = (
        'messaging_request_seconds_count{method="GET",route="/api/users/me/",'
        'status="4xx"}'
    )
    before = value(scrape(client).content.decode(), name)

    client.get("/api/users/me/")

    text = scrape(client).content.decode()
    assert value(text, name) == before + 1
    assert value(text, "process_resident_memory_bytes") > 0


def test_metrics_have_one_series_for_all_invented_methods(settings, client, db):
    settings.METRICS_TOKEN = TOKEN
    client.generic("BREW", "/healthz")

    text = scrape(client).content.decode()
    assert "BREW" not in text
    assert value(
        text,
        'messaging_request_seconds_count{method="other",route="/healthz",status="4xx"}',
    )


def test_metrics_tell_how_far_the_hub_is_behind(settings, client, alice, conversation):
    settings.METRICS_TOKEN = TOKEN
    hub = Hub(post=lambda frames: None, end=lambda streams, why: None)
    hub._wake_up()
    before = value(scrape(client).content.decode(), "messaging_events_dispatched_total")
    for _ in range(3):
        send_message(alice, conversation.pk, message_body="Hello")

    behind = scrape(client).content.decode()
    hub._read_log()
    caught_up = scrape(client).content.decode()

    assert value(behind, "messaging_hub_lag_events") == 3
    assert value(caught_up, "messaging_hub_lag_events") == 0
    assert value(caught_up, "messaging_events_dispatched_total") == before + 3


def test_nothing_of_a_request_outlives_it(client):
    client.get("/healthz", REMOTE_ADDR="192.0.2.7")
    assert (origin.address(), origin.request_id()) == ("", "")
    with origin.originating(RequestFactory().get("/", REMOTE_ADDR="192.0.2.8")):
        assert origin.address() == "192.0.2.8"


def test_warning_that_a_client_can_repeat_is_logged_once_a_second():
    held_back = OnceASecond()

    def passes(name: str, at: float, level: int = logging.WARNING) -> bool:
        record = logging.LogRecord(name, level, "", 0, f"At {at}", (), None)
        record.created = at
        return held_back.filter(record)

    times = (10.0, 10.5, 10.9, 11.0, 11.5)
    assert [passes("a", at) for at in times] == [True, False, False, True, False]
    assert passes("b", 11.5)
    assert [passes("a", 11.6, logging.ERROR) for _ in "12"] == [True, True]
