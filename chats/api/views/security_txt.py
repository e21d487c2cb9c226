"""The contact for vulnerabilities: /.well-known/security.txt, of RFC 9116."""

from datetime import timedelta

from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse
from django.utils import timezone
from django.views.decorators.cache import cache_control
from django.views.decorators.http import require_safe

# The RFC asks for less than a year; copies are refreshed after that time.
VALID_FOR = timedelta(days=180)


@require_safe
@cache_control(public=True, max_age=86_400)
def security_txt(request: HttpRequest) -> HttpResponse:
    """Answer the contact of SECURITY_CONTACT; 404 unless it is set."""
    if not settings.SECURITY_CONTACT:
        raise Http404
    expires = f"{timezone.now() + VALID_FOR:%Y-%m-%dT00:00:00Z}"
    return HttpResponse(
        f"Contact: {settings.SECURITY_CONTACT}\nExpires: {expires}\n",
        content_type="text/plain; charset=utf-8",
    )
