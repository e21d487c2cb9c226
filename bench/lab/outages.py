"""Outages of what a server depends on, each for the duration of a block."""

import os
import signal
import sqlite3
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import psycopg

from bench.lab.clusters import Cluster, spare_port
from bench.lab.servers import until

# --- SQLite ---------------------------------------------------------------------


@contextmanager
def writer_held(file: Path) -> Iterator[None]:
    with sqlite3.connect(file, isolation_level=None) as rival:
        rival.execute("BEGIN IMMEDIATE")
        yield
        rival.execute("ROLLBACK")


@contextmanager
def disk_filled(directory: Path) -> Iterator[None]:
    filler = directory / "filler"
    with filler.open("wb", buffering=0) as file, suppress(OSError):
        while file.write(b"\0" * 4096):
            pass
    yield
    filler.unlink()


@contextmanager
def small_disk() -> Iterator[Path | None]:
    """Yield the directory of an 8 MB tmpfs, or None if it cannot be mounted."""
    with tempfile.TemporaryDirectory(prefix="bench-") as directory:
        mount = ["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", directory]
        if subprocess.run(mount, capture_output=True, check=False).returncode:
            yield None
            return
        try:
            yield Path(directory)
        finally:
            subprocess.run(["umount", "--lazy", directory], check=True)


# --- PostgreSQL -----------------------------------------------------------------


@contextmanager
def stopped(own: Cluster) -> Iterator[None]:
    own.stop()
    yield
    own.start()


@contextmanager
def out_of_connections(own: Cluster) -> Iterator[None]:
    """Take all connections, including those of the server under test."""
    with ExitStack() as stack:

        def take_all() -> list[psycopg.Connection]:
            taken = []
            with suppress(psycopg.OperationalError):
                while True:
                    made = psycopg.connect(own.url, autocommit=True)
                    taken.append(stack.enter_context(made))
            return taken

        ours = take_all()
        pids = [connection.info.backend_pid for connection in ours]
        ours[0].execute(
            "SELECT pg_terminate_backend(pid, 1000) FROM pg_stat_activity "
            "WHERE backend_type = 'client backend' AND NOT pid = ANY(%s)",
            [pids],
        )
        take_all()
        yield


@contextmanager
def rows_locked(own: Cluster) -> Iterator[None]:
    with psycopg.connect(own.url) as rival:
        rival.execute("SELECT 1 FROM chats_conversation FOR UPDATE")
        yield


@contextmanager
def read_only(own: Cluster) -> Iterator[None]:
    with psycopg.connect(own.url, autocommit=True) as operator:
        for value in ("on", "off"):
            change = f"ALTER SYSTEM SET default_transaction_read_only = {value}"
            operator.execute("SET default_transaction_read_only = off")
            operator.execute(change)
            operator.execute("SELECT pg_reload_conf()")
            time.sleep(0.5)  # until every connection has read it
            if value == "on":
                yield


# --- Redis ----------------------------------------------------------------------


class Redis:
    """A Redis server for a bench."""

    def __init__(self) -> None:
        self.port = spare_port()
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self._process: subprocess.Popen | None = None

    def start(self) -> None:
        command = ["redis-server", "--port", str(self.port), "--save", ""]
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        self._process = subprocess.Popen(command, cwd=tempfile.gettempdir(), **quiet)
        until(lambda: self.say("PING"))

    def stop(self) -> None:
        self._process.kill()
        self._process.wait()

    def say(self, *words: str) -> bool:
        command = ["redis-cli", "-p", str(self.port), *words]
        return not subprocess.run(command, capture_output=True, check=False).returncode

    @contextmanager
    def stopped(self) -> Iterator[None]:
        self.stop()
        yield
        self.start()

    @contextmanager
    def frozen(self) -> Iterator[None]:
        os.kill(self._process.pid, signal.SIGSTOP)
        yield
        os.kill(self._process.pid, signal.SIGCONT)

    @contextmanager
    def emptied(self) -> Iterator[None]:
        self.say("FLUSHALL")
        yield
