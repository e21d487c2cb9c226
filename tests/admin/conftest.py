"""A superuser, and their browser, for the tests of the admin."""

import pytest
from django.test import Client

from chats.models import User
from tests.support.admin import signed_in
from tests.support.factories import UserFactory


@pytest.fixture
def boss(db) -> User:
    """A superuser."""
    return UserFactory(username="boss", role="admin", is_staff=True, is_superuser=True)


@pytest.fixture
def as_boss(boss) -> Client:
    return signed_in(boss)
