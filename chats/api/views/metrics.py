"""The metrics of this process, for callers with METRICS_TOKEN."""

import secrets

from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe
from prometheus_client import CONTENT_TYPE_LATEST

from chats.models import Event
from chats.web import metrics


@require_safe
@never_cache
def metrics_page(request: HttpRequest) -> HttpResponse:
    """Answer the metrics; 404 unless METRICS_TOKEN is set, 401 without it."""
    if not settings.METRICS_TOKEN:
        raise Http404
    wanted = f"Bearer {settings.METRICS_TOKEN}".encode()
    given = request.META.get("HTTP_AUTHORIZATION", "").encode("utf-8", "replace")
    if not secrets.compare_digest(given, wanted):
        return HttpResponse(status=401, headers={"WWW-Authenticate": "Bearer"})
    position = metrics.hub_position.collect()[0].samples[0].value
    metrics.hub_lag.set(max(Event.objects.last_id() - position, 0) if position else 0)
    return HttpResponse(metrics.as_text(), content_type=CONTENT_TYPE_LATEST)


metrics_page.is_slow = True
