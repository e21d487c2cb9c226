"""The OpenAPI schema of the API, with the error answers of every operation."""

import re
from collections.abc import Callable
from inspect import cleandoc
from pathlib import Path

from django.conf import settings
from drf_spectacular.extensions import (
    OpenApiAuthenticationExtension,
    OpenApiSerializerExtension,
)
from drf_spectacular.openapi import AutoSchema
from drf_spectacular.plumbing import build_media_type_object
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.pagination import BasePagination


class Error(serializers.Serializer):
    """An error: a message for people and a code for programs."""

    detail = serializers.CharField(help_text="What went wrong, in a sentence.")
    code = serializers.CharField(help_text="A stable code for programs.")


class FieldErrors(serializers.Serializer):
    """Error messages by field (or `detail` and `code`)."""


def documented(text: str, **schema) -> Callable:
    """Document an inherited action, for ``extend_schema_view``.

    ``text`` is what its docstring would be: the first line is the summary.
    """
    summary, _, description = cleandoc(text).partition("\n")
    return extend_schema(
        summary=summary.rstrip("."), description=description.strip(), **schema
    )


# What each error status means, with a real example. The codes are those of
# docs/api.md.
ERRORS = {
    "400": (
        "The input is missing or invalid: errors by field, or `parse_error`.",
        {"message_body": ["This field may not be blank."]},
    ),
    "401": (
        "The caller is not signed in, or the credentials are wrong.",
        {
            "detail": "Authentication credentials were not provided.",
            "code": "not_authenticated",
        },
    ),
    "403": (
        "The caller may not do this, or the session's CSRF token is missing.",
        {
            "detail": "You do not have permission to perform this action.",
            "code": "permission_denied",
        },
    ),
    "404": (
        "Not found: it does not exist, or the caller may not see it.",
        {"detail": "Not found.", "code": "not_found"},
    ),
    "409": (
        "Conflict: the resource's current state does not allow this.",
        {"detail": "This message has been deleted.", "code": "conflict"},
    ),
    "410": (
        "The cursor is older than the events kept: reload everything.",
        {
            "detail": "This cursor is older than the events kept. Reload everything.",
            "code": "gone",
        },
    ),
    "413": (
        "The body is larger than 1 MiB.",
        {"detail": "The body is too large.", "code": "too_large"},
    ),
    "415": (
        "The body is not `application/json`.",
        {
            "detail": 'Unsupported media type "text/plain" in request.',
            "code": "unsupported_media_type",
        },
    ),
    "429": (
        "Too many requests. `Retry-After` is the number of seconds to wait.",
        {
            "detail": "Request was throttled. Expected available in 7 seconds.",
            "code": "throttled",
        },
    ),
    "503": (
        "Nothing was done. `Retry-After` is the number of seconds to wait.",
        {
            "detail": "The database is busy or not answering. Try again.",
            "code": "unavailable",
        },
    ),
}
# A test runs what it shows.
INTRODUCTION = Path(__file__).with_name("introduction.md")
SUCCESSES = {"200": "OK.", "201": "Created.", "204": "No content."}
UUID_SCHEMA = {"type": "string", "format": "uuid"}
EXAMPLE_ID = "01a20a3a-8ed4-7b3c-a1f0-6c2d4e8f9a0b"


class FieldErrorsSchema(OpenApiSerializerExtension):
    """The schema of FieldErrors, whose names are those of the body's fields."""

    target_class = "chats.api.schema.FieldErrors"

    def map_serializer(self, auto_schema: AutoSchema, direction: str) -> dict:
        messages = {"type": "array", "items": {"type": "string"}, "minItems": 1}
        return {
            "type": "object",
            "description": FieldErrors.__doc__.strip(),
            "minProperties": 1,
            "additionalProperties": {"oneOf": [{"type": "string"}, messages]},
        }


class ChatsSchema(AutoSchema):
    """Readable names and summaries, and the errors of every operation."""

    def get_operation_id(self) -> str:
        """Keep `_create` for what creates: `auth_login`, `conversations_typing`."""
        name = super().get_operation_id()
        action = getattr(self.view, "action", "")
        is_act = self.method == "POST" and action != "create"
        return name.removesuffix("_create") if is_act else name

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
        """Return the authentication of the call.

        It is optional for signing up, which CanRegister does not show. Calls that take
        none, such as login, must have none: client generators would require one.
        """
        if not self.view.get_authenticators():
            return []
        auths = super().get_auth()
        return [*auths, {}] if "CanRegister" in self._permissions() else auths

    def get_request_serializer(self):
        """Return no body for a DELETE, unless ``extend_schema`` gives one."""
        return None if self.method == "DELETE" else super().get_request_serializer()

    def _get_request_body(self, direction="request") -> dict | None:
        """Add the optional body of a DELETE, which the base class leaves out."""
        if not self._is_delete_with_body():
            return super()._get_request_body(direction)
        serializer = self.get_request_serializer()
        media_type = "application/json"
        schema, _ = self._get_request_for_media_type(serializer, direction)
        examples = self._get_examples(serializer, direction, media_type)
        return {"content": {media_type: build_media_type_object(schema, examples)}}

    def _get_response_bodies(self, direction="response") -> dict:
        bodies = super()._get_response_bodies(direction)
        for status, serializer in self._errors().items():
            if status not in bodies:
                bodies[status] = self._get_response_for_code(
                    serializer, status, direction=direction
                )
        for status, body in bodies.items():
            explain(status, body)
        return dict(sorted(bodies.items()))

    def _resolve_path_parameters(self, variables: list[str]) -> list[dict]:
        """Describe ids as UUIDs, rather than by a regular expression."""
        parameters = super()._resolve_path_parameters(variables)
        for parameter in parameters:
            parameter["schema"] = UUID_SCHEMA
        return parameters

    def _get_paginator(self) -> BasePagination | None:
        """Return the pagination, whose example of a next page is of the same list."""
        if paginator := super()._get_paginator():
            paginator.path = re.sub("{.*?}", EXAMPLE_ID, self.path)
        return paginator

    def _errors(self) -> dict:
        errors = {"429": Error, "503": Error}
        if not self._is_public():
            errors["401"] = Error
        if self.method in {"POST", "PUT", "PATCH"} or self._is_delete_with_body():
            errors |= {"400": FieldErrors, "413": Error, "415": Error}
        if self.method != "GET" and not self._is_public():
            errors["403"] = Error
        if "{" in self.path:
            errors["404"] = Error
        if self._is_list_view() and self.method == "GET":
            errors["400"] = FieldErrors
        return errors

    def _is_delete_with_body(self) -> bool:
        return self.method == "DELETE" and self.get_request_serializer() is not None

    def _is_public(self) -> bool:
        return self._permissions() == {"AllowAny"}

    def _permissions(self) -> set[str]:
        return {type(item).__name__ for item in self.view.get_permissions()}


def explain(status: str, body: dict) -> None:
    """Add what a response means; for errors, an example in JSON, their only format."""
    if status not in ERRORS:
        body["description"] = body["description"] or SUCCESSES[status]
        return
    body["description"], example = ERRORS[status]
    media = body["content"]["application/json"] | {"example": example}
    body["content"] = {"application/json": media}


class TokenScheme(OpenApiAuthenticationExtension):
    """``Authorization: Bearer …`` in the schema."""

    target_class = "chats.api.authentication.TokenAuthentication"
    name = "token"

    def get_security_definition(self, auto_schema) -> dict:
        return {
            "type": "http",
            "scheme": "bearer",
            "description": "The `token` that `POST /api/auth/tokens/` returned.",
        }


class SessionScheme(OpenApiAuthenticationExtension):
    """The session cookie in the schema."""

    target_class = "chats.api.authentication.SessionAuthentication"
    name = "session"

    def get_security_definition(self, auto_schema) -> dict:
        return {"type": "apiKey", "in": "cookie", "name": settings.SESSION_COOKIE_NAME}


def introduce(result: dict, generator, request, public) -> dict:
    """Begin the page with the way to a first client."""
    result["info"]["description"] = INTRODUCTION.read_text()
    return result


def private_fields_optional(result: dict, generator, request, public) -> dict:
    """Make a user's private fields optional: only some callers see them."""
    user = result["components"]["schemas"].get("User", {})
    private = {"email", "phone_number", "created_at", "updated_at"}
    user["required"] = [
        name for name in user.get("required", []) if name not in private
    ]
    return result


def empty_security(result: dict, generator, request, public) -> dict:
    """Add an empty ``security`` to calls without credentials, which is left out."""
    for item in result["paths"].values():
        for operation in item.values():
            operation.setdefault("security", [])
    return result
