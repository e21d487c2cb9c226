"""The project's settings, with the hasher that notes what it looks at."""

from messaging_app.settings import *  # noqa: F403

PASSWORD_HASHERS = ["bench.noting.NotingHasher"]
