"""How the API describes itself: OpenAPI 3, with error answers on every operation."""

from drf_spectacular.extensions import (
    OpenApiAuthenticationExtension,
    OpenApiSerializerExtension,
)
from drf_spectacular.openapi import AutoSchema
from rest_framework import serializers


class Error(serializers.Serializer):
    """What went wrong, for people and for programs."""

    detail = serializers.CharField(help_text="What went wrong, in a sentence.")
    code = serializers.CharField(help_text="A stable word for it.")


class FieldErrors(serializers.Serializer):
    """The inputs at fault, each with its messages (or ``detail`` and ``code``)."""


class FieldErrorsSchema(OpenApiSerializerExtension):
    """The shape of FieldErrors, whose names are those of the inputs."""

    target_class = "chats.schema.FieldErrors"

    def map_serializer(self, auto_schema: AutoSchema, direction: str) -> dict:
        messages = {"type": "array", "items": {"type": "string"}, "minItems": 1}
        return {
            "type": "object",
            "description": FieldErrors.__doc__,
            "minProperties": 1,
            "additionalProperties": {"oneOf": [{"type": "string"}, messages]},
        }


class ChatsSchema(AutoSchema):
    """Summaries from docstrings; the error answers every operation can give."""

    def get_summary(self) -> str:
        return self._docstring().partition("\n")[0].rstrip(".")

    def get_description(self) -> str:
        return self._docstring().partition("\n")[2].strip()

    def _docstring(self) -> str:
        action = getattr(self.view, self.method.lower(), None)
        action = getattr(self.view, getattr(self.view, "action", "") or "", action)
        lines = (action.__doc__ or self.view.__doc__ or "").strip().splitlines()
        return "\n".join(line.strip() for line in lines)

    def get_auth(self) -> list[dict]:
        """Say of sign-up too that it needs none, which CanRegister does not show."""
        auths = super().get_auth()
        return [*auths, {}] if "CanRegister" in self._permissions() else auths

    def _get_response_bodies(self, direction="response") -> dict:
        bodies = super()._get_response_bodies(direction)
        for status, serializer in self._errors().items():
            if status not in bodies:
                bodies[status] = self._get_response_for_code(
                    serializer, status, direction=direction
                )
        return dict(sorted(bodies.items()))

    def _errors(self) -> dict:
        errors = {"429": Error, "503": Error}
        if not self._is_public():
            errors["401"] = Error
        if self.method in {"POST", "PUT", "PATCH"}:
            errors |= {"400": FieldErrors, "413": Error, "415": Error}
        if self.method != "GET" and not self._is_public():
            errors["403"] = Error
        if "{" in self.path:
            errors["404"] = Error
        if self._is_list_view() and self.method == "GET":
            errors["400"] = FieldErrors
        return errors

    def _is_public(self) -> bool:
        return self._permissions() == {"AllowAny"}

    def _permissions(self) -> set[str]:
        return {type(item).__name__ for item in self.view.get_permissions()}


class TokenScheme(OpenApiAuthenticationExtension):
    """``Authorization: Token …`` in the schema."""

    target_class = "chats.authentication.TokenAuthentication"
    name = "token"

    def get_security_definition(self, auto_schema) -> dict:
        return {
            "type": "apiKey",
            "in": "header",
            "name": "Authorization",
            "description": "`Token <secret>`, from `POST /api/auth/tokens/`.",
        }


class SessionScheme(OpenApiAuthenticationExtension):
    """The session cookie in the schema."""

    target_class = "chats.authentication.SessionAuthentication"
    name = "session"

    def get_security_definition(self, auto_schema) -> dict:
        return {"type": "apiKey", "in": "cookie", "name": "sessionid"}


def private_fields_optional(result: dict, generator, request, public) -> dict:
    """Say that a user's private fields are there for some callers only."""
    user = result["components"]["schemas"].get("User", {})
    private = {"email", "phone_number", "created_at", "updated_at"}
    user["required"] = [
        name for name in user.get("required", []) if name not in private
    ]
    return result
