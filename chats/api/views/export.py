"""The export of the caller's own data, as lines of JSON."""

from collections.abc import Iterator
from typing import Any
from uuid import UUID

from django.db.models import F
from django.http import StreamingHttpResponse
from django.utils import timezone
from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework.request import Request
from rest_framework.views import APIView

from chats.api.renderers import JSONRenderer
from chats.api.views.events import credential_of
from chats.models import (
    AccessToken,
    Conversation,
    Message,
    Participant,
    User,
    UserSession,
)
from chats.models.credentials import Credential, valid
from chats.models.sessions import device_of
from chats.serializers.conversations import ConversationSerializer
from chats.serializers.messages import MessageSerializer
from chats.serializers.participants import ParticipantSerializer
from chats.serializers.rows import Row
from chats.serializers.users import PrivateUserSerializer
from chats.services.audit import Action, record
from chats.web.encoding import to_json
from chats.web.throttles import ExportThrottle

CHUNK = 100  # rows read at once, by one short query each time
TOKEN = ("token_id", "name", "prefix", "created_at", "expires_at", "last_used_at")
SESSION = ("session_id", "user_agent", "address", "created_at", "last_used_at")


class ExportedConversationSerializer(ConversationSerializer):
    """A conversation in an export, which has lines for participants and messages."""

    class Meta(ConversationSerializer.Meta):
        fields = tuple(
            name
            for name in ConversationSerializer.Meta.fields
            if name not in {"participants", "last_message", "can"}
        )


class ExportView(APIView):
    """The caller's data."""

    is_slow = True

    def get_throttles(self) -> list:
        return [*super().get_throttles(), ExportThrottle()]

    def perform_content_negotiation(self, request: Request, force: bool = False):
        """Answer in one form, whatever is asked for; errors in JSON."""
        return JSONRenderer(), JSONRenderer.media_type

    @extend_schema(
        operation_id="users_me_export",
        responses={(200, "application/x-ndjson"): OpenApiResponse(str)},
    )
    def get(self, request: Request) -> StreamingHttpResponse:
        """Export my data.

        Lines of JSON: my account, my tokens, my sessions, my conversations, each with
        its participants and messages. The last line has the type `end`; without it the
        export is incomplete.
        """
        user = request.user
        if request.method == "GET":  # HEAD exports nothing
            record(Action.USER_EXPORTED, user, actor=user)
        # The session or token must stay valid: it is checked before each chunk.
        credential = credential_of(request)
        lines = Export(user, credential).lines() if request.method == "GET" else ()
        name = f"messaging-{timezone.now():%Y-%m-%d}.ndjson"
        return StreamingHttpResponse(
            map(line_of, lines),
            content_type="application/x-ndjson",
            headers={"Content-Disposition": f'attachment; filename="{name}"'},
        )


class Export:
    """One user's data, read in chunks, each by its own queries and transaction.

    Of a conversation it has the messages up to the ``last_seq`` in its line, and none
    that is sent meanwhile.
    """

    def __init__(self, user: User, credential: Credential):
        self.user, self.credential = user, credential

    def lines(self) -> Iterator[dict[str, Any]]:
        yield {"type": "export", "format": 1, "created_at": timezone.now()}
        user = User.objects.filter(pk=self.user.pk)
        user = user.values(*PrivateUserSerializer.columns())
        for shown in PrivateUserSerializer.render(user):
            yield {"type": "user", **shown}
        tokens = AccessToken.objects.visible_to(self.user).order_by("pk")
        for token in tokens.values(*TOKEN):
            yield {"type": "token", **token}
        yield from self._sessions()
        for conversation in self._conversations():
            yield from self._conversation(conversation)
        if self._may_go_on():
            yield {"type": "end"}

    def _sessions(self) -> Iterator[dict[str, Any]]:
        sessions = UserSession.objects.visible_to(self.user).valid()
        sessions = sessions.order_by("session_id")
        for session in sessions.values(*SESSION, expires_at=F("expire_date")):
            name = device_of(session["user_agent"])
            yield {"type": "session", "name": name, **session}

    def _conversations(self) -> Iterator[Row]:
        after = UUID(int=0)
        while self._may_go_on():
            mine = Conversation.objects.visible_to(self.user).filter(pk__gt=after)
            columns = ExportedConversationSerializer.columns(for_reader=True)
            mine = mine.values(*columns).order_by("pk")
            yield from (chunk := list(mine[:CHUNK]))
            if len(chunk) < CHUNK:
                return
            after = chunk[-1]["conversation_id"]

    def _conversation(self, row: Row) -> Iterator[dict[str, Any]]:
        key = row["conversation_id"]
        [shown] = ExportedConversationSerializer.render([row], self.user.pk)
        yield {"type": "conversation", **shown}
        for participants in self._participants(key):
            for shown in ParticipantSerializer.render(participants):
                yield {"type": "participant", "conversation": key, **shown}
        for messages in self._messages(key, row["last_seq"]):
            for shown in MessageSerializer.render(messages, self.user.pk):
                yield {"type": "message", **shown}

    def _participants(self, conversation_id: UUID) -> Iterator[list[Row]]:
        after, columns = 0, ParticipantSerializer.columns()
        visible = Participant.objects.visible_to(self.user).order_by("pk")
        visible = visible.filter(conversation_id=conversation_id)
        while self._may_go_on():
            chunk = list(visible.filter(pk__gt=after).values(*columns)[:CHUNK])
            yield chunk
            if len(chunk) < CHUNK:
                return
            after = chunk[-1]["id"]

    def _messages(self, conversation_id: UUID, last_seq: int) -> Iterator[list[Row]]:
        """Yield the messages in order, as long as the user takes part."""
        visible = Message.objects.visible_to(self.user).order_by("seq")
        visible = visible.filter(conversation_id=conversation_id)
        for after in range(0, last_seq, CHUNK):
            if not self._may_go_on():
                return
            end = min(after + CHUNK, last_seq)
            within = visible.filter(seq__gt=after, seq__lte=end)
            columns = MessageSerializer.columns(for_reader=True)
            yield list(within.values(*columns))

    def _may_go_on(self) -> bool:
        return bool(valid([self.credential]))


def line_of(data: dict[str, Any]) -> bytes:
    return to_json(data) + b"\n"
