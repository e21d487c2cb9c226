"""Renderers: JSON, and the media type of the event stream."""

from rest_framework import renderers

from chats.web.encoding import to_json


class JSONRenderer(renderers.JSONRenderer):
    """DRF's JSON renderer, several times faster; it indents when asked to."""

    charset = None

    def render(self, data, accepted_media_type=None, renderer_context=None) -> bytes:
        if data is None:
            return b""
        if self.get_indent(accepted_media_type or "", renderer_context or {}):
            return super().render(data, accepted_media_type, renderer_context)
        return to_json(data)


class EventStreamRenderer(JSONRenderer):
    """Allows ``Accept: text/event-stream``; errors are still JSON."""

    media_type = "text/event-stream"
    format = "event-stream"
