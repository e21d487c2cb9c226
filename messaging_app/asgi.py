"""ASGI entry point: the whole application, including live event streams."""

from threading import Thread

from messaging_app.wsgi import application as wsgi_application

# Imported here, after Django is set up.
from chats.management.checks.database import log_findings  # isort: skip
from chats.server.shell import Shell, tune_interpreter  # isort: skip

application = Shell(wsgi_application)
tune_interpreter()
# In a thread, because the start must not wait for the database.
Thread(target=log_findings, name="checks", daemon=True).start()
