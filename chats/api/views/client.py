"""The page of the web client; its other parts are static files and the API."""

from django.conf import settings
from django.db import Error
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.templatetags.static import static
from django.utils.cache import patch_vary_headers
from django.views.decorators.http import require_safe

from chats.models import User
from chats.web import script
from chats.web.texts import LANGUAGES, catalogue, direction_of, language_of

# Only files and calls of this server, no code or style in the page itself, and no text
# that becomes markup: scripts cannot call the functions that would parse it.
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
MODULE = "chats/client/main.js"  # what the browser loads where files change
DEMO_PEOPLE = ("alice@demo.example", "bob@demo.example")


@require_safe
def client_page(request: HttpRequest) -> HttpResponse:
    """Answer the page in the reader's language; with WEB_CLIENT=0 go to the docs."""
    if not settings.WEB_CLIENT:
        return redirect("docs")
    language = language_of(request)
    context = {
        "language": language,
        "languages": LANGUAGES,
        "direction": direction_of(language),
        "t": catalogue(language),
        "script": static(MODULE if settings.DEBUG else script.NAME),
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
    """Return the demo users to sign in as; none unless DEMO_PASSWORD is set."""
    if not settings.DEMO_PASSWORD:
        return []
    try:
        people = User.objects.active().filter(email__in=DEMO_PEOPLE)
        return list(people.order_by("username"))
    except Error:  # the page itself shows that the server is not ready
        return []
