"""ASGI entry point: the whole application, its event streams held open."""

from threading import Thread

from messaging_app.wsgi import application as wsgi_application

# Django is set up by now.
from chats.management.checks.database import log_findings  # isort: skip
from chats.server.shell import Shell, tune_interpreter  # isort: skip

application = Shell(wsgi_application)
tune_interpreter()
# Beside the start, which waits for no database.
Thread(target=log_findings, name="checks", daemon=True).start()
