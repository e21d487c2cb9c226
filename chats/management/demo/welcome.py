"""What a server prints at its start: the addresses of its pages, and its database."""

from urllib.parse import urlsplit

from django.conf import settings
from django.db import connection


def welcome(url: str) -> str:
    """Return the lines for a server that listens at ``url``, without secrets."""
    client = "" if settings.WEB_CLIENT else " (off: redirects to the API's pages)"
    offer = "  try it as Alice or Bob" if settings.DEMO_PASSWORD else ""
    lines = {
        "Messages": f"{url}/{client}{offer}",
        "API pages": f"{url}/api/docs/",
        "Schema": f"{url}/api/schema/",
        "Admin": f"{url}/admin/",
        "Database": database(),
        "Cache": cache(),
    }
    return "\n".join(f"   {name:11} {text}" for name, text in lines.items())


def database() -> str:
    """Return the database in use, without its password."""
    chosen = connection.settings_dict
    if settings.USES_SQLITE:
        return f"SQLite, {chosen['NAME']}"
    place = f"{chosen['HOST'] or 'local'}:{chosen['PORT'] or 5432}"
    return f"PostgreSQL, {chosen['NAME']} at {place}"


def cache() -> str:
    if not settings.REDIS_URL:
        return "in this process's memory (REDIS_URL shares it among several)"
    parts = urlsplit(settings.REDIS_URL)
    return f"Redis, {parts.netloc.rpartition('@')[2]}{parts.path}"
