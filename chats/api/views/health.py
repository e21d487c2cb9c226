"""Whether the process is up, and whether it can serve."""

from functools import cache

from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from django.db.utils import Error
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe


@require_safe
@never_cache
def healthz(request: HttpRequest) -> HttpResponse:
    """Answer 200: the process is up. It needs no database."""
    return JsonResponse({"status": "ok"})


@require_safe
@never_cache
def readyz(request: HttpRequest) -> HttpResponse:
    """Answer 200 if the database answers and is migrated, otherwise 503."""
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
        problem = "" if is_migrated() else "Migrations are not applied."
    except Error:
        problem = "The database is not answering."
    if problem:
        return JsonResponse(
            {"status": "unavailable", "detail": problem},
            status=503,
            headers={"Retry-After": "1"},
        )
    return JsonResponse({"status": "ok"})


def is_migrated() -> bool:
    """Return whether every migration is applied; asked again until it is so."""
    return _is_migrated() or (_is_migrated.cache_clear() or False)


@cache
def _is_migrated() -> bool:
    executor = MigrationExecutor(connection)
    return not executor.migration_plan(executor.loader.graph.leaf_nodes())
