"""Fast compression of responses, with random padding to hide their exact length."""

import gzip
import re
import secrets
from io import BytesIO

SMALLEST = 4096  # bytes; compressing less would save only a packet or two
LEVEL = 1  # the fastest: the result is 10% longer than with level 6, in half the time
BEST_LEVEL = 9  # for what is compressed once and sent often
PADDING = 100  # bytes at most

# Finds gzip among the accepted codings, unless its weight is 0.
ACCEPTS = re.compile(r"(?:^|[\s,])gzip\s*(?:$|,|;\s*q=(?!0(?:\.0*)?\s*(?:$|,)))", re.I)


def accepts_gzip(accept_encoding: str) -> bool:
    """Return whether an Accept-Encoding header accepts gzip."""
    return ACCEPTS.search(accept_encoding) is not None


def compressed(body: bytes, level: int = LEVEL) -> bytes:
    """Return the body in gzip, with up to ``PADDING`` random bytes added.

    The padding hides the exact length. Otherwise an eavesdropper who controls a part of
    the body could guess another part from the length (BREACH). Django's middleware uses
    the same defence, "Heal the BREACH".
    """
    buffer = BytesIO()
    name = secrets.token_urlsafe(PADDING)[: secrets.randbelow(PADDING + 1)]
    with gzip.GzipFile(name, "wb", level, buffer, mtime=0) as file:
        file.write(body)
    return buffer.getvalue()
