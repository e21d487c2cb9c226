"""Access tokens, and the sign-in attempts that limit password guessing."""

import hashlib
import secrets
from contextlib import suppress
from datetime import datetime, timedelta

from django.conf import settings
from django.db import OperationalError, models
from django.utils import timezone

from chats.db.clocks import is_recent
from chats.db.impatient import brief_transaction
from chats.db.prepared import Param, Prepared
from chats.db.uuids import uuid7
from chats.models.fields import LineField
from chats.models.users import User

PREFIX_LENGTH = 8
LAST_USED_PRECISION = timedelta(minutes=1)  # written at most this often


def digest_of(secret: str) -> str:
    """Return the digest under which a token is stored.

    It is plain SHA-256: a slow hash would add nothing to a secret of 256 random bits.
    """
    return hashlib.sha256(secret.encode()).hexdigest()


class AccessTokenQuerySet(models.QuerySet):
    """Sets of tokens; chain freely."""

    def visible_to(self, user: User) -> "AccessTokenQuerySet":
        """The user's own."""
        return self.filter(user=user)

    def valid(self) -> "AccessTokenQuerySet":
        """Those that are not expired and belong to an active user."""
        return self.filter(expires_at__gt=timezone.now(), user__is_active=True)

    def opened_by(self, secret: str) -> "AccessToken | None":
        """Return the valid token with this secret, with its user, or None."""
        token = _BY_DIGEST.instance(digest=digest_of(secret))
        return token if token and token.is_valid else None

    def issue(
        self, user: User, name: str, expires_at: datetime | None
    ) -> tuple["AccessToken", str]:
        """Create a token; return it with the secret, which is not stored.

        Without ``expires_at`` it is valid for ``TOKEN_MAX_DAYS``.
        """
        longest = timezone.now() + timedelta(days=settings.TOKEN_MAX_DAYS)
        secret = secrets.token_urlsafe(32)
        token = self.create(
            user=user,
            name=name,
            prefix=secret[:PREFIX_LENGTH],
            digest=digest_of(secret),
            expires_at=expires_at or longest,
        )
        return token, secret


class AccessToken(models.Model):
    """A secret with which a script calls the API as its user."""

    token_id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    user = models.ForeignKey(
        User, on_delete=models.CASCADE, related_name="access_tokens"
    )
    name = LineField(max_length=100, help_text="What the token is for.")
    prefix = models.CharField(max_length=PREFIX_LENGTH, editable=False)
    digest = models.CharField(max_length=64, unique=True, editable=False)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    expires_at = models.DateTimeField()
    last_used_at = models.DateTimeField(null=True, editable=False)
    address = models.CharField(  # of the last use
        max_length=45, blank=True, default="", db_default="", editable=False
    )

    objects = AccessTokenQuerySet.as_manager()

    class Meta:
        ordering = ("-created_at", "-token_id")

    def __str__(self) -> str:
        return f"{self.name} ({self.prefix}…)"

    @property
    def is_valid(self) -> bool:
        """Whether it is valid now, by the same rules as ``valid()``."""
        return self.expires_at > timezone.now() and self.user.is_active

    def mark_used(self, address: str) -> None:
        """Record the use, at most once a minute.

        Like ``User.mark_seen``, this neither fails nor delays a call.
        """
        now, used_at = timezone.now(), self.last_used_at
        if used_at and is_recent(used_at, LAST_USED_PRECISION, now):
            return
        with suppress(OperationalError), brief_transaction():
            own = type(self).objects.filter(pk=self.pk)
            own.update(last_used_at=now, address=address)


# Every call with a token begins with this query.
_BY_DIGEST = Prepared(
    lambda: (
        AccessToken.objects.filter(digest=Param("digest", models.CharField()))
        .select_related("user")
        .order_by()
    )
)


class SignInAttempts(models.Model):
    """The number of attempts for a key: an account, or an account from an address.

    A row without attempts records that the account has signed in from the address; it
    is remembered until ``window_ends_at``.
    """

    key = models.CharField(max_length=64, primary_key=True)
    attempts = models.PositiveIntegerField(default=0)
    window_ends_at = models.DateTimeField()

    class Meta:
        verbose_name_plural = "sign-in attempts"
        indexes = [
            # Deleting windows that are over.
            models.Index(fields=["window_ends_at"], name="sign_in_attempts_end"),
        ]

    def __str__(self) -> str:
        return f"{self.attempts} until {self.window_ends_at:%H:%M:%S}"
