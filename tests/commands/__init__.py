"""The commands of manage.py: the project's own, and Django's for accounts."""
