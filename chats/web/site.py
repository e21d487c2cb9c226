"""Where people reach this site, as far as a request can be believed about it."""

from django.conf import settings
from django.http import HttpRequest
from django.http.request import split_domain_port
from django.urls import reverse

PORTS = {"http": "80", "https": "443"}


def site_address(request: HttpRequest) -> str:
    """Return the web client's address, such as ``https://chat.example/``.

    Whoever sends a request writes its ``Host``, and the address goes into e-mails to
    others. So the name must be one that ``ALLOWED_HOSTS`` has in full, and the port the
    scheme's own or the one that the server listens on; otherwise nothing is returned.
    """
    host, port = split_domain_port(request.get_host())
    own = {"", PORTS[request.scheme], request.META["SERVER_PORT"]}
    if host not in named_hosts() or port not in own:
        return ""
    place = f"{host}:{port}" if port else host
    return f"{request.scheme}://{place}{reverse('client')}"


def named_hosts() -> list[str]:
    """Return the hosts of ``ALLOWED_HOSTS`` without ``*`` and ``.suffix``.

    Behind a pattern may be a host that belongs to somebody else.
    """
    hosts = settings.ALLOWED_HOSTS
    return [host for host in hosts if host != "*" and not host.startswith(".")]
