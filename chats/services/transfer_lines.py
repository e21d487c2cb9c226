"""The lines of an exported conversation: their length and valid values."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from django.core.exceptions import ValidationError
from django.db.models import Field, IntegerField
from django.utils import timezone

from chats.web.exceptions import ChatError

# A body of 10,000 characters, each written as two escapes, has 120,000 bytes.
MOST_BYTES = 256 * 1024  # of one line
AHEAD = timedelta(
    minutes=5
)  # tolerated difference to the clock of another installation
Line = dict[str, Any]


def wrong(line: Line, name: str, text: str) -> ChatError:
    """Return the error that says what is wrong with a field of a numbered line."""
    return ChatError(f"Line {line['line']}, {name}: {text}")


def parse_line(text: bytes, number: int) -> Line:
    """Return the object that a line of a file holds; raises ChatError."""
    if len(text) > MOST_BYTES:
        raise ChatError(f"Line {number} is longer than {MOST_BYTES} bytes.")
    try:
        found = json.loads(text, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise ChatError(f"Line {number} is not valid JSON.") from error
    if not isinstance(found, dict):
        raise ChatError(f"Line {number} is not an object.")
    return found


def _refuse_constant(name: str) -> None:
    """Refuse NaN and Infinity, which JSON does not have."""
    raise ValueError(name)


def read_value(field: Field, value: Any) -> Any:
    """Return the value of a column, not yet validated; raises ValidationError."""
    if value is None:
        if field.null:
            return None
        raise ValidationError("is missing.")
    wanted = int if isinstance(field, IntegerField) else (str, UUID, datetime)
    if isinstance(value, bool) or not isinstance(value, wanted):
        raise ValidationError("has the wrong type.")
    if isinstance(value, str):
        _require_text(value)
    value = field.to_python(value)
    if isinstance(value, datetime):
        _require_past(value)
    return value


def _require_text(value: str) -> None:
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise ValidationError("contains half a character.") from error
    if "\0" in value:
        raise ValidationError("contains a NUL character.")


def _require_past(moment: datetime) -> None:
    """Refuse a time without a zone, outside the calendar or in the future."""
    if timezone.is_naive(moment):
        raise ValidationError("has no time zone.")
    try:
        moment = moment.astimezone(UTC)
    except OverflowError as error:
        raise ValidationError("is not a possible date.") from error
    if moment > timezone.now() + AHEAD:
        raise ValidationError("is in the future.")
