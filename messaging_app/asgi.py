"""ASGI entry point: the REST API through the WSGI application, in a small thread pool.

Views are synchronous. Django's own ASGI handler would make a thread and a database
connection for each request; under WSGI threads and connections are kept.
"""

from a2wsgi import WSGIMiddleware
from django.conf import settings

from messaging_app.wsgi import application as wsgi_application

application = WSGIMiddleware(wsgi_application, workers=settings.WEB_THREADS)
