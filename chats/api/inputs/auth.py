"""Signing in, passwords, access tokens."""

from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.contrib.auth.tokens import default_token_generator
from django.core.exceptions import ValidationError as DjangoValidationError
from django.utils import timezone
from django.utils.http import urlsafe_base64_decode
from rest_framework import serializers

from chats.api.inputs.fields import EmailField, LinesSerializer
from chats.api.inputs.proof import CurrentPasswordField
from chats.api.inputs.users import require_password
from chats.models import AccessToken, User
from chats.serializers import examples
from chats.serializers.examples import shown_as
from chats.web.times import INVALID, parse_time


class PasswordField(serializers.CharField):
    """A password: any text, never trimmed, never shown."""

    def __init__(self, **kwargs):
        kwargs = {"max_length": 128, "trim_whitespace": False} | kwargs
        super().__init__(write_only=True, **kwargs)


class TimeField(serializers.DateTimeField):
    """A time in RFC 3339, given in UTC."""

    default_error_messages = {"invalid": INVALID}

    def to_internal_value(self, value: Any) -> datetime:
        try:
            return parse_time(value)
        except (TypeError, ValueError):
            self.fail("invalid")


def with_identifier(attrs: dict) -> dict:
    """Add ``identifier``: the username or, without one, the e-mail."""
    attrs["identifier"] = attrs.get("username") or attrs.get("email")
    if not attrs["identifier"]:
        raise serializers.ValidationError(
            {"username": ["Send a username or an email."]}, code="required"
        )
    return attrs


@shown_as(examples.LOGIN)
class LoginSerializer(serializers.Serializer):
    """Username or e-mail, and the password."""

    username = serializers.CharField(required=False, max_length=254)
    email = serializers.CharField(required=False, max_length=254)
    password = PasswordField()

    def validate(self, attrs: dict) -> dict:
        return with_identifier(attrs)


class PasswordChangeSerializer(serializers.Serializer):
    """The old password, as proof, and the new one."""

    old_password = PasswordField()
    new_password = PasswordField()

    def validate(self, attrs: dict) -> dict:
        user = self.context["request"].user
        require_password(attrs["new_password"], user, field="new_password")
        return attrs


class PasswordResetSerializer(serializers.Serializer):
    """The account whose password was forgotten."""

    email = EmailField()


class PasswordResetConfirmSerializer(serializers.Serializer):
    """The values from the reset e-mail, and the new password."""

    uid = serializers.CharField(max_length=100)
    token = serializers.CharField(max_length=100)
    new_password = PasswordField()

    def validate(self, attrs: dict) -> dict:
        user = user_of(attrs["uid"])
        if user is None or not default_token_generator.check_token(
            user, attrs["token"]
        ):
            raise serializers.ValidationError({"token": ["Invalid or expired."]})
        require_password(attrs["new_password"], user, field="new_password")
        attrs["user"] = user
        return attrs


def user_of(uid: str) -> User | None:
    """Return the active user of a reset link."""
    try:
        user_id = User._meta.pk.to_python(urlsafe_base64_decode(uid).decode())
    except (ValueError, DjangoValidationError):
        return None
    return User.objects.active().filter(pk=user_id).first()


@shown_as(examples.ISSUE_TOKEN, component_name="IssueAccessToken")
class IssueTokenSerializer(LinesSerializer):
    """A token to create, with a session or with a username (or e-mail) and password.

    A session must send `current_password`, unless it signed in within the last 15
    minutes.
    """

    username = serializers.CharField(required=False, max_length=254)
    email = serializers.CharField(required=False, max_length=254)
    password = PasswordField(required=False)
    current_password = CurrentPasswordField(
        help_text="Required with a session, except within 15 minutes of signing in."
    )
    expires_at = TimeField(
        required=False,
        allow_null=True,
        help_text="At most `TOKEN_MAX_DAYS` days from now, which is also the default.",
    )

    class Meta:
        model = AccessToken
        fields = (
            "name",
            "expires_at",
            "username",
            "email",
            "password",
            "current_password",
        )

    def validate(self, attrs: dict) -> dict:
        """Require both a name and a password, or neither: then the session counts."""
        if "password" in attrs:
            return with_identifier(attrs)
        if "username" in attrs or "email" in attrs:
            raise serializers.ValidationError(
                {"password": ["This field is required."]}, code="required"
            )
        return attrs

    def validate_expires_at(self, value: datetime | None) -> datetime | None:
        now = timezone.now()
        if value is not None and value <= now:
            raise serializers.ValidationError("Must be in the future.")
        if value is not None and value > now + timedelta(days=settings.TOKEN_MAX_DAYS):
            raise serializers.ValidationError(
                f"Must be at most {settings.TOKEN_MAX_DAYS} days from now."
            )
        return value
