"""The demo: a server with its own database, demo users, and a bot that answers."""

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from urllib.error import URLError

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from chats.management.arguments import PORT
from chats.management.commands.seed_demo import PASSWORD
from chats.management.demo.bot import Bot

WINDOWS = """
Open two windows:
   1. {url}  as Alice ("Try it as Alice")
   2. {url}  as Bob, in a private window, so that both stay signed in
Write in "Lake cabin": the other window shows it, and Erin, a small program, answers.
All other accounts have the password {password}; sign in to {url}admin/ as admin.
Press Ctrl-C to stop; nothing is kept.
"""


class Command(BaseCommand):
    help = (
        "Start a demo: a server on a free port, with demo data in a temporary "
        "database, and a bot that answers. Prints which windows to open, and as whom. "
        "Press Ctrl-C to stop it."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--port",
            type=PORT,
            metavar="PORT",
            default=0,
            help="the port to listen on, at most 65535 (default: a free port)",
        )

    def handle(self, *args, port: int, **options) -> None:
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        port = free_port(port)
        url = f"http://localhost:{port}/"
        with suppress(KeyboardInterrupt), serving(port):
            bot = answering(url, time.monotonic() + 60)
            self.stdout.write(WINDOWS.format(url=url, password=PASSWORD))
            self.stdout.flush()
            while True:
                with suppress(URLError, TimeoutError):  # the server is busy: ask again
                    bot.turn()
                time.sleep(0.5)


def free_port(port: int) -> int:
    """Return the port, or a free one for 0; raises CommandError if it is in use."""
    try:
        with socket.create_server(("127.0.0.1", port)) as listening:
            return listening.getsockname()[1]
    except OSError as error:
        raise CommandError(f"Port {port} is unavailable: {error.strerror}.") from error


@contextmanager
def serving(port: int) -> Iterator[None]:
    """Serve a new database with the demo's data until the block ends."""
    manage = [sys.executable, "manage.py"]
    serve = [sys.executable, "-m", "uvicorn", "messaging_app.asgi:application"]
    serve += ["--port", str(port), "--log-level", "warning"]
    with tempfile.TemporaryDirectory(prefix="demo-") as folder:
        ours = {"DATABASE_URL": f"sqlite:///{folder}/demo.sqlite3"}
        ours |= {"DEMO_PASSWORD": PASSWORD, "REDIS_URL": "", "HTTPS": "0"}
        options = {"cwd": settings.BASE_DIR, "env": os.environ | ours}
        migrate = [*manage, "migrate", "--verbosity", "0"]
        quiet = {"stdout": subprocess.DEVNULL}
        subprocess.run(migrate, check=True, **options)
        subprocess.run([*manage, "seed_demo"], check=True, **options, **quiet)
        # Ctrl-C is for this process, which then stops the server.
        server = subprocess.Popen(serve, start_new_session=True, **options)
        try:
            yield
        finally:
            server.terminate()
            with suppress(subprocess.TimeoutExpired):
                server.wait(timeout=15)
            server.kill()
            server.wait()


def answering(url: str, deadline: float) -> Bot:
    """Wait for the server and sign erin in; raises CommandError if it fails."""
    while True:
        try:
            return Bot(url.rstrip("/"), "erin", PASSWORD)
        except URLError as error:
            if time.monotonic() > deadline:
                raise CommandError(f"The server is not answering: {error}") from error
            time.sleep(0.1)
