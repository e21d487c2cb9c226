"""Accounts to create or change."""

from typing import Any

from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError as DjangoValidationError
from rest_framework import exceptions, serializers

from chats.api.inputs.fields import LinesSerializer, NewEmailField, UsernameField
from chats.api.inputs.proof import CurrentPasswordField, require_proof
from chats.models import User
from chats.models.text.identifiers import validate_username
from chats.models.users import validate_no_at_sign
from chats.serializers import examples
from chats.serializers.examples import shown_as
from chats.serializers.rows import Row
from chats.serializers.users import UserSerializer
from chats.services import users


def require_password(password: str, user: User, *, field: str) -> None:
    """Raise ValidationError on ``field`` unless Django's validators accept it."""
    try:
        validate_password(password, user)
    except DjangoValidationError as error:
        raise serializers.ValidationError({field: error.messages}) from error


def require_free(field: str, value: str, *, owner: User | None = None) -> str:
    """Return the value, or raise ValidationError if somebody else has it."""
    taken = User.objects.named(value)
    if owner is not None:
        taken = taken.exclude(pk=owner.pk)
    if taken.exists():
        label = "e-mail" if field == "email" else field
        raise serializers.ValidationError(
            f"A user with that {label} already exists.", code="unique"
        )
    return value


class AccountInput(LinesSerializer):
    """Fields of an account; the answer shows the account as any other answer does."""

    def to_representation(self, instance: User) -> Row:
        return UserSerializer(instance, context=self.context).data


@shown_as(examples.SIGN_UP)
class SignUpSerializer(AccountInput):
    """A new account. Only an admin can give the role admin."""

    # Uniqueness, regardless of case, is checked below.
    username = UsernameField(
        max_length=150,
        validators=[User.username_validator, validate_no_at_sign, validate_username],
    )
    email = NewEmailField()
    password = serializers.CharField(
        write_only=True, max_length=128, trim_whitespace=False
    )

    class Meta:
        model = User
        fields = (
            "username",
            "email",
            "password",
            "first_name",
            "last_name",
            "phone_number",
            "role",
        )

    def validate_username(self, value: str) -> str:
        return require_free("username", value)

    def validate_email(self, value: str) -> str:
        return require_free("email", value)

    def validate_role(self, value: str) -> str:
        caller = self.context["request"].user
        may_give = caller.is_authenticated and caller.is_role_admin
        if value == User.Role.ADMIN and not may_give:
            raise serializers.ValidationError("Only an admin can create another admin.")
        return value

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        account = User(**{k: v for k, v in attrs.items() if k != "password"})
        require_password(attrs["password"], account, field="password")
        return attrs

    def create(self, validated_data: dict[str, Any]) -> User:
        caller = self.context["request"].user
        actor = caller if caller.is_authenticated else None
        return users.register_user(**validated_data, actor=actor)


class AccountSerializer(AccountInput):
    """Changes to an account: names, e-mail, phone number and, by an admin, the role.

    `username` and `password` cannot be changed here: to send `password`, or another
    `username`, is an error. Changing one's own e-mail requires `current_password`,
    because the password can be reset through the e-mail.
    """

    username = UsernameField(required=False)
    email = NewEmailField()
    password = serializers.CharField(required=False, write_only=True)
    current_password = CurrentPasswordField(
        help_text="Required to change one's own e-mail."
    )

    class Meta:
        model = User
        fields = (
            "username",
            "password",
            "current_password",
            "first_name",
            "last_name",
            "email",
            "phone_number",
            "role",
        )

    def validate_username(self, value: str) -> str:
        if value != self.instance.username:
            raise serializers.ValidationError("A username cannot be changed.")
        return value

    def validate_password(self, value: str) -> str:
        raise serializers.ValidationError("Use /api/auth/password/change/ instead.")

    def validate_email(self, value: str) -> str:
        return require_free("email", value, owner=self.instance)

    def validate_role(self, value: str) -> str:
        if value == self.instance.role:
            return value
        if not self.context["request"].user.is_role_admin:
            raise exceptions.PermissionDenied("Only an admin can change a role.")
        if self.instance.is_superuser:
            raise serializers.ValidationError("A superuser must have the role admin.")
        return value

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Check the current password, last of all, since a wrong one is counted.

        An unchanged e-mail is left out: it may be another one at the time of the
        change, which would then need the password.
        """
        password = attrs.pop("current_password", None)
        request = self.context["request"]
        if request.user.pk != self.instance.pk:
            return attrs
        if attrs.get("email") == self.instance.email:
            del attrs["email"]
        if "email" not in attrs:
            return attrs
        require_proof(request, password, purpose="change your e-mail", always=True)
        return attrs

    def update(self, instance: User, validated_data: dict[str, Any]) -> User:
        validated_data.pop("username", None)
        caller = self.context["request"].user
        return users.update_user(instance, validated_data, actor=caller)
