"""WSGI entry point: the whole application; event streams end after the backlog."""

import os

from django.core.handlers.wsgi import WSGIRequest
from django.core.wsgi import get_wsgi_application
from django.urls import reverse
from django.utils.http import parse_header_parameters

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "messaging_app.settings")


class Utf8Request(WSGIRequest):
    """A request in UTF-8, whatever charset its Content-Type claims.

    Django would decode the query string with that charset, and fails for codecs that do
    not produce text, such as ``zlib``.
    """

    def _set_content_type_params(self, meta):
        self.content_type, self.content_params = parse_header_parameters(
            meta.get("CONTENT_TYPE", "")
        )


application = get_wsgi_application()
application.request_class = Utf8Request

# Load the routes now, so that the first request does not wait for it.
reverse("admin:index")
