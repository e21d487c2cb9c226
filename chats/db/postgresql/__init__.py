"""A faster version of Django's PostgreSQL backend: the ENGINE for ``DATABASE_URL``."""
