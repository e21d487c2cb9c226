"""ASGI entry point: the whole application, its event streams held open."""

from messaging_app.wsgi import application as wsgi_application

from chats.stream import Shell, tune_interpreter  # isort: skip  (Django is set up)

application = Shell(wsgi_application)
tune_interpreter()
