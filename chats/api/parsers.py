"""Reading request bodies: JSON only, of bounded depth and number of values."""

import json
from typing import Any

from django.conf import settings
from rest_framework import parsers
from rest_framework.exceptions import ParseError
from rest_framework.utils.json import strict_constant

# Characters that begin or separate values: more than the longest message or list of
# participants can have, and few enough to be parsed without delaying others.
MOST_MARKS = 50_000
CONTAINERS = (dict, list)
MOST_DIGITS = 1000  # of a whole number; parsing thousands is slow


class StrictJSONParser(parsers.JSONParser):
    """DRF's JSON parser, for bodies that are cheap to parse.

    It refuses bodies nested deeper than MAX_JSON_DEPTH, or with very many values or
    very long numbers. Their size is limited before, by ``DATA_UPLOAD_MAX_MEMORY_SIZE``
    (413).
    """

    def parse(self, stream, media_type=None, parser_context=None) -> Any:
        body = stream.read()
        if sum(map(body.count, (b"[", b"{", b",", b":"))) > MOST_MARKS:
            raise ParseError("JSON parse error - too many values.")
        try:
            data = json.loads(
                body.decode(), parse_constant=strict_constant, parse_int=bounded_int
            )
        except ValueError as error:
            raise ParseError(f"JSON parse error - {error}") from error
        except RecursionError as error:
            raise ParseError("JSON parse error - nested too deeply.") from error
        if is_deeper(data, settings.MAX_JSON_DEPTH):
            raise ParseError("JSON parse error - nested too deeply.")
        return data


def bounded_int(digits: str) -> int:
    if len(digits) > MOST_DIGITS:
        raise ValueError("a number is too long.")
    return int(digits)


def is_deeper(data: Any, limit: int) -> bool:
    """Return whether the data has more than ``limit`` levels of lists and objects."""
    level = [data] if isinstance(data, CONTAINERS) else []
    for _ in range(limit):
        if not level:
            return False
        level = [child for parent in level for child in children(parent)]
    return bool(level)


def children(parent: dict | list) -> list[dict | list]:
    inner = parent.values() if isinstance(parent, dict) else parent
    return [child for child in inner if isinstance(child, CONTAINERS)]
