"""Events: a page of the log, or the stream."""

from django.http import HttpResponse
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework.renderers import BrowsableAPIRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from chats.events import cursors, log
from chats.events.people import Credential
from chats.events.presence import fingerprint
from chats.events.streams import opening
from chats.models import AccessToken, Event
from chats.models.sign_in import digest_of
from chats.pagination import size_of
from chats.parameters import check_parameters
from chats.renderers import EventStreamRenderer, JSONRenderer
from chats.schema import Error, FieldErrors
from chats.serializers.events import EventPageSerializer

DEFAULT_LIMIT = 100
MAX_LIMIT = 1000
PARAMETERS = ("after", "limit")


class EventsView(APIView):
    """What happened in my conversations, in commit order."""

    renderer_classes = (JSONRenderer, BrowsableAPIRenderer, EventStreamRenderer)

    @extend_schema(
        operation_id="events_list",
        parameters=[
            OpenApiParameter("after", str, description="A cursor: what came after it."),
            OpenApiParameter("limit", int, description="1 to 1000; 100 if not given."),
            OpenApiParameter(
                "Last-Event-ID", str, "header", description="A cursor; beats `after`."
            ),
        ],
        responses={
            (200, "application/json"): EventPageSerializer,
            (200, "text/event-stream"): OpenApiResponse(
                str, description="`id:` is the cursor, `data:` an event in JSON."
            ),
            400: FieldErrors,
            410: Error,
        },
    )
    def get(self, request: Request) -> Response | HttpResponse:
        """Get events, or follow them.

        Without a cursor: no events, and the present cursor. With
        `Accept: text/event-stream` the answer stays open and goes on live.
        """
        check_parameters(request, PARAMETERS)
        cursor = request.headers.get("Last-Event-ID") or request.query_params.get(
            "after"
        )
        after = None if cursor is None else cursors.decode(cursor)
        if isinstance(request.accepted_renderer, EventStreamRenderer):
            return self._stream(request, after)
        limit = size_of(request, "limit", default=DEFAULT_LIMIT, maximum=MAX_LIMIT)
        if after is None:
            position = Event.objects.last_id()
            page = log.Page(payloads=[], position=position, has_more=False)
        else:
            page = log.page(request.user.pk, after, limit)
        return Response(
            {
                "events": page.payloads,
                "cursor": cursors.encode(page.position),
                "more": page.has_more,
            }
        )

    def handle_exception(self, exc: Exception) -> Response:
        """Answer errors in JSON, whatever was asked for."""
        response = super().handle_exception(exc)
        self.request.accepted_renderer = JSONRenderer()
        self.request.accepted_media_type = JSONRenderer.media_type
        return response

    def _stream(self, request: Request, after: int | None) -> HttpResponse:
        """Answer what is waiting; leave the rest to the shell, if it is there.

        On a plain WSGI server nobody made the offer to hold the connection: the
        answer ends, and EventSource comes back after ``retry`` milliseconds.
        """
        offer = request.META.get("chats.hold") if request.method == "GET" else None
        if offer is not None:
            offer.reserve(request.user.pk)
        start = opening(request.user.pk, after)
        if offer is not None:
            offer.accept(request.user.pk, start, credential_of(request))
        response = HttpResponse(
            start.body,
            content_type="text/event-stream",
            headers={"X-Accel-Buffering": "no", "Cache-Control": "no-store"},
        )
        # By this the bridge takes it apart: up to 500 events are not to stay.
        response.renderer_context = self.get_renderer_context()
        return response


def credential_of(request: Request) -> Credential:
    """Return what the stream's right to stay open hangs on."""
    user = request.user
    mark = fingerprint(user.password, user.sessions_ended_at)
    if isinstance(request.auth, AccessToken):
        return Credential("token", str(request.auth.pk), mark)
    return Credential("session", digest_of(request.session.session_key or ""), mark)
