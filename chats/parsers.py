"""Reading request bodies: JSON only, of bounded size and depth."""

from django.conf import settings
from rest_framework import parsers
from rest_framework.exceptions import APIException, ParseError


class BodyTooLarge(APIException):
    status_code = 413
    default_detail = "The body is too large."
    default_code = "too_large"


class StrictJSONParser(parsers.JSONParser):
    """DRF's JSON parser, which reads any size and fails at great depth."""

    def parse(self, stream, media_type=None, parser_context=None):
        # No server in use reads past the announced length; none announced is 0.
        length = int(parser_context["request"].META.get("CONTENT_LENGTH") or 0)
        if length > settings.DATA_UPLOAD_MAX_MEMORY_SIZE:
            raise BodyTooLarge
        try:
            return super().parse(stream, media_type, parser_context)
        except RecursionError as error:
            raise ParseError("JSON parse error - nested too deeply.") from error
