"""The hub that tests of realtime drive."""

import pytest

from tests.support.hub import Driven


@pytest.fixture
def driven(db) -> Driven:
    return Driven()
