"""Django's PostgreSQL backend, leaner: the ENGINE that ``DATABASE_URL`` gets."""
