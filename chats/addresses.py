"""Which address a request came from, as far as the proxies may be believed."""

from django.conf import settings
from django.http import HttpRequest


def client_address(request: HttpRequest) -> str:
    """Return the client's address.

    Each of the ``TRUSTED_PROXIES`` nearest hops has appended the address it saw to
    ``X-Forwarded-For``; anything further left is the client's own claim and is
    ignored, as is the whole header when no proxy is trusted.
    """
    peer = request.META.get("REMOTE_ADDR", "")
    if not settings.TRUSTED_PROXIES:
        return peer
    header = request.META.get("HTTP_X_FORWARDED_FOR", "")
    hops = [hop.strip() for hop in header.split(",") if hop.strip()]
    if not hops:
        return peer
    return hops[-min(settings.TRUSTED_PROXIES, len(hops))]
