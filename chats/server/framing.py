"""Where a request ends: heads that two servers may read differently are refused."""

from collections.abc import Iterable


def is_ambiguous(headers: Iterable[tuple[bytes, bytes]]) -> bool:
    """Return whether a request's head says in more than one way how long its body is.

    With both Content-Length and Transfer-Encoding a proxy may take one and this server
    the other; what one takes for the body the other takes for the next request (RFC
    9112, section 6.3). The names are in lower case, as in ASGI.
    """
    has_length = has_encoding = False
    for name, _ in headers:
        if name == b"content-length":
            has_length = True
        elif name == b"transfer-encoding":
            has_encoding = True
    return has_length and has_encoding
