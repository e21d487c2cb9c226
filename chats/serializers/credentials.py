"""Sessions and access tokens, with which users are signed in."""

from drf_spectacular.utils import extend_schema_serializer
from rest_framework import serializers

from chats.models import AccessToken
from chats.models.sessions import device_of
from chats.serializers import examples
from chats.serializers.examples import shown_as

KINDS = ("session", "token")


class SignInSerializer(serializers.Serializer):
    """A session or an access token."""

    session_id = serializers.UUIDField()
    kind = serializers.ChoiceField(choices=KINDS)
    name = serializers.SerializerMethodField(
        help_text="The token's name, or the session's device: \"Firefox on Linux\"."
    )
    user_agent = serializers.CharField(help_text="At sign-in; empty for a token.")
    address = serializers.CharField(help_text="The IP address of the last use, if any.")
    created_at = serializers.DateTimeField()
    last_used_at = serializers.DateTimeField(
        allow_null=True, help_text="Updated at most once a minute."
    )
    expires_at = serializers.DateTimeField()
    is_current = serializers.SerializerMethodField(
        help_text="Whether this call uses it."
    )

    def get_name(self, row: dict) -> str:
        return row["name"] if row["kind"] == "token" else device_of(row["user_agent"])

    def get_is_current(self, row: dict) -> bool:
        return row["session_id"] == self.context["current"]


@extend_schema_serializer(component_name="AccessToken")
class TokenSerializer(serializers.ModelSerializer):
    """An access token, without its secret."""

    class Meta:
        model = AccessToken
        fields = (
            "token_id",
            "name",
            "prefix",
            "created_at",
            "expires_at",
            "last_used_at",
        )


@shown_as(examples.NEW_TOKEN, component_name="NewAccessToken")
class NewTokenSerializer(TokenSerializer):
    """An access token with its secret, which is shown only this once."""

    token = serializers.CharField(read_only=True)

    class Meta(TokenSerializer.Meta):
        fields = (*TokenSerializer.Meta.fields, "token")
