"""The API's description of itself, made once a process."""

import hashlib
from functools import cache

from django.http import HttpResponse
from django.utils.cache import get_conditional_response
from django.utils.http import quote_etag
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.utils import extend_schema
from drf_spectacular.views import SpectacularAPIView
from rest_framework.renderers import BaseRenderer, JSONRenderer
from rest_framework.request import Request


class SchemaView(SpectacularAPIView):
    """The schema, in the form asked for; there is one, whoever asks for whichever
    version or language."""

    @extend_schema(exclude=True)
    def get(self, request: Request) -> HttpResponse:
        renderer, media_type = request.accepted_renderer, request.accepted_media_type
        is_json = isinstance(renderer, JSONRenderer)
        indent = renderer.get_indent(media_type, {}) if is_json else None
        text, etag = schema_in(type(renderer), indent)
        charset = f"; charset={renderer.charset}" if renderer.charset else ""
        name = self._get_filename(request, version=None)
        headers = {
            "Content-Type": renderer.media_type + charset,
            "Content-Disposition": f'inline; filename="{name}"',
            "ETag": etag,
        }
        response = HttpResponse(text, headers=headers)
        return get_conditional_response(request._request, etag, response=response)


@cache
def schema_in(form: type[BaseRenderer], indent: int | None) -> tuple[bytes, str]:
    """Return the schema in a form, and its ETag. No more forms than a few exist."""
    media_type = f"{form.media_type}; indent={indent}" if indent else form.media_type
    text = form().render(the_schema(), media_type, {})
    return text, quote_etag(hashlib.sha256(text).hexdigest())


@cache
def the_schema() -> dict:
    """Return the schema; to make it takes as long as a hundred other calls."""
    return SchemaGenerator().get_schema(request=None, public=True)
