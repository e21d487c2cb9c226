"""Parsing of times in the API: strictly RFC 3339."""

import re
from datetime import UTC, datetime, timedelta

# The date-time of RFC 3339, section 5.6. Python also accepts more, such as week dates.
RFC_3339 = re.compile(
    r"(?P<date>[0-9]{4}-[0-9]{2}-[0-9]{2})[Tt]"
    r"(?P<time>(?:[01][0-9]|2[0-3]):[0-5][0-9]):(?P<second>[0-5][0-9]|60)"
    r"(?P<fraction>\.[0-9]+)?"
    r"(?P<offset>[Zz]|[+-](?:[01][0-9]|2[0-3]):[0-5][0-9])"
)
INVALID = "Must be an RFC 3339 time, such as 2026-11-23T18:00:00Z."


def parse_time(text: str) -> datetime:
    """Return the time in UTC.

    Raises ValueError if the text is not a time, or if the time cannot be represented in
    UTC. Digits after the microseconds are dropped. A leap second, 60, is read as the
    next second.
    """
    match = RFC_3339.fullmatch(text)
    if match is None:
        raise ValueError(text)
    is_leap = match["second"] == "60"
    second = "59" if is_leap else match["second"]
    fraction = (match["fraction"] or "")[:7]
    offset = match["offset"].upper()
    written = f"{match['date']}T{match['time']}:{second}{fraction}{offset}"
    try:
        moment = datetime.fromisoformat(written).astimezone(UTC)
        return moment + timedelta(seconds=is_leap)
    except OverflowError as error:
        raise ValueError(text) from error
