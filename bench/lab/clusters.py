"""A PostgreSQL server for a bench, which may be killed; fsync is on."""

import os
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psycopg

from bench.lab.servers import until


def tool(name: str) -> str:
    """Return the path of a server's tool, which on Debian is not on the PATH."""
    found = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"))
    path = str(found[-1]) if found else shutil.which(name)
    if not path:
        raise FileNotFoundError(f"PostgreSQL's {name} is not installed.")
    return path


def as_postgres(*command: str) -> None:
    """Run a tool and wait for its end; not as root, which the server refuses."""
    is_root = os.geteuid() == 0
    prefix = ("runuser", "-u", "postgres", "--") if is_root else ()
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "cwd": "/"}
    subprocess.run([*prefix, *command], check=True, **quiet)


def spare_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return listening.getsockname()[1]


class Cluster:
    """One PostgreSQL server on its own port."""

    def __init__(self, directory: Path, **settings: str):
        self.data = directory / "data"
        self.port = spare_port()
        self.url = f"postgres://bench@127.0.0.1:{self.port}/postgres"
        as_postgres(
            tool("initdb"), "-D", str(self.data), "-U", "bench", "-A", "trust",
            "-E", "UTF8",
        )  # fmt: skip
        ours = {"listen_addresses": "127.0.0.1"} | settings
        flags = [f"-p {self.port}", f"-k {directory}"]
        self._options = " ".join([*flags, *(f"-c {k}={v}" for k, v in ours.items())])

    def start(self) -> None:
        """Start it; return when recovery is done and it accepts connections.

        The start is repeated: after a kill, the shared memory stays in use until the
        last child process has noticed.
        """
        until(self._has_started)

    def _has_started(self) -> bool:
        log = str(self.data / "log")
        with suppress(subprocess.CalledProcessError):
            as_postgres(
                tool("pg_ctl"), "-D", str(self.data), "-w", "-l", log,
                "-o", self._options, "start",
            )  # fmt: skip
            return True
        return False

    def stop(self, mode: str = "fast") -> None:
        as_postgres(tool("pg_ctl"), "-D", str(self.data), "-w", "-m", mode, "stop")

    def kill(self) -> None:
        """Kill the postmaster, as the kernel does when it is out of memory."""
        pid = int((self.data / "postmaster.pid").read_text().split()[0])
        os.kill(pid, signal.SIGKILL)

    def answers(self) -> bool:
        with suppress(psycopg.OperationalError):
            psycopg.connect(self.url, connect_timeout=2).close()
            return True
        return False


@contextmanager
def cluster(**settings: str) -> Iterator[Cluster]:
    """Yield a new, running server; it and its data are removed afterwards."""
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        directory = Path(name)
        if os.geteuid() == 0:
            shutil.chown(directory, "postgres")
        made = Cluster(directory, **settings)
        made.start()
        try:
            yield made
        finally:
            with suppress(subprocess.CalledProcessError):
                made.stop("immediate")
