"""JSON as the API writes it."""

from typing import Any

import orjson
from rest_framework.utils.encoders import JSONEncoder

_fallback = JSONEncoder().default


def to_json(data: Any) -> bytes:
    """Return compact JSON; times in RFC 3339 with ``Z``, UUIDs as text."""
    return orjson.dumps(data, default=_fallback, option=orjson.OPT_UTC_Z)
