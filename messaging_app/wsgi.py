"""WSGI entry point: the whole REST API; event streams end after what is waiting."""

import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "messaging_app.settings")

application = get_wsgi_application()
