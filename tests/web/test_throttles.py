"""Throttles: so many calls a window, by person or address."""

import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime

import pytest
import time_machine
from django.core.cache import cache

from chats.web import throttles
from chats.web.throttles import count
from messaging_app.settings import REDIS_URL
from tests.support.factories import PASSWORD

ME = "/api/users/me/"
MESSAGES = "/api/messages/"
# Ten seconds into a minute, so that fifty are left of it.
NOON = datetime(2026, 1, 1, 12, 0, 10, tzinfo=UTC)
THROTTLED = {
    "detail": "Request was throttled. Expected available in 50 seconds.",
    "code": "throttled",
}


@pytest.fixture
def rates(settings) -> dict:
    """The rates, each without a limit, for a test to set."""
    settings.THROTTLE_RATES = dict.fromkeys(settings.THROTTLE_RATES)
    return settings.THROTTLE_RATES


@pytest.fixture
def clock():
    with time_machine.travel(NOON, tick=False) as traveller:
        yield traveller


def statuses(call, times: int) -> list[int]:
    return [call().status_code for _ in range(times)]


def ask(client, **headers: str) -> int:
    """Call what everybody may call, and return the status."""
    body = {"email": "nobody@example.org"}
    return client.post("/api/auth/password/reset/", body, **headers).status_code


def test_calls_of_a_person_are_limited(as_alice, rates, clock):
    rates["user"] = (3, 60)
    assert statuses(lambda: as_alice.get(ME), 3) == [200] * 3
    response = as_alice.get(ME)
    assert response.status_code == 429
    assert response.headers["Retry-After"] == "50"
    assert response.json() == THROTTLED


def test_calls_are_allowed_again_in_the_next_window(as_alice, rates, clock):
    rates["user"] = (1, 60)
    assert statuses(lambda: as_alice.get(ME), 2) == [200, 429]
    clock.shift(49)
    assert as_alice.get(ME).status_code == 429
    clock.shift(1)
    assert statuses(lambda: as_alice.get(ME), 2) == [200, 429]


def test_calls_are_counted_by_person(as_alice, as_bob, rates, clock):
    rates["user"] = (1, 60)
    assert statuses(lambda: as_alice.get(ME), 2) == [200, 429]
    assert as_bob.get(ME).status_code == 200


def test_calls_are_counted_over_all_routes(as_alice, rates, clock):
    rates["user"] = (2, 60)
    urls = [ME, MESSAGES, "/api/conversations/"]
    assert [as_alice.get(url).status_code for url in urls] == [200, 200, 429]


def test_anonymous_calls_are_counted_by_address(anonymous, rates, clock, db):
    rates["anon"] = (1, 60)
    addresses = ["192.0.2.1", "192.0.2.1", "192.0.2.2"]
    answers = [ask(anonymous, REMOTE_ADDR=address) for address in addresses]
    assert answers == [204, 429, 204]


@pytest.mark.parametrize(("proxies", "last"), [(0, 429), (1, 204)])
def test_anonymous_calls_are_counted_by_address_as_far_as_believed(
    anonymous, rates, clock, db, settings, proxies, last
):
    rates["anon"] = (1, 60)
    settings.TRUSTED_PROXIES = proxies
    claims = ["198.51.100.1", "198.51.100.2"]
    answers = [ask(anonymous, HTTP_X_FORWARDED_FOR=claim) for claim in claims]
    assert answers == [204, last]


def test_anonymous_calls_do_not_count_as_a_persons(
    anonymous, as_alice, rates, clock, db
):
    rates["anon"] = (1, 60)
    assert [ask(anonymous), ask(anonymous)] == [204, 429]
    assert statuses(lambda: as_alice.get(ME), 2) == [200, 200]


def test_sends_are_limited_and_reading_is_not(as_alice, conversation, rates, clock):
    rates["send"] = (2, 60)
    body = {"conversation": str(conversation.pk), "message_body": "Hello"}
    assert statuses(lambda: as_alice.post(MESSAGES, body), 3) == [201, 201, 429]
    response = as_alice.get(MESSAGES)
    assert response.status_code == 200
    assert len(response.json()["results"]) == 2


def test_sign_ups_are_limited_and_the_list_is_not(anonymous, as_alice, rates, clock):
    rates["signup"] = (1, 3600)
    answers = [
        anonymous.post(
            "/api/users/",
            {
                "username": name,
                "email": f"{name}@example.org",
                "password": PASSWORD,
                "first_name": "A",
                "last_name": "B",
            },
        )
        for name in ("carol", "dave")
    ]
    assert [answer.status_code for answer in answers] == [201, 429]
    assert answers[1].headers["Retry-After"] == "3590"
    assert as_alice.get("/api/users/").status_code == 200


def test_conversations_started_are_limited_and_the_list_is_not(
    as_alice, bob, rates, clock
):
    rates["conversations"] = (1, 3600)
    body = {"participant_ids": [str(bob.pk)]}
    url = "/api/conversations/"
    answers = [as_alice.post(url, body) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [201, 429]
    assert answers[1].headers["Retry-After"] == "3590"
    assert len(as_alice.get(url).json()["results"]) == 1


WRONG_TOKEN = {"HTTP_AUTHORIZATION": "Token wrong"}


@pytest.mark.parametrize("credentials", [{}, WRONG_TOKEN], ids=["none", "wrong"])
def test_calls_by_nobody_are_counted_by_address(
    anonymous, as_alice, rates, clock, db, credentials
):
    rates["anon"] = (2, 60)
    answers = [anonymous.get(ME, **credentials) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [401, 401, 429]
    assert answers[2].json() == THROTTLED
    assert answers[2].headers["Retry-After"] == "50"
    elsewhere = anonymous.get(ME, REMOTE_ADDR="192.0.2.2", **credentials)
    assert elsewhere.status_code == 401
    assert as_alice.get(ME).status_code == 200


def test_calls_with_a_wrong_token_and_sign_ins_share_the_count(
    anonymous, alice, rates, clock
):
    rates["anon"] = (3, 60)
    body = {"username": "alice", "password": "wrong"}
    answers = [
        anonymous.post("/api/auth/login/", body),
        anonymous.get(ME, **WRONG_TOKEN),
        anonymous.post("/api/auth/login/", body),
        anonymous.get(ME, **WRONG_TOKEN),
    ]
    assert [answer.status_code for answer in answers] == [401, 401, 401, 429]


# --- What is left, in headers --------------------------------------------------


def left(response) -> tuple[str | None, ...]:
    names = ("RateLimit-Limit", "RateLimit-Remaining", "RateLimit-Reset")
    return tuple(response.headers.get(name) for name in names)


def test_answers_tell_what_is_left(as_alice, rates, clock):
    rates["user"] = (2, 60)
    told = [left(as_alice.get(ME)) for _ in range(3)]
    assert told == [("2", "1", "50"), ("2", "0", "50"), ("2", "0", "50")]


def test_answers_to_nobody_tell_what_is_left(anonymous, rates, clock, db):
    rates["anon"] = (9, 60)
    told = [
        left(anonymous.get(ME)),
        left(anonymous.get(ME, **WRONG_TOKEN)),
        left(anonymous.post("/api/auth/login/", {})),
    ]
    assert told == [("9", "8", "50"), ("9", "7", "50"), ("9", "6", "50")]


def test_answers_under_two_limits_tell_of_the_nearer(
    as_alice, conversation, rates, clock
):
    rates |= {"user": (9, 60), "send": (5, 60)}
    body = {"conversation": str(conversation.pk), "message_body": "Hello"}
    assert left(as_alice.post(MESSAGES, body)) == ("5", "4", "50")
    assert left(as_alice.get(MESSAGES)) == ("9", "7", "50")


def test_answers_without_a_limit_tell_nothing(as_alice, rates, clock):
    assert left(as_alice.get(ME)) == (None, None, None)


def test_frontends_elsewhere_may_read_what_is_left(as_alice, settings):
    settings.CORS_ALLOWED_ORIGINS = ["https://app.example"]
    response = as_alice.get(ME, HTTP_ORIGIN="https://app.example")
    exposed = response.headers["Access-Control-Expose-Headers"].split(", ")
    assert exposed == [
        "Retry-After",
        "X-Request-ID",
        "RateLimit-Limit",
        "RateLimit-Remaining",
        "RateLimit-Reset",
    ]


# --- Counting ------------------------------------------------------------------


def test_no_rate_is_no_limit(as_alice, rates, clock):
    assert statuses(lambda: as_alice.get(ME), 5) == [200] * 5


def test_throttles_take_no_query(as_alice, rates, django_assert_num_queries):
    rates["user"] = (1, 60)
    as_alice.get(ME)
    with django_assert_num_queries(0):
        assert as_alice.get(ME).status_code == 429


def test_count_loses_nothing_among_threads(clock):
    with ThreadPoolExecutor(8) as pool:
        counted = list(pool.map(lambda _: count("key", 60), range(400)))
    assert sorted(counted) == list(range(1, 401))


@pytest.mark.skipif(bool(REDIS_URL), reason="Redis has a clock of its own")
def test_counters_are_gone_after_their_window(as_alice, alice, rates, clock):
    rates["user"] = (5, 60)
    as_alice.get(ME)
    window = int(NOON.timestamp() // 60)
    key = f"throttle:user:{alice.pk}:{window}"
    assert cache.get(key) == 1
    clock.shift(61)
    assert cache.get(key) is None


# --- A cache that is away or hangs --------------------------------------------


class Clock:
    """A clock that stands until it is moved."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def outage_clock(monkeypatch) -> Clock:
    """The clock of a new breaker, which the throttles use."""
    clock = Clock()
    monkeypatch.setattr(throttles, "breaker", throttles.Breaker(5, clock=clock))
    return clock


@pytest.fixture
def hanging():
    """A server that takes connections and never answers, as a list of them."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        taken = []

        def take():
            with suppress(OSError):
                while True:
                    taken.append(server.accept()[0])

        thread = threading.Thread(target=take)
        thread.start()
        yield server.getsockname()[1], taken
        server.shutdown(socket.SHUT_RDWR)
        thread.join()
        for connection in taken:
            connection.close()


def use_redis(settings, port: int) -> None:
    settings.CACHES = {
        "default": {
            "BACKEND": "django.core.cache.backends.redis.RedisCache",
            "LOCATION": f"redis://127.0.0.1:{port}",
            "OPTIONS": {"socket_timeout": 0.2, "socket_connect_timeout": 0.2},
        }
    }


def test_calls_pass_while_redis_is_away(as_alice, rates, settings, caplog):
    use_redis(settings, port=1)
    rates["user"] = (1, 60)
    assert statuses(lambda: as_alice.get(ME), 3) == [200] * 3
    assert [record.name for record in caplog.records] == ["chats.web.throttles"]


def test_hanging_redis_is_asked_once_in_a_pause(
    as_alice, rates, settings, caplog, outage_clock, hanging
):
    port, taken = hanging
    use_redis(settings, port)
    rates["user"] = (1, 60)
    assert statuses(lambda: as_alice.get(ME), 5) == [200] * 5
    assert len(taken) == 1
    outage_clock.now = 4.9
    assert as_alice.get(ME).status_code == 200
    assert len(taken) == 1
    outage_clock.now = 5.0
    assert statuses(lambda: as_alice.get(ME), 5) == [200] * 5
    assert len(taken) == 2
    assert [record.name for record in caplog.records] == ["chats.web.throttles"]


def test_throttles_are_on_again_once_the_cache_answers(
    as_alice, rates, caplog, outage_clock
):
    rates["user"] = (1, 3600)
    throttles.breaker.fail()
    assert statuses(lambda: as_alice.get(ME), 3) == [200] * 3
    outage_clock.now = 5.0
    assert statuses(lambda: as_alice.get(ME), 3) == [200, 429, 429]
    assert caplog.messages == ["Throttles are on again: the cache is answering."]


def test_wrong_passwords_are_limited_while_redis_hangs(
    anonymous, alice, settings, outage_clock, hanging
):
    port, _ = hanging
    use_redis(settings, port)
    body = {"username": "alice", "password": "wrong"}
    answers = statuses(lambda: anonymous.post("/api/auth/login/", body), 6)
    assert answers == [401] * 5 + [429]


def test_breaker_lets_one_of_many_threads_try(outage_clock):
    breaker = throttles.breaker
    breaker.fail()
    outage_clock.now = 5.0
    with ThreadPoolExecutor(8) as pool:
        asked = list(pool.map(lambda _: breaker.may_ask(), range(100)))
    assert sorted(asked) == [False] * 99 + [True]


def test_breaker_tells_where_an_outage_begins_and_ends():
    breaker = throttles.Breaker(5, clock=Clock())
    assert [breaker.succeed(), breaker.may_ask()] == [False, True]
    assert [breaker.fail(), breaker.fail(), breaker.may_ask()] == [True, False, False]
    assert [breaker.succeed(), breaker.succeed(), breaker.may_ask()] == [
        True,
        False,
        True,
    ]


def test_nothing_is_said_of_what_is_left_while_redis_is_away(as_alice, settings):
    use_redis(settings, port=1)
    assert left(as_alice.get(ME)) == (None, None, None)
