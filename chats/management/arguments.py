"""Types of arguments of commands: wrong values are refused before anything is done."""

from argparse import ArgumentTypeError
from urllib.parse import urlsplit

MOST_DAYS = 3650  # as for EVENT_RETENTION_DAYS and AUDIT_RETENTION_DAYS
LAST_PORT = 65535


class WholeNumber:
    """A whole number from ``minimum`` to ``maximum``, in decimal digits."""

    def __init__(self, minimum: int, maximum: int):
        self.minimum, self.maximum = minimum, maximum

    def __call__(self, text: str) -> int:
        is_number = text.isascii() and text.isdecimal() and len(text) < 10
        if not is_number or not self.minimum <= int(text) <= self.maximum:
            raise ArgumentTypeError(
                f"must be a whole number from {self.minimum} to {self.maximum}, "
                f"not {text[:50]!r}"
            )
        return int(text)


DAYS = WholeNumber(1, MOST_DAYS)
BATCH = WholeNumber(1, 100_000)
COUNT = WholeNumber(0, 1_000_000)
PORT = WholeNumber(0, LAST_PORT)


def text(value: str) -> str:
    """Return the text, if it can be stored: broken bytes of a terminal cannot."""
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise ArgumentTypeError("must be UTF-8 text") from error
    if "\0" in value:
        raise ArgumentTypeError("must be without NUL characters")
    return value


def web_address(value: str) -> str:
    """Return the URL, if it is of http or https and names a host."""
    try:
        parts = urlsplit(value)
        is_address = parts.scheme in {"http", "https"} and parts.hostname
        _ = parts.port
    except ValueError:
        is_address = False
    if not is_address or not value.isprintable():
        raise ArgumentTypeError(
            f"must be an address such as http://localhost:8000, not {value[:50]!r}"
        )
    return value
