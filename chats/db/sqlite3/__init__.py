"""Django's SQLite backend with private files: the ENGINE for ``DATABASE_URL``."""
