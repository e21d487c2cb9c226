"""Django's SQLite backend with private files: the ENGINE that ``DATABASE_URL`` gets."""
