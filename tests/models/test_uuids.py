"""Version 7 UUIDs (RFC 9562, section 5.7)."""

import uuid
from datetime import UTC, datetime, timedelta

import pytest
import time_machine

from chats.db.uuids import uuid7

# The moment and the leading 48 bits of the example in RFC 9562, appendix A.6.
EXAMPLE_TIME = datetime(2022, 2, 22, 19, 22, 22, tzinfo=UTC)
EXAMPLE_BITS = 0x017F22E279B0


def test_uuid7_has_the_version_and_the_variant_of_the_rfc():
    made = uuid7()

    assert (made.version, made.variant) == (7, uuid.RFC_4122)


@time_machine.travel(EXAMPLE_TIME, tick=False)
def test_uuid7_begins_with_the_milliseconds():
    assert uuid7().int >> 80 == EXAMPLE_BITS


@pytest.mark.parametrize("later", [timedelta(milliseconds=1), timedelta(days=20_000)])
def test_uuid7_made_later_sorts_later(later):
    with time_machine.travel(EXAMPLE_TIME, tick=False):
        first = uuid7()
    with time_machine.travel(EXAMPLE_TIME + later, tick=False):
        second = uuid7()

    assert (first < second, str(first) < str(second)) == (True, True)


@time_machine.travel(EXAMPLE_TIME, tick=False)
def test_uuid7_of_one_millisecond_differ_in_every_random_bit():
    made = [uuid7().int for _ in range(1000)]

    varying = 0
    for number in made:
        varying |= number ^ made[0]
    fixed = 0x7 << 76 | 0b10 << 62  # the version and the variant
    assert len(set(made)) == 1000
    assert varying == (1 << 80) - 1 & ~(0xF << 76 | 0b11 << 62)
    assert made[0] & (0xF << 76 | 0b11 << 62) == fixed
