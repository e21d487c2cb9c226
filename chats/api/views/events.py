"""Events: a page of the log, or the stream."""

from django.http import HttpResponse
from drf_spectacular.utils import (
    OpenApiParameter,
    OpenApiResponse,
    extend_schema,
    extend_schema_field,
)
from rest_framework import serializers
from rest_framework.renderers import BrowsableAPIRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from chats.api.handlers import NOBODY
from chats.api.renderers import EventStreamRenderer, JSONRenderer
from chats.api.schema import Error, FieldErrors
from chats.lists.pagination import size_of
from chats.models import AccessToken, Event
from chats.models.credentials import Credential
from chats.models.sign_in import digest_of
from chats.realtime import cursors, log
from chats.realtime.kinds import AnyEvent
from chats.realtime.streams import HEADERS, MEDIA_TYPE, ending, opening
from chats.serializers import examples
from chats.serializers.examples import shown_as
from chats.server.refusals import PASSING
from chats.web.addresses import client_network
from chats.web.parameters import check_parameters

DEFAULT_LIMIT = 100
MAX_LIMIT = 1000
STREAM_DESCRIPTION = (
    "Server-Sent Events: `event:` is the type, `data:` one line of JSON, `id:` the "
    "cursor. Every 15 seconds there is a `ping` event with the data `{}`. The last "
    "event is `end`; its `code` is the reason. Where a page would be 429 or 503, the "
    "stream sends `end`, and its `retry:` is the time to wait before reconnecting."
)
# The first of these that is given counts.
CURSORS = ("lastEventId", "after")
PARAMETERS = (*CURSORS, "limit")


@shown_as(examples.EVENT_PAGE)
class EventPageSerializer(serializers.Serializer):
    """A page of events, and the cursor after them."""

    events = serializers.SerializerMethodField()
    cursor = serializers.CharField(help_text="Pass it as `after` to continue.")
    more = serializers.BooleanField(help_text="Whether more events are available.")

    @extend_schema_field(AnyEvent)
    def get_events(self, page: dict) -> list:
        return page["events"]


class EventsView(APIView):
    """Events in the caller's conversations, in the order in which they happened."""

    renderer_classes = (JSONRenderer, BrowsableAPIRenderer, EventStreamRenderer)

    @extend_schema(
        operation_id="events_list",
        parameters=[
            OpenApiParameter(
                "after", str, description="A cursor: only events after it."
            ),
            OpenApiParameter(
                "lastEventId", str, description="A cursor; overrides `after`."
            ),
            OpenApiParameter(
                "Last-Event-ID", str, "header", description="A cursor; overrides both."
            ),
            OpenApiParameter(
                "limit",
                {"type": "integer", "minimum": 1, "maximum": MAX_LIMIT}
                | {"default": DEFAULT_LIMIT},
                description="The maximum number of events.",
            ),
        ],
        responses={
            (200, "application/json"): EventPageSerializer,
            (200, "text/event-stream"): OpenApiResponse(
                str, description=STREAM_DESCRIPTION
            ),
            400: FieldErrors,
            410: Error,
        },
    )
    def get(self, request: Request) -> Response | HttpResponse:
        """Get events, or follow them.

        Without a cursor: no events, only the current cursor. With
        `Accept: text/event-stream` the response stays open and new events follow live.
        """
        check_parameters(request, PARAMETERS)
        after = position_of(request)
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

    def handle_exception(self, exc: Exception) -> Response | HttpResponse:
        """Answer errors in JSON, but temporary ones on a stream as its end.

        EventSource gives up for good at any status but 200. After an ``end`` it
        reconnects when the time in ``retry`` has passed.
        """
        response = super().handle_exception(exc)
        renderer = getattr(self.request, "accepted_renderer", None)
        is_stream = isinstance(renderer, EventStreamRenderer)
        if (
            is_stream
            and response.status_code in PASSING
            and not isinstance(exc, NOBODY)
        ):
            seconds = int(response.headers.get("Retry-After", 1))
            error = response.data
            body = ending(error["code"], 1000 * seconds, error["detail"])
            return self._stream_response(body)
        self.request.accepted_renderer = JSONRenderer()
        self.request.accepted_media_type = JSONRenderer.media_type
        return response

    def _stream(self, request: Request, after: int | None) -> HttpResponse:
        """Answer the waiting events; the shell, if there is one, sends the later ones.

        A plain WSGI server does not offer to hold the connection: the answer ends, and
        EventSource reconnects after ``retry`` milliseconds.
        """
        offer = request.META.get("chats.hold") if request.method == "GET" else None
        if offer is not None:
            offer.reserve(request.user.pk, client_network(request))
        start = opening(request.user.pk, after)
        if offer is not None:
            offer.accept(start, credential_of(request))
        return self._stream_response(start.body)

    def _stream_response(self, body: bytes) -> HttpResponse:
        """Return the answer, which no proxy may buffer, compress or store."""
        response = HttpResponse(
            body,
            content_type=MEDIA_TYPE,
            headers=HEADERS,
        )
        # Closing the response clears this: up to 500 events must not stay in memory.
        response.renderer_context = self.get_renderer_context()
        return response


def position_of(request: Request) -> int | None:
    """Return the position to continue from; None without a cursor.

    The header that EventSource sends is newer than the parameters. ``lastEventId``, its
    name in event-source-polyfill, is newer than ``after``.
    """
    if cursor := request.headers.get("Last-Event-ID"):
        return cursors.decode(cursor)
    for name in CURSORS:
        if name in request.query_params:
            return cursors.decode(request.query_params[name], field=name)
    return None


def credential_of(request: Request) -> Credential:
    """Return the credential that must stay valid for the stream to stay open."""
    if isinstance(request.auth, AccessToken):
        return Credential.of(request.user, "token", str(request.auth.pk))
    key = digest_of(request.session.session_key or "")
    return Credential.of(request.user, "session", key)
