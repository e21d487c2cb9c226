"""Version 7 UUIDs: ordered by creation time, so indexes stay compact."""

import secrets
import time
import uuid

# The form with hyphens, as the API writes UUIDs.
UUID_REGEX = "[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"


def uuid7() -> uuid.UUID:
    """Return a new UUID of version 7 (RFC 9562, section 5.7).

    48 bits of Unix milliseconds, then 74 random bits around the version and variant.
    """
    milliseconds = time.time_ns() // 1_000_000 & (1 << 48) - 1
    random = secrets.randbits(74)
    return uuid.UUID(
        int=milliseconds << 80
        | 0x7 << 76
        | (random >> 62) << 64
        | 0b10 << 62
        | random & (1 << 62) - 1
    )
