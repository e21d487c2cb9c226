"""The characters allowed in names and titles, which are one line, and in bodies.

The rules apply to new text only. Text that was stored before them can still be read,
kept and deleted. Decision 24 gives the reason for each character.
"""

import re
import unicodedata

from django.core.exceptions import ValidationError

# Code points that draw nothing: Unicode's Default_Ignorable_Code_Point, the marks of
# interlinear annotation, and some symbols and letters that are blank (the Braille
# pattern without dots, the musical null notehead, the fillers of Khitan and of Egyptian
# hieroglyphs).
INVISIBLE = (
    "\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e"
    "\u2060-\u206f\u2800\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb\U00013441\U00013442"
    "\U00016fe4\U0001bca0-\U0001bca3\U0001d159\U0001d173-\U0001d17a"
    "\U000e0000-\U000e0fff"
)
_VISIBLE = re.compile(rf"[^\s\x00-\x1f\x7f-\x9f\ud800-\udfff{INVISIBLE}]")
# NUL and lone surrogates are missing here, because all form and serializer fields
# refuse them. Tabs and line breaks are missing because they are allowed.
_CONTROLS = re.compile(r"[\x01-\x08\x0e-\x1f\x7f-\x84\x86-\x9f]")
# Controls, tabs, line breaks, and characters that change the direction of text.
_NOT_IN_A_LINE = re.compile(
    r"[\x01-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u206f\ufff9-\ufffb]"
)
REPLACEMENT = "\ufffd"
# Characters. Python needs quadratic time to compose text: 5 s for 100,000 marks. Names
# and titles are limited to less than this, so longer text is refused anyway.
MOST_NORMALISED = 1_000


def normalised(text: str, form: str) -> str:
    """Return the text in a Unicode normal form; text that is too long, unchanged."""
    return text if len(text) > MOST_NORMALISED else unicodedata.normalize(form, text)


def composed(text: str) -> str:
    """Return a name or title in its stored form (NFC), which looks the same."""
    return normalised(text, "NFC")


def spellings(text: str) -> tuple[str, ...]:
    """Return the forms in which a searched text may be stored.

    These are the text as given, for rows from before names were normalised; NFC, for
    names and titles; NFKC, for usernames and e-mail addresses. Usually all are equal.
    """
    return tuple(dict.fromkeys((text, composed(text), normalised(text, "NFKC"))))


def is_visible(text: str) -> bool:
    """Return whether the text has a visible character."""
    return _VISIBLE.search(text) is not None


def has_controls(text: str) -> bool:
    """Return whether the text has control characters, such as ESC, that terminals obey.

    Tabs and line breaks do not count.
    """
    return _CONTROLS.search(text) is not None


def without_controls(text: str) -> str:
    """Replace control characters by U+FFFD, but keep tabs and line breaks."""
    return _CONTROLS.sub(REPLACEMENT, text)


def as_line(text: str) -> str:
    """Return a stored name or title, changed so that ``validate_line`` accepts it."""
    line = _NOT_IN_A_LINE.sub(REPLACEMENT, composed(text))
    return line if is_visible(line) or not line else REPLACEMENT


def validate_line(value: str) -> None:
    """Raise ValidationError unless a name or title is one line of visible text."""
    if _NOT_IN_A_LINE.search(value):
        raise ValidationError(
            "Enter one line of text, without control or direction characters.",
            code="control_characters",
        )
    if value and not is_visible(value):
        raise ValidationError(
            "Enter text with at least one visible character.", code="invisible"
        )


def validate_body(value: str) -> None:
    """Raise ValidationError on control characters that terminals obey."""
    if has_controls(value):
        raise ValidationError(
            "Control characters other than tabs and line breaks are not allowed.",
            code="control_characters",
        )
