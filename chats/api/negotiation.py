"""Choosing the format of an answer."""

from collections.abc import Sequence

from rest_framework.exceptions import ValidationError
from rest_framework.negotiation import DefaultContentNegotiation
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request


class ContentNegotiation(DefaultContentNegotiation):
    """DRF's, with a short cut for what nearly every client asks for.

    ``?format=json``, for browsers, takes precedence over ``Accept``.
    """

    def select_renderer(
        self,
        request: Request,
        renderers: Sequence[BaseRenderer],
        format_suffix: str | None = None,
    ) -> tuple[BaseRenderer, str]:
        first = renderers[0]
        if "format=" in request.META["QUERY_STRING"]:
            return self._named(request, renderers, format_suffix)
        if request.META.get("HTTP_ACCEPT", "*/*") in {first.media_type, "*/*"}:
            return first, first.media_type
        return super().select_renderer(request, renderers, format_suffix)

    def _named(
        self,
        request: Request,
        renderers: Sequence[BaseRenderer],
        format_suffix: str | None,
    ) -> tuple[BaseRenderer, str]:
        """Return the renderer that ``format`` names; raise ValidationError on it."""
        name = request.query_params.get("format")
        if name is None:  # it was part of another parameter's name or value
            return super().select_renderer(request, renderers, format_suffix)
        for renderer in renderers:
            if renderer.format == name:
                return renderer, renderer.media_type
        known = ", ".join(sorted({str(item.format) for item in renderers}))
        raise ValidationError({"format": [f"Must be one of {known}."]})
