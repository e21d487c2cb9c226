"""Detection of request heads that a proxy and this server may read differently."""

from collections.abc import Iterable


def is_ambiguous(headers: Iterable[tuple[bytes, bytes]]) -> bool:
    """Return whether a request has both Content-Length and Transfer-Encoding.

    If a proxy used one of them and this server the other, one would read the body as
    the next request: request smuggling (RFC 9112, section 6.3). The names must be in
    lower case, as in ASGI.
    """
    has_length = has_encoding = False
    for name, _ in headers:
        if name == b"content-length":
            has_length = True
        elif name == b"transfer-encoding":
            has_encoding = True
    return has_length and has_encoding
