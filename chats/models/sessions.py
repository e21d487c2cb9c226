"""Browser sessions, with their user and the address of their last use."""

import re
from contextlib import suppress

from django.db import OperationalError, models
from django.utils import timezone

from chats.db.clocks import is_recent
from chats.db.impatient import brief_transaction
from chats.db.uuids import uuid7
from chats.models.sign_in import LAST_USED_PRECISION, digest_of
from chats.models.users import User

USER_AGENT_LENGTH = 200
# The first match counts, because most browsers claim to be several.
BROWSERS = {
    "Edge": r"Edg(?:e|A|iOS)?/",
    "Opera": r"OPR/|Opera",
    "Firefox": r"Firefox/|FxiOS/",
    "Chrome": r"Chrome/|CriOS/",
    "Safari": r"Safari/",
}
SYSTEMS = {
    "iPhone": r"iPhone",
    "iPad": r"iPad",
    "Android": r"Android",
    "Windows": r"Windows",
    "macOS": r"Macintosh|Mac OS X",
    "ChromeOS": r"CrOS",
    "Linux": r"Linux|X11",
}


def device_of(user_agent: str) -> str:
    """Return a name by which users recognise their device: "Firefox on Linux".

    It is only a hint, because clients can send any user agent.
    """
    browser, system = _first(BROWSERS, user_agent), _first(SYSTEMS, user_agent)
    if browser and system:
        return f"{browser} on {system}"
    program = re.match(r"[\w.-]{1,40}", user_agent)  # such as curl/8.5.0
    return browser or system or (program[0] if program else "Unknown device")


def _first(patterns: dict[str, str], text: str) -> str:
    found = (name for name, pattern in patterns.items() if re.search(pattern, text))
    return next(found, "")


class UserSessionQuerySet(models.QuerySet):
    """Sets of sessions; chain freely."""

    def visible_to(self, user: User) -> "UserSessionQuerySet":
        """The user's own."""
        return self.filter(user=user)

    def valid(self) -> "UserSessionQuerySet":
        """Those that have not expired."""
        return self.filter(expire_date__gt=timezone.now())

    def keep_most_recent(self, most: int, *, newest: "UserSession") -> None:
        """Keep at most ``most`` sessions of the user, and end the least recently used.

        The newest is never ended, even if the clocks of other nodes are wrong.
        """
        others = self.filter(user_id=newest.user_id).exclude(pk=newest.pk)
        latest_first = others.order_by("-last_used_at", "-session_id")
        ending = list(latest_first.values_list("pk", flat=True)[most - 1 :])
        if ending:
            self.filter(pk__in=ending).delete()

    def opened_by(self, key: str) -> "UserSession | None":
        """Return the valid session with this key, or None."""
        return self.valid().filter(pk=digest_of(key)).first()


class UserSession(models.Model):
    """A stored session; ``user`` is null until somebody signs in.

    Columns that Django's database sessions also have keep Django's names.
    """

    # A digest of the cookie's value, so a reader of the table cannot use a session.
    session_key = models.CharField(max_length=64, primary_key=True)
    session_data = models.TextField()
    expire_date = models.DateTimeField()
    session_id = models.UUIDField(unique=True, default=uuid7, editable=False)
    user = models.ForeignKey(
        User, on_delete=models.CASCADE, null=True, related_name="sessions"
    )
    user_agent = models.CharField(max_length=USER_AGENT_LENGTH, blank=True)
    address = models.CharField(max_length=45, blank=True)
    created_at = models.DateTimeField(default=timezone.now)
    last_used_at = models.DateTimeField(default=timezone.now)

    objects = UserSessionQuerySet.as_manager()

    class Meta:
        verbose_name = "session"
        ordering = ("-created_at", "-session_id")
        indexes = [
            # Deleting expired sessions.
            models.Index(fields=["expire_date"], name="user_session_expiry"),
        ]

    def __str__(self) -> str:
        return device_of(self.user_agent)

    def mark_used(self, address: str) -> None:
        """Record the use, at most once a minute.

        This does not fail: if the database is busy, a later call records the use.
        """
        now = timezone.now()
        if is_recent(self.last_used_at, LAST_USED_PRECISION, now):
            return
        self.last_used_at, self.address = now, address
        own = type(self).objects.filter(pk=self.pk)
        with suppress(OperationalError), brief_transaction():
            own.update(last_used_at=now, address=address)
