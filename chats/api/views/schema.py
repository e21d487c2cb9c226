"""The OpenAPI schema, made once a process, and the page that shows it."""

import hashlib
from functools import cache, lru_cache

from django.http import HttpResponse
from django.urls import get_script_prefix
from django.utils.cache import get_conditional_response
from django.utils.http import quote_etag
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.renderers import (
    OpenApiJsonRenderer,
    OpenApiJsonRenderer2,
    OpenApiYamlRenderer,
    OpenApiYamlRenderer2,
)
from drf_spectacular.utils import extend_schema
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerSplitView
from rest_framework.renderers import BaseRenderer, JSONRenderer
from rest_framework.request import Request

from chats.api.views.base import JSONErrors


class DocsView(JSONErrors, SpectacularSwaggerSplitView):
    """Swagger UI."""

    is_slow = True
    metadata_class = None


class SchemaView(JSONErrors, SpectacularAPIView):
    """The schema in the format asked for. It is the same for all callers, versions and
    languages."""

    is_slow = True
    renderer_classes = (
        OpenApiYamlRenderer,
        OpenApiYamlRenderer2,
        OpenApiJsonRenderer2,  # the media type that browsers display, for ?format=json
        OpenApiJsonRenderer,
    )

    @extend_schema(exclude=True)
    def get(self, request: Request) -> HttpResponse:
        renderer, media_type = request.accepted_renderer, request.accepted_media_type
        is_json = isinstance(renderer, JSONRenderer)
        indent = renderer.get_indent(media_type, {}) if is_json else None
        root = get_script_prefix().rstrip("/") or "/"
        text, etag = schema_in(type(renderer), indent, root)
        charset = f"; charset={renderer.charset}" if renderer.charset else ""
        name = self._get_filename(request, version=None)
        headers = {
            "Content-Type": renderer.media_type + charset,
            "Content-Disposition": f'inline; filename="{name}"',
            "ETag": etag,
        }
        response = HttpResponse(text, headers=headers)
        return get_conditional_response(request._request, etag, response=response)


@lru_cache(maxsize=64)
def schema_in(
    form: type[BaseRenderer], indent: int | None, root: str
) -> tuple[bytes, str]:
    """Return the schema in a format, and its ETag; ``root`` is the API's prefix."""
    media_type = f"{form.media_type}; indent={indent}" if indent else form.media_type
    [server] = the_schema()["servers"]
    schema = the_schema() | {"servers": [server | {"url": root}]}
    text = form().render(schema, media_type, {})
    return text, quote_etag(hashlib.sha256(text).hexdigest())


@cache
def the_schema() -> dict:
    """Return the schema; to make it takes as long as a hundred requests."""
    return SchemaGenerator().get_schema(request=None, public=True)
