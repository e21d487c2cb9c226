"""Usernames and e-mail addresses: their normal form, and which of them are reserved.

Sign-up, sign-in, searches, the admin and the commands all use these functions.
"""

import re
import unicodedata
from enum import StrEnum
from uuid import UUID

from django.core.exceptions import ValidationError

from chats.models.text.characters import INVISIBLE, normalised

_INVISIBLE = re.compile(f"[{INVISIBLE}]")
# The first word of a character's Unicode name is its script, with these exceptions.
_SCRIPTS = {
    **dict.fromkeys(
        ("CJK", "IDEOGRAPHIC", "HIRAGANA", "KATAKANA", "HENTAIGANA", "BOPOMOFO"), "CJK"
    ),
    "HANGUL": "CJK",
    "EXTENDED": "ARABIC",  # EXTENDED ARABIC-INDIC DIGIT
    "ROMAN": "LATIN",  # ROMAN NUMERAL
}
_MIXED_WITH_LATIN = {"LATIN", "CJK"}  # as usual in Japanese, Chinese and Korean


class SystemName(StrEnum):
    """Reasons why the system named an account; users cannot choose such names."""

    DELETED = "deleted"
    IMPORTED = "imported"
    RENAMED = "renamed"

    def of(self, user_id: UUID, suffix: str = "") -> tuple[str, str]:
        """Return the username and the e-mail address of an account so named."""
        key = f"{user_id.hex}-{suffix}" if suffix else user_id.hex
        return f"{self}-{key}", f"{key}@{self}.invalid"


_RESERVED_PREFIXES = tuple(f"{name}-" for name in SystemName)
_RESERVED_DOMAINS = {f"{name}.invalid" for name in SystemName}


def normal_form(identifier: str) -> str:
    """Return a username or e-mail address in its stored form (NFKC)."""
    return normalised(identifier, "NFKC")


def comparable(identifier: str) -> str:
    """Return a form that is equal for all identifiers a database might consider equal.

    The form has neither case nor accents, because some databases fold U+0130 to "i".
    Different identifiers can also have the same form.
    """
    parts = normalised(normal_form(identifier.strip()).casefold(), "NFKD")
    letters = (item for item in parts if not unicodedata.combining(item))
    return "".join(letters).replace("\N{LATIN SMALL LETTER DOTLESS I}", "i")


def normal_address(address: str) -> str:
    """Return an e-mail address in its stored form: NFKC, with a lower-case domain."""
    name, at, domain = normal_form(address).strip().rpartition("@")
    return f"{name}{at}{domain.lower()}"


def is_reserved(username: str) -> bool:
    """Return whether this username is reserved for the system."""
    return comparable(username).startswith(_RESERVED_PREFIXES)


def is_reserved_address(address: str) -> bool:
    """Return whether this e-mail address is reserved for the system."""
    return comparable(address).rpartition("@")[2] in _RESERVED_DOMAINS


def validate_username(value: str) -> None:
    """Raise ValidationError on a username that is reserved or may imitate another."""
    username = normal_form(value)
    if _INVISIBLE.search(username):
        raise ValidationError(
            "A username may not contain invisible characters.", code="invisible"
        )
    if not _is_of_one_script(username):
        raise ValidationError(
            "A username may not mix letters of several scripts.", code="mixed_scripts"
        )
    if is_reserved(username):
        raise ValidationError("This username is reserved.", code="reserved")


def validate_address(value: str) -> None:
    """Raise ValidationError on an e-mail address that is reserved for the system."""
    if is_reserved_address(value):
        raise ValidationError("This e-mail address is reserved.", code="reserved")


def _is_of_one_script(text: str) -> bool:
    scripts = {_script_of(character) for character in text} - {""}
    return len(scripts) < 2 or scripts <= _MIXED_WITH_LATIN


def _script_of(character: str) -> str:
    """Return the script of a letter, mark or number; "" for common characters."""
    kind = unicodedata.category(character)
    if kind[0] not in "LMN" or (character.isascii() and kind == "Nd") or kind == "Lm":
        return ""
    name = re.split("[ -]", unicodedata.name(character, ""), maxsplit=1)[0]
    return _SCRIPTS.get(name, name)
