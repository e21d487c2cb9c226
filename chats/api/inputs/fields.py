"""Fields of text: names and titles, usernames, e-mail addresses, message bodies."""

from typing import Any

from rest_framework import serializers

from chats.models.fields import LineField as LineColumn
from chats.models.messages import MAX_BODY_LENGTH
from chats.models.text.characters import composed, is_visible, validate_body
from chats.models.text.identifiers import normal_address, normal_form, validate_address


class MayStay:
    """Mixed into a field: the value that the row has already breaks no rule.

    It may be from before the rule, and the caller may be changing something else.
    """

    def run_validators(self, value: Any) -> None:
        row = getattr(self.parent, "instance", None)
        if row is None or getattr(row, self.source) != value:
            super().run_validators(value)


class LineField(MayStay, serializers.CharField):
    """A name or title, in the form it is stored in: composing may make it longer."""

    def to_internal_value(self, data: Any) -> str:
        return composed(super().to_internal_value(data))


class UsernameField(serializers.CharField):
    """A username, in the form it is stored in: normalising may make it longer."""

    def to_internal_value(self, data: Any) -> str:
        return normal_form(super().to_internal_value(data))


class EmailField(serializers.EmailField):
    """An e-mail address, in the form it is stored in."""

    def __init__(self, **kwargs):
        super().__init__(max_length=254, **kwargs)

    def to_internal_value(self, data: Any) -> str:
        return normal_address(super().to_internal_value(data))


class NewEmailField(MayStay, EmailField):
    """The e-mail address of an account: none that only the system gives."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.validators.append(validate_address)


class BodyField(serializers.CharField):
    """Text, taken exactly as sent: never trimmed, and never made from a number.

    NUL and lone surrogates, which databases refuse, are refused by CharField.
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
    """A model's serializer in which names and titles follow the rules of lines."""

    serializer_field_mapping = {
        **serializers.ModelSerializer.serializer_field_mapping,
        LineColumn: LineField,
    }
