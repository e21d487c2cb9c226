"""Fields of text: names and titles, usernames, e-mail addresses, message bodies."""

from typing import Any

from rest_framework import serializers

from chats.models.fields import LineField as LineColumn
from chats.models.messages import MAX_BODY_LENGTH
from chats.models.text.characters import composed, is_visible, validate_body
from chats.models.text.identifiers import normal_address, normal_form, validate_address


class MayStay:
    """A mixin of fields: the current value of the row is always valid.

    It may be older than the rule, and the caller may be changing something else.
    """

    def run_validators(self, value: Any) -> None:
        row = getattr(self.parent, "instance", None)
        if row is None or getattr(row, self.source) != value:
            super().run_validators(value)


class LineField(MayStay, serializers.CharField):
    """A name or title, composed as it is stored, which may make it longer."""

    def to_internal_value(self, data: Any) -> str:
        return composed(super().to_internal_value(data))


class UsernameField(serializers.CharField):
    """A username, normalised as it is stored, which may make it longer."""

    def to_internal_value(self, data: Any) -> str:
        return normal_form(super().to_internal_value(data))


class EmailField(serializers.EmailField):
    """An e-mail address, normalised as it is stored."""

    def __init__(self, **kwargs):
        super().__init__(max_length=254, **kwargs)

    def to_internal_value(self, data: Any) -> str:
        return normal_address(super().to_internal_value(data))


class NewEmailField(MayStay, EmailField):
    """The e-mail address of an account; not one that is reserved for the system."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.validators.append(validate_address)


class BodyField(serializers.CharField):
    """Text, kept exactly as sent: never trimmed, and never converted from a number.

    CharField refuses NUL and lone surrogates, which databases cannot store.
    """

    def __init__(self, **kwargs):
        super().__init__(max_length=MAX_BODY_LENGTH, trim_whitespace=False, **kwargs)
        self.validators.append(validate_body)

    def to_internal_value(self, data: Any) -> str:
        if not isinstance(data, str):
            self.fail("invalid")
        if not is_visible(data):
            self.fail("blank")
        return super().to_internal_value(data)


class LinesSerializer(serializers.ModelSerializer):
    """A ModelSerializer in which names and titles follow the rules for lines."""

    serializer_field_mapping = {
        **serializers.ModelSerializer.serializer_field_mapping,
        LineColumn: LineField,
    }
