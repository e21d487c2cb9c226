"""Validation of query parameters: unknown, blank and repeated ones are refused."""

from collections.abc import Collection

from rest_framework.exceptions import ValidationError
from rest_framework.request import Request

# Parameters that all lists have.
EVERYWHERE = ("format",)


def check_parameters(request: Request, known: Collection[str]) -> None:
    """Raise ValidationError on parameters that are unknown, blank or repeated.

    If they were ignored, the response would contain more than the client asked for.
    """
    errors = {}
    for name, values in request.query_params.lists():
        if name not in known and name not in EVERYWHERE:
            names = ", ".join((*known, *EVERYWHERE))
            errors[name] = [f"Unknown parameter. Known here: {names}."]
        elif len(values) > 1:
            errors[name] = ["Give this parameter once."]
        elif not values[0].strip() and not is_from_a_form(request):
            errors[name] = ["This parameter may not be blank."]
    if errors:
        raise ValidationError(errors)


def is_from_a_form(request: Request | None) -> bool:
    """Return whether the browsable API answers, whose forms also send empty fields."""
    renderer = getattr(request, "accepted_renderer", None)
    return getattr(renderer, "format", "") == "api"
