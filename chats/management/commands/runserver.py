"""Django's runserver, serving the same ASGI application as production."""

import os
import sys

import uvicorn
from django.contrib.staticfiles.management.commands.runserver import (
    Command as RunserverCommand,
)
from django.core.management.base import CommandError
from django.db import connections
from django.utils import autoreload

from chats.management.arguments import LAST_PORT
from chats.management.demo.welcome import welcome


class Command(RunserverCommand):
    help = (
        "Start the development server, which reloads when the code changes and has "
        "live event streams. In production use uvicorn messaging_app.asgi:application."
    )

    def handle(self, *args, **options) -> None:
        port = (options["addrport"] or "").rpartition(":")[2]
        if port.isdecimal() and (len(port) > 5 or int(port) > LAST_PORT):
            raise CommandError(f"There is no port above {LAST_PORT}.")
        super().handle(*args, **options)

    def inner_run(self, *args, **options) -> None:
        """Check as Django's does, then serve; autoreload runs this in a thread."""
        autoreload.raise_last_exception()
        if not options["skip_checks"]:
            self.check(**self.get_check_kwargs(options))
            self.check_migrations()
        connections.close_all()
        url = f"http://{self.addr}:{self.port}"
        self.stdout.write(f"Serving on {url}/ (quit with Control-C)\n{welcome(url)}")
        server = uvicorn.Server(
            uvicorn.Config(
                "messaging_app.asgi:application",
                host=self.addr.strip("[]"),
                port=int(self.port),
                timeout_graceful_shutdown=3,
                log_config=None,
            )
        )
        try:
            server.run()
        except KeyboardInterrupt:
            sys.exit(0)
        except SystemExit:  # as when the port is taken; a thread would ignore it
            self.stderr.write(f"The server could not start on port {self.port}.")
            os._exit(1)
