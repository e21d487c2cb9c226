"""Django's system checks: of the settings and of the database."""
