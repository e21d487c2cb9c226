"""Django's database sessions, with their user and where they are used."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from django.conf import settings
from django.contrib.auth import BACKEND_SESSION_KEY, SESSION_KEY
from django.contrib.sessions.backends import db
from django.utils import timezone

from chats.db.clocks import is_recent
from chats.models import UserSession
from chats.models.sessions import USER_AGENT_LENGTH
from chats.models.sign_in import digest_of
from chats.web.addresses import client_address

SIGNED_IN_AT = "signed_in_at"  # seconds since 1970
# What sessions call the authentication backend, whatever its module is called now: a
# move signs no one out, and processes of two releases know each other's sessions.
STORED_BACKEND = "chats.authentication.UsernameOrEmailBackend"
FRESH_FOR = timedelta(minutes=15)  # after signing in


class SessionStore(db.SessionStore):
    """The engine of SESSION_ENGINE, over ``UserSession``; for synchronous code.

    The table has a digest of each key: the base class's look-ups by key use that.
    """

    def __init__(self, session_key: str | None = None):
        super().__init__(session_key)
        self.meta: Mapping[str, str] = {}  # of the request, set by the middleware
        self.row: UserSession | None = None  # once loaded or saved

    @classmethod
    def get_model_class(cls) -> type[UserSession]:
        return UserSession

    def __setitem__(self, key: str, value: Any) -> None:
        """Note the time of signing in, when the session's user is set."""
        super().__setitem__(key, value)
        if key == SESSION_KEY:
            super().__setitem__(SIGNED_IN_AT, timezone.now().timestamp())

    def encode(self, session_dict: dict[str, Any]) -> str:
        if BACKEND_SESSION_KEY in session_dict:
            session_dict = session_dict | {BACKEND_SESSION_KEY: STORED_BACKEND}
        return super().encode(session_dict)

    def decode(self, session_data: str) -> dict[str, Any]:
        session = super().decode(session_data)
        if session.get(BACKEND_SESSION_KEY) == STORED_BACKEND:
            [session[BACKEND_SESSION_KEY]] = settings.AUTHENTICATION_BACKENDS
        return session

    @property
    def is_fresh(self) -> bool:
        """Whether the user signed in within the last 15 minutes."""
        signed_in_at = datetime.fromtimestamp(self.get(SIGNED_IN_AT, 0), UTC)
        return is_recent(signed_in_at, FRESH_FOR, timezone.now())

    def exists(self, session_key: str) -> bool:
        return UserSession.objects.filter(pk=digest_of(session_key)).exists()

    def save(self, must_create: bool = False) -> None:
        """Save the session; end the oldest ones of a user who has just signed in."""
        before = self.row and self.row.user_id
        super().save(must_create)
        signed_in = self.row.user_id
        if signed_in and str(signed_in) != str(before):
            most = settings.MAX_SESSIONS_PER_USER
            UserSession.objects.keep_most_recent(most, newest=self.row)

    def create_model_instance(self, data: dict[str, Any]) -> UserSession:
        """Return the row to save: the loaded one, or a new one for a new key."""
        digest = digest_of(self._get_or_create_session_key())
        if self.row is None or self.row.pk != digest:
            agent = self.meta.get("HTTP_USER_AGENT", "").replace("\0", "")
            self.row = UserSession(
                session_key=digest,
                user_agent=agent[:USER_AGENT_LENGTH],
                address=client_address(self.meta),
            )
        self.row.user_id = data.get(SESSION_KEY)
        self.row.session_data = self.encode(data)
        self.row.expire_date = self.get_expiry_date()
        return self.row

    def delete(self, session_key: str | None = None) -> None:
        key = session_key or self.session_key
        if key is None:
            return
        digest = digest_of(key)
        UserSession.objects.filter(pk=digest).delete()
        if self.row is not None and self.row.pk == digest:
            self.row = None

    def mark_used(self) -> None:
        """Note when and from where the session was used, if it was read."""
        if self.row is not None:
            self.row.mark_used(client_address(self.meta))

    def _get_session_from_db(self) -> UserSession | None:
        self.row = UserSession.objects.opened_by(self.session_key)
        if self.row is None:
            self._session_key = None
        return self.row
