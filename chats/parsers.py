"""Reading request bodies: JSON only, of bounded size and depth."""

from django.conf import settings
from django.core.exceptions import RequestDataTooBig
from rest_framework import parsers
from rest_framework.exceptions import APIException, ParseError


class BodyTooLarge(APIException):
    status_code = 413
    default_detail = "The body is too large."
    default_code = "too_large"


class StrictJSONParser(parsers.JSONParser):
    """DRF's JSON parser, which reads any size and fails at great depth."""

    def parse(self, stream, media_type=None, parser_context=None):
        try:
            # Read through Django's request, which enforces the limit on size.
            length = int(stream.META.get("CONTENT_LENGTH") or 0)
            if length > settings.DATA_UPLOAD_MAX_MEMORY_SIZE:
                raise BodyTooLarge
            return super().parse(stream, media_type, parser_context)
        except RequestDataTooBig as error:
            raise BodyTooLarge from error
        except RecursionError as error:
            raise ParseError("JSON parse error - nested too deeply.") from error
