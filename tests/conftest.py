"""The cast and the clients of every test."""

import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from django.core.cache import cache
from django.db import connections
from django.test import Client
from rest_framework.test import APIClient

from chats.lists import searching
from chats.models import Conversation, EventLog, User
from chats.realtime import cursors
from chats.web.throttles import breaker
from tests.support.factories import UserFactory, start

# A failed assertion of a helper shows the values that it compared, as one of a test
# does. pytest has to know before the helper is imported.
SUPPORT = Path(__file__).with_name("support")
HELPERS = {f"tests.support.{file.stem}" for file in SUPPORT.glob("[!_]*.py")}
pytest.register_assert_rewrite(*HELPERS.difference(sys.modules))


@pytest.fixture(autouse=True)
def _first_log():
    """No test knows the identity that another one gave the log."""
    cursors._log_identity = EventLog.FIRST


@pytest.fixture(autouse=True)
def _empty_cache():
    """Neither throttle counters nor an outage of the cache outlive a test."""
    cache.clear()
    breaker.succeed()


@pytest.fixture(autouse=True)
def _patient_searches(monkeypatch):
    """No page of a search ends early since the machine is slow."""
    monkeypatch.setattr(searching, "PATIENCE", 60_000)


@pytest.fixture
def patient_database(monkeypatch) -> None:
    """For threads that write at once: their connections queue for as long as a slow
    machine takes. After the usual 5 seconds a call is 503, which is right, too."""
    database = connections.databases["default"]
    name, value = "options", "-c lock_timeout=60000"
    if database["ENGINE"].endswith("sqlite3"):
        name, value = "timeout", 60
    monkeypatch.setitem(database["OPTIONS"], name, value)


@pytest.fixture
def alice(db) -> User:
    """The owner of the conversation."""
    return UserFactory(username="alice", first_name="Alice")


@pytest.fixture
def bob(db) -> User:
    """A participant."""
    return UserFactory(username="bob", first_name="Bob")


@pytest.fixture
def mallory(db) -> User:
    """An outsider."""
    return UserFactory(username="mallory", first_name="Mallory")


@pytest.fixture
def admin(db) -> User:
    """A role-admin who takes part in nothing and is no staff."""
    return UserFactory(username="root", first_name="Root", role=User.Role.ADMIN)


@pytest.fixture
def boss(db) -> User:
    """A superuser."""
    return UserFactory(username="boss", role="admin", is_staff=True, is_superuser=True)


@pytest.fixture
def conversation(alice: User, bob: User) -> Conversation:
    """Of alice, with bob."""
    return start(alice, bob, title="Plans")


@pytest.fixture
def client_of() -> Callable[[User], APIClient]:
    """Return a function that makes an API client signed in as a person."""

    def make(user: User) -> APIClient:
        client = APIClient()
        client.force_authenticate(user)
        return client

    return make


@pytest.fixture
def as_alice(alice, client_of) -> APIClient:
    return client_of(alice)


@pytest.fixture
def as_bob(bob, client_of) -> APIClient:
    return client_of(bob)


@pytest.fixture
def as_mallory(mallory, client_of) -> APIClient:
    return client_of(mallory)


@pytest.fixture
def as_admin(admin, client_of) -> APIClient:
    return client_of(admin)


@pytest.fixture
def as_boss(boss) -> Client:
    """A superuser's browser, in which the admin may be opened."""
    client = Client()
    client.force_login(boss)
    return client


@pytest.fixture
def anonymous() -> APIClient:
    return APIClient()
