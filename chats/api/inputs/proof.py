"""Proof that the caller is the account's owner: the current password."""

from rest_framework import serializers
from rest_framework.request import Request

from chats.serializers import examples
from chats.serializers.examples import shown_as
from chats.services import sign_in
from chats.web.addresses import client_network


class CurrentPasswordField(serializers.CharField):
    """The caller's current password: any text, never trimmed, never shown."""

    def __init__(self, **kwargs):
        super().__init__(
            required=False,
            write_only=True,
            max_length=128,
            trim_whitespace=False,
            **kwargs,
        )


@shown_as(examples.PROOF, component_name="CurrentPassword")
class ProofSerializer(serializers.Serializer):
    """The password, unless the session signed in within the last 15 minutes."""

    current_password = CurrentPasswordField(
        help_text="Not required within 15 minutes of signing in."
    )


def require_proof(
    request: Request, password: str | None, *, purpose: str, always: bool = False
) -> None:
    """Check the caller's current password; a wrong one counts as a failed sign-in.

    Without a password, only a session that has just signed in passes, and none if
    ``always``. Raises ValidationError or ChatError on ``current_password``, and
    TooManyAttempts.
    """
    if password is not None:
        sign_in.confirm_password(
            request.user, password, client_network(request), field="current_password"
        )
    elif always or request.auth is not None or not request.session.is_fresh:
        message = f"Required to {purpose}."
        raise serializers.ValidationError(
            {"current_password": [message]}, code="required"
        )
