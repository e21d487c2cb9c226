"""Text fields with the validation and normalisation of ``chats.models.text``.

Forms, serializers, ``createsuperuser`` and the import use both through these fields.
They make no difference to the database, so migrations see Django's own fields.
"""

from collections.abc import Callable
from typing import Any

from django.core.validators import validate_email
from django.db import models

from chats.models.text.characters import composed, validate_line
from chats.models.text.identifiers import (
    normal_address,
    normal_form,
    validate_address,
    validate_username,
)


class NormalText:
    """Mixin for a field: text is stored, and looked up, in one Unicode normal form."""

    normalise: Callable[[str], str]
    known_as = "django.db.models.CharField"  # the class that migrations see

    def to_python(self, value: Any) -> str | None:
        value = super().to_python(value)
        return value and self.normalise(value)

    def deconstruct(self):
        name, _, args, kwargs = super().deconstruct()
        return name, self.known_as, args, kwargs


class LineField(NormalText, models.CharField):
    """A name or title: one line of text with at least one visible character."""

    normalise = staticmethod(composed)
    default_validators = [validate_line]


class UsernameField(NormalText, models.CharField):
    """A username."""

    normalise = staticmethod(normal_form)
    default_validators = [validate_username]


class EmailAddressField(NormalText, models.EmailField):
    """An e-mail address, its domain in lower case."""

    normalise = staticmethod(normal_address)
    known_as = "django.db.models.EmailField"
    default_validators = [validate_email, validate_address]
