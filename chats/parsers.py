"""Reading request bodies: JSON only, of bounded depth."""

from rest_framework import parsers
from rest_framework.exceptions import ParseError


class StrictJSONParser(parsers.JSONParser):
    """DRF's JSON parser, which fails at great depth.

    Size is bounded before it: ``DATA_UPLOAD_MAX_MEMORY_SIZE``, in the handlers 413.
    """

    def parse(self, stream, media_type=None, parser_context=None):
        try:
            return super().parse(stream, media_type, parser_context)
        except RecursionError as error:
            raise ParseError("JSON parse error - nested too deeply.") from error
