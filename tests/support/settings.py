"""The project's settings for tests, whatever the developer's environment says.

Only the URLs of the databases and of Redis are kept: they choose what the suite runs
on.
"""

import os
import re
import tempfile
from pathlib import Path

from django.core.cache.backends.redis import RedisCache

import messaging_app

SETTINGS_FILE = Path(messaging_app.__file__).with_name("settings.py")
READS = re.compile(r'(?:env_\w+|environ\.get)\(\s*"([A-Z_]+)"')

for name in set(READS.findall(SETTINGS_FILE.read_text())):
    if name not in {"DATABASE_URL", "DATABASE_DIRECT_URL", "REDIS_URL"}:
        os.environ.pop(name, None)
os.environ["SECRET_KEY"] = "a fixed key for the tests, which guard nothing at all"

from messaging_app.settings import *  # noqa: E402, F403
from messaging_app.settings import (  # noqa: E402
    CACHES,
    DATABASES,
    REDIS_URL,
    THROTTLE_RATES,
    USES_SQLITE,
)

if USES_SQLITE:
    # A file, since threads of a test share it; one a run, since runs may overlap.
    run_id = os.environ.get("PYTEST_XDIST_TESTRUNUID", os.getpid())
    DATABASES["default"]["TEST"] = {
        "NAME": Path(tempfile.gettempdir()) / f"messaging-{run_id}.sqlite3"
    }

PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]  # fast
EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"
# Out of the way: the tests of throttles set their own.
THROTTLE_RATES = dict.fromkeys(THROTTLE_RATES, (1_000_000, 60))


class WorkersOwnRedisCache(RedisCache):
    """Redis shared by several test workers, each with its own keys."""

    def clear(self) -> bool:
        """Delete this worker's keys only; the original empties the database."""
        client = self._cache.get_client(None, write=True)
        keys = list(client.scan_iter(match=f"{self.key_prefix}:*"))
        return bool(client.delete(*keys)) if keys else True


if REDIS_URL:
    CACHES["default"]["BACKEND"] = "tests.support.settings.WorkersOwnRedisCache"
    CACHES["default"]["KEY_PREFIX"] = (
        f"test-{os.environ.get('PYTEST_XDIST_WORKER', 'main')}"
    )
