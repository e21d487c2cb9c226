"""What a person is signed in with."""

from rest_framework import serializers

from chats.models.sessions import device_of

KINDS = ("session", "token")


class SignInSerializer(serializers.Serializer):
    """A session or an access token."""

    session_id = serializers.UUIDField()
    kind = serializers.ChoiceField(choices=KINDS)
    name = serializers.SerializerMethodField(
        help_text="The token's name, or the session's device: \"Firefox on Linux\"."
    )
    user_agent = serializers.CharField(help_text="Of the sign-in; empty for a token.")
    address = serializers.CharField(help_text="Of the last use; empty before it.")
    created_at = serializers.DateTimeField()
    last_used_at = serializers.DateTimeField(
        allow_null=True, help_text="Written at most once a minute."
    )
    expires_at = serializers.DateTimeField()
    is_current = serializers.SerializerMethodField(help_text="This call's own.")

    def get_name(self, row: dict) -> str:
        return row["name"] if row["kind"] == "token" else device_of(row["user_agent"])

    def get_is_current(self, row: dict) -> bool:
        return row["session_id"] == self.context["current"]
