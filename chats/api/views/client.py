"""The web client's page: everything else it needs are static files and the API."""

from functools import cache
from hashlib import blake2b
from pathlib import Path

from django.conf import settings
from django.db import Error
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.templatetags.static import static
from django.urls import reverse
from django.utils.cache import patch_vary_headers
from django.views.decorators.http import require_safe

from chats.models import User
from chats.web.modules import joined
from chats.web.texts import LANGUAGES, catalogue, direction_of, language_of

# Nothing but our own files and our own API; no code or style in the page itself, and
# no text that becomes markup: scripts cannot even call what would parse it.
CONTENT_SECURITY_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "connect-src 'self'",
        "img-src data:",  # the icon
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
        "require-trusted-types-for 'script'",
        "trusted-types 'none'",
    )
)
MODULES = Path(__file__).parents[2] / "static/chats/client"
DEMO_PEOPLE = ("alice@demo.example", "bob@demo.example")


@require_safe
def client_page(request: HttpRequest) -> HttpResponse:
    """Answer the page, in the reader's language; with WEB_CLIENT=0 lead to the docs."""
    if not settings.WEB_CLIENT:
        return redirect("docs")
    language = language_of(request)
    context = {
        "language": language,
        "languages": LANGUAGES,
        "direction": direction_of(language),
        "t": catalogue(language),
        "script": script_url(),
        "registration_open": settings.REGISTRATION_OPEN,
        "demo_password": settings.DEMO_PASSWORD,
        "demo_people": demo_people(),
    }
    response = render(request, "chats/client.html", context)
    response.headers["Content-Security-Policy"] = CONTENT_SECURITY_POLICY
    response.headers["Cache-Control"] = "no-cache"
    patch_vary_headers(response, ("Accept-Language", "Cookie"))
    return response


def demo_people() -> list[User]:
    """Return whom a newcomer may try it as; nobody unless DEMO_PASSWORD is set."""
    if not settings.DEMO_PASSWORD:
        return []
    try:
        people = User.objects.active().filter(email__in=DEMO_PEOPLE)
        return list(people.order_by("username"))
    except Error:  # the page says by itself when the server is not ready
        return []


def script_url() -> str:
    """Return the address of the script; with DEBUG, where files change, a module."""
    if settings.DEBUG:
        return static("chats/client/main.js")
    return reverse("client-script", kwargs={"digest": script()[0]})


@cache
def script() -> tuple[str, str]:
    """Return the modules as one script, and a digest of it."""
    text = joined(MODULES / "main.js")
    return blake2b(text.encode(), digest_size=8).hexdigest(), text


@require_safe
def client_script(request: HttpRequest, digest: str) -> HttpResponse:
    """Answer the page's script, to be kept for good; 404 for another release's."""
    kept, text = script()
    if digest != kept:
        raise Http404
    response = HttpResponse(text, content_type="text/javascript; charset=utf-8")
    response.headers["Cache-Control"] = "max-age=315360000, public, immutable"
    return response
