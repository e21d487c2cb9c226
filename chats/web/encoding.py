"""JSON as the API writes it."""

import json
from typing import Any

import orjson
from rest_framework.utils.encoders import JSONEncoder

_fallback = JSONEncoder().default


def to_json(data: Any) -> bytes:
    """Return compact JSON, with times in RFC 3339 with ``Z`` and UUIDs as text.

    orjson refuses lone surrogates and keys that are not text. Errors that repeat bad
    input may contain them, so the standard library encodes those.
    """
    try:
        return orjson.dumps(data, default=_fallback, option=orjson.OPT_UTC_Z)
    except TypeError:
        return json.dumps(data, cls=JSONEncoder).encode()
