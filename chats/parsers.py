"""Reading request bodies: JSON only, of bounded depth."""

import io
import re

from django.conf import settings
from rest_framework import parsers
from rest_framework.exceptions import ParseError

# Strings, the last perhaps without an end, and what else is no bracket.
NO_BRACKETS = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"?|[^\[\]{}"]+', re.DOTALL)


class StrictJSONParser(parsers.JSONParser):
    """DRF's JSON parser, which refuses what is nested deeper than MAX_JSON_DEPTH.

    Size is bounded before it: ``DATA_UPLOAD_MAX_MEMORY_SIZE``, in the handlers 413.
    """

    def parse(self, stream, media_type=None, parser_context=None):
        body = stream.read()
        if depth_of(body, settings.MAX_JSON_DEPTH) > settings.MAX_JSON_DEPTH:
            raise ParseError("JSON parse error - nested too deeply.")
        return super().parse(io.BytesIO(body), media_type, parser_context)


def depth_of(body: bytes, limit: int) -> int:
    """Return how deep the JSON is nested, or that it has no more than ``limit``.

    Few bodies have so many brackets that it takes a closer look.
    """
    opening = body.count(b"[") + body.count(b"{")
    if opening <= limit:
        return opening
    depth = deepest = 0
    for bracket in NO_BRACKETS.sub(b"", body):
        depth += 1 if bracket in b"[{" else -1
        deepest = max(deepest, depth)
    return deepest
