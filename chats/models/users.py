"""The custom user model."""

from collections.abc import Iterable
from contextlib import suppress
from datetime import timedelta
from typing import Any

from django.contrib.auth.models import AbstractUser, UserManager
from django.core.validators import RegexValidator
from django.db import OperationalError, models, transaction
from django.db.models import Q
from django.db.models.functions import Lower
from django.db.models.lookups import Exact
from django.utils import timezone
from django.utils.crypto import salted_hmac

from chats.db.clocks import SKEW, is_recent
from chats.db.impatient import brief_transaction
from chats.db.uuids import uuid7
from chats.models import matching  # noqa: F401  (registers has_text)
from chats.models.audit import AuditEntry
from chats.models.fields import EmailAddressField, LineField, UsernameField
from chats.models.text.characters import spellings
from chats.models.text.identifiers import normal_address, normal_form

POWERS = ("role", "is_staff", "is_superuser")
NAMES = ("username", "first_name", "last_name")  # the fields that searches look in
ONLINE_FOR = timedelta(seconds=60)  # how long a user counts as online after being seen
SEEN_PRECISION = timedelta(seconds=30)  # last_seen_at is written at most this often

validate_no_at_sign = RegexValidator(
    "@",
    "A username may not contain @.",
    code="at_sign_in_username",
    inverse_match=True,
)
validate_phone_number = RegexValidator(
    r"^\+?[0-9][0-9 ()./-]{2,30}$", "Enter a phone number.", code="invalid_phone"
)


def any_contains(fields: Iterable[str], text: str) -> Q:
    """Return the condition that a field contains ``text``, ignoring case, in any of the
    forms in which it may be stored."""
    matches = [
        Q(**{f"{field}__has_text": spelling})
        for field in fields
        for spelling in spellings(text)
    ]
    return Q(*matches, _connector=Q.OR)


class UserQuerySet(models.QuerySet):
    """Sets of users; chain freely."""

    def active(self) -> "UserQuerySet":
        """Those who can sign in: neither suspended nor deleted."""
        return self.filter(is_active=True)

    def visible_to(self, user: "User") -> "UserQuerySet":
        """Those that ``user`` may look up: active users, or all for role-admins."""
        return self if user.is_role_admin else self.active()

    def online(self) -> "UserQuerySet":
        return self.seen_within(ONLINE_FOR)

    def offline(self) -> "UserQuerySet":
        now = timezone.now()
        earlier = Q(last_seen_at__lt=now - ONLINE_FOR)
        never = Q(last_seen_at=None) | Q(last_seen_at__gt=now + SKEW)
        return self.filter(earlier | never)

    def seen_within(self, span: timedelta) -> "UserQuerySet":
        """Those last seen at most ``span`` ago, by the rule of ``is_recent``."""
        now = timezone.now()
        return self.filter(last_seen_at__range=(now - span, now + SKEW))

    def named(self, identifier: str) -> "UserQuerySet":
        """The one with this username or e-mail, in any case and Unicode form."""
        identifier = normal_form(identifier)
        field = "username"
        if "@" in identifier:
            field, identifier = "email", normal_address(identifier)
        return self.filter(Exact(Lower(field), Lower(models.Value(identifier))))

    def search(self, text: str, *, with_email: bool = False) -> "UserQuerySet":
        """Those with ``text`` in a field of ``NAMES`` or, if requested, the e-mail."""
        fields = (*NAMES, "email") if with_email else NAMES
        return self.filter(any_contains(fields, text))


class ChatsUserManager(UserManager.from_queryset(UserQuerySet)):
    """Django's user manager; it gives superusers the role admin."""

    @classmethod
    def normalize_email(cls, email: str | None) -> str:
        return normal_address(email or "")

    def create_superuser(
        self,
        username: str,
        email: str | None = None,
        password: str | None = None,
        **extra_fields: Any,
    ) -> "User":
        """Create a superuser; the audit log records it as done by the operator."""
        extra_fields.setdefault("role", User.Role.ADMIN)
        with transaction.atomic():
            user = super().create_superuser(username, email, password, **extra_fields)
            AuditEntry(
                action=AuditEntry.Action.USER_CREATED,
                user_id=user.pk,
                details=user.describe_powers(),
            ).save(force_insert=True)
        return user

    def get_by_natural_key(self, username: str) -> "User":
        return self.named(username).get()


class User(AbstractUser):
    """A user. Deletion anonymises the row, so messages keep their sender."""

    class Role(models.TextChoices):
        GUEST = "guest", "Guest"
        HOST = "host", "Host"
        ADMIN = "admin", "Admin"

    user_id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    username = UsernameField(
        max_length=150,
        unique=True,
        help_text="Letters, digits and . + - _ only. Unique regardless of case (on "
        "SQLite, only for the letters A to Z).",
        validators=[AbstractUser.username_validator, validate_no_at_sign],
        error_messages={"unique": "A user with that username already exists."},
    )
    email = EmailAddressField(max_length=254)
    first_name = LineField(max_length=150)
    last_name = LineField(max_length=150)
    phone_number = models.CharField(  # noqa: DJ001 (the contract says null)
        max_length=32, null=True, blank=True, validators=[validate_phone_number]
    )
    role = models.CharField(max_length=5, choices=Role.choices, default=Role.GUEST)
    last_seen_at = models.DateTimeField(null=True, blank=True, editable=False)
    deleted_at = models.DateTimeField(null=True, blank=True, editable=False)
    # Part of every session's fingerprint: changing it ends all sessions.
    sessions_ended_at = models.DateTimeField(null=True, blank=True, editable=False)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)
    date_joined = None  # replaced by created_at

    objects = ChatsUserManager()

    REQUIRED_FIELDS = ("email", "first_name", "last_name")

    class Meta:
        ordering = ("username",)
        constraints = [
            # Sign-in by e-mail or username finds one user; also the lookup indexes.
            models.UniqueConstraint(
                Lower("email"),
                name="user_email_unique",
                violation_error_message="A user with that e-mail already exists.",
            ),
            models.UniqueConstraint(
                Lower("username"),
                name="user_username_unique",
                violation_error_message="A user with that username already exists.",
            ),
            models.CheckConstraint(
                condition=Q(role__in=["guest", "host", "admin"]), name="user_role_known"
            ),
            models.CheckConstraint(
                condition=Q(is_superuser=False) | Q(role="admin"),
                name="user_superuser_is_role_admin",
                violation_error_message="A superuser must have the role admin.",
            ),
            models.CheckConstraint(
                condition=~Q(email="") & ~Q(first_name="") & ~Q(last_name=""),
                name="user_names_and_email_required",
            ),
            models.CheckConstraint(
                condition=Q(deleted_at=None) | Q(is_active=False),
                name="user_deleted_is_inactive",
            ),
        ]
        indexes = [
            # The is_online filter, presence, and the admin's number of active users.
            models.Index(fields=["last_seen_at"], name="user_last_seen"),
            # The admin's list, newest first, and its filter by date.
            models.Index(fields=["created_at"], name="user_created"),
        ]

    @classmethod
    def normalize_username(cls, username: str | None) -> str | None:
        return username and normal_form(username)  # None from an invalid form

    @property
    def is_role_admin(self) -> bool:
        """Whether the user manages accounts through the API."""
        return self.role == self.Role.ADMIN

    def describe_powers(self) -> str:
        """Return the powers that are not defaults: "role: admin, is_staff: True"."""
        held = {name: getattr(self, name) for name in POWERS}
        usual = {name: self._meta.get_field(name).default for name in POWERS}
        return ", ".join(f"{k}: {v}" for k, v in held.items() if v != usual[k])

    @property
    def is_online(self) -> bool:
        return is_online(self.last_seen_at)

    def mark_seen(self) -> None:
        """Record that the user is online, at most twice a minute.

        A time in the future, from a wrong clock, is overwritten. This does not fail: if
        the database is busy, a later call records the time.
        """
        now = timezone.now()
        seen_at = self.last_seen_at
        if seen_at and now - SEEN_PRECISION < seen_at <= now + SKEW:
            return
        self.last_seen_at = now
        with suppress(OperationalError), brief_transaction():
            User.objects.filter(pk=self.pk).update(last_seen_at=now)

    def _get_session_auth_hash(self, secret: str | None = None) -> str:
        """Return the fingerprint that a session must match.

        A new password, a deactivation or a deletion changes it, and so ends all older
        sessions.
        """
        salt = "chats.models.User.get_session_auth_hash"
        value = f"{self.password}{self.sessions_ended_at}"
        return salted_hmac(salt, value, secret=secret, algorithm="sha256").hexdigest()

    def can_manage(self, other: "User") -> bool:
        """Return whether this user may change or delete the account of ``other``.

        Role-admins manage other users, but only superusers manage staff. Otherwise a
        role-admin could change a superuser's e-mail and take the account over by a
        password reset.
        """
        if self == other:
            return True
        outranked = other.is_staff or other.is_superuser
        return self.is_superuser or (self.is_role_admin and not outranked)


def is_online(last_seen_at) -> bool:
    """Return whether a user last seen at this time (None: never) is online."""
    if last_seen_at is None:
        return False
    return is_recent(last_seen_at, ONLINE_FOR, timezone.now())
