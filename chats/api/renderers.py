"""Writing answers: JSON, and the event stream's media type."""

from rest_framework import renderers

from chats.web.encoding import to_json


class JSONRenderer(renderers.JSONRenderer):
    """DRF's JSON renderer at several times its speed; indents when asked to."""

    charset = None

    def render(self, data, accepted_media_type=None, renderer_context=None) -> bytes:
        if data is None:
            return b""
        if self.get_indent(accepted_media_type or "", renderer_context or {}):
            return super().render(data, accepted_media_type, renderer_context)
        return to_json(data)


class EventStreamRenderer(JSONRenderer):
    """Lets ``Accept: text/event-stream`` be negotiated; errors are JSON still."""

    media_type = "text/event-stream"
    format = "event-stream"
