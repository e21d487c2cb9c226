"""ASGI entry point: the whole application, its event streams held open."""

from messaging_app.wsgi import application as wsgi_application

from chats.stream import Shell  # isort: skip  (Django is set up by then)

application = Shell(wsgi_application)
