"""Health: is the process up, and can it serve?"""

import pytest
from django.db import connection
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.recorder import MigrationRecorder

from chats.api.views import health

OK = {"status": "ok"}


@pytest.fixture
def _forgetful():
    """Ask for migrations anew: the answer yes is remembered for good."""
    health._is_migrated.cache_clear()
    yield
    health._is_migrated.cache_clear()


@pytest.mark.parametrize("url", ["/healthz", "/readyz"])
def test_health_is_200_for_everybody_and_not_stored(client, db, url):
    response = client.get(url)
    assert (response.status_code, response.json()) == (200, OK)
    assert "no-store" in response.headers["Cache-Control"]
    assert client.head(url).status_code == 200


@pytest.mark.parametrize("url", ["/healthz", "/readyz"])
def test_health_is_for_reading(client, db, url):
    assert client.post(url).status_code == 405


def test_healthz_touches_no_database(client, db, django_assert_num_queries):
    with django_assert_num_queries(0):
        client.get("/healthz")


@pytest.mark.usefixtures("_forgetful")
def test_readyz_takes_one_query_once_migrations_are_known(
    client, db, django_assert_num_queries
):
    client.get("/readyz")
    with django_assert_num_queries(1):
        client.get("/readyz")


@pytest.mark.usefixtures("_forgetful")
def test_readyz_is_503_until_migrations_are_applied(client, db):
    [newest] = MigrationLoader(connection).graph.leaf_nodes("chats")
    MigrationRecorder(connection).record_unapplied(*newest)
    response = client.get("/readyz")
    MigrationRecorder(connection).record_applied(*newest)
    assert response.status_code == 503
    assert response.headers["Retry-After"] == "1"
    assert response.json() == {
        "status": "unavailable",
        "detail": "Migrations are not applied.",
    }
    assert client.get("/readyz").json() == OK


@pytest.mark.django_db(transaction=True)
def test_readyz_is_503_while_the_database_is_away(client, monkeypatch):
    away = {"sqlite": ("NAME", "/nowhere/db.sqlite3"), "postgresql": ("PORT", "1")}
    connection.close()
    with monkeypatch.context() as patch:
        patch.setitem(connection.settings_dict, *away[connection.vendor])
        ready, alive = client.get("/readyz"), client.get("/healthz")
    connection.close()
    assert ready.status_code == 503
    assert ready.headers["Retry-After"] == "1"
    assert ready.json() == {
        "status": "unavailable",
        "detail": "The database is not answering.",
    }
    assert alive.status_code == 200
    assert client.get("/readyz").status_code == 200


TOKEN = "a-token-of-some-length"


@pytest.mark.parametrize("host", ["192.0.2.7:8001", "foreign.example", "a b", "", "é"])
def test_probes_answer_whatever_the_host(client, db, settings, host):
    settings.ALLOWED_HOSTS, settings.METRICS_TOKEN = ["chat.example"], TOKEN
    for url in ("/healthz", "/readyz"):
        assert client.get(url, HTTP_HOST=host).status_code == 200
    scraped = {"HTTP_HOST": host, "HTTP_AUTHORIZATION": f"Bearer {TOKEN}"}
    assert client.get("/metrics", **scraped).status_code == 200
    assert client.get("/metrics", HTTP_HOST=host).status_code == 401


@pytest.mark.parametrize(
    "url",
    [
        "/healthz/",
        "/readyz/",
        "/metrics/",
        "/healthz/../api/users/",
        "/api/users/",
        "/admin/",
    ],
)
def test_nothing_but_probes_answers_a_foreign_host(client, db, url):
    assert client.get(url, HTTP_HOST="192.0.2.7").status_code == 400


def test_probes_need_no_https(client, db, settings):
    settings.SECURE_SSL_REDIRECT, settings.METRICS_TOKEN = True, TOKEN
    assert client.get("/healthz").status_code == 200
    assert client.get("/readyz").status_code == 200
    assert client.get("/metrics").status_code == 401
    assert client.get("/api/users/").status_code == 301
