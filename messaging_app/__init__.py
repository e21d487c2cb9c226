"""The Django project: settings, root routes and server entry points."""
