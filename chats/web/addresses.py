"""The client's address, from the connection and from trusted proxies."""

import re
from collections.abc import Mapping
from functools import lru_cache
from ipaddress import IPv6Address, ip_address, ip_network

from django.conf import settings
from django.http import HttpRequest

# As some proxies write a hop: 192.0.2.1:4711, [2001:db8::1], [2001:db8::1]:4711.
WITH_PORT = re.compile(r"\[([^\]]*)\](?::\d*)?|([^:]*):\d*")
KEPT = 10_000  # parsed addresses in the cache
ONE_CUSTOMER = 64  # bits of an IPv6 prefix: one customer usually has all of a /64


def client_address(meta: Mapping[str, str]) -> str:
    """Return the client's IP address, or "" if there is none (a Unix socket).

    ``meta`` is ``request.META``. Each of the ``TRUSTED_PROXIES`` nearest hops has
    appended the address it saw to ``X-Forwarded-For``. Anything further left is the
    client's own claim and is ignored; so is the whole header when no proxy is trusted.
    If the trusted hop is not a valid address, the peer's address is returned.
    """
    peer = _plain(meta.get("REMOTE_ADDR", ""))
    if not settings.TRUSTED_PROXIES:
        return peer
    header = meta.get("HTTP_X_FORWARDED_FOR", "")
    hops = [hop.strip() for hop in header.split(",") if hop.strip()]
    if not hops:
        return peer
    return _plain(hops[-min(settings.TRUSTED_PROXIES, len(hops))]) or peer


def client_network(request: HttpRequest) -> str:
    """Return the key for limits by address: an IPv4 address or an IPv6 /64."""
    return network_of(client_address(request.META))


def network_in(peer: tuple[str, int] | None, headers: list[tuple[bytes, bytes]]) -> str:
    """Return the key for limits by address, from the head of an ASGI request."""
    forwarded = b",".join(v for name, v in headers if name == b"x-forwarded-for")
    meta = {
        "REMOTE_ADDR": peer[0] if peer else "",
        "HTTP_X_FORWARDED_FOR": forwarded.decode("latin-1"),
    }
    return network_of(client_address(meta))


@lru_cache(KEPT)
def network_of(address: str) -> str:
    """Return an IPv4 address unchanged, and the /64 of an IPv6 address.

    An IPv6 host can send from any of 2^64 addresses: a limit for each single address
    would not limit it.
    """
    if ":" not in address:
        return address
    return str(ip_network(f"{address}/{ONE_CUSTOMER}", strict=False))


@lru_cache(KEPT)
def _plain(text: str) -> str:
    """Return the IP address in ``text`` in its canonical form, or "" if invalid."""
    if match := WITH_PORT.fullmatch(text):
        text = match[1] or match[2] or ""
    try:
        address = ip_address(text.partition("%")[0])  # without an IPv6 zone
    except ValueError:
        return ""
    if isinstance(address, IPv6Address) and address.ipv4_mapped:
        address = address.ipv4_mapped
    return str(address)
