"""`manage.py test` runs pytest: one suite, whichever command starts it."""

import os
import subprocess
import sys
from argparse import ArgumentParser
from pathlib import Path

from django.conf import settings

VERBOSITY = {0: ["--quiet"], 1: [], 2: ["-v"], 3: ["-vv"]}


class PytestRunner:
    """A Django TEST_RUNNER that hands its labels and options to pytest."""

    def __init__(
        self,
        *,
        verbosity: int = 1,
        failfast: bool = False,
        keepdb: bool = False,
        keyword: str = "",
        workers: str = "",
        **_: object,
    ):
        self.options = [
            *VERBOSITY[verbosity],
            *(["--exitfirst"] if failfast else []),
            *(["--reuse-db"] if keepdb else []),
            *(["-k", keyword] if keyword else []),
            *(["-n", workers] if workers else []),
        ]

    @classmethod
    def add_arguments(cls, parser: ArgumentParser) -> None:
        add = parser.add_argument
        add("--keepdb", action="store_true", help="Keep the test database.")
        add("--failfast", action="store_true", help="Stop at the first failure.")
        add("-k", dest="keyword", default="", help="Only tests matching this.")
        add(
            "--parallel",
            dest="workers",
            nargs="?",
            const="auto",
            default="",
            help="How many processes; as many as processors, if not given.",
        )

    def run_tests(self, test_labels: list[str], **_: object) -> int:
        """Return pytest's exit status: 0 when every test has passed.

        pytest is a process of its own, without this one's DJANGO_SETTINGS_MODULE,
        which would beat the one in pyproject.toml.
        """
        environment = dict(os.environ)
        environment.pop("DJANGO_SETTINGS_MODULE", None)
        labels = [pytest_label(label) for label in test_labels]
        command = [sys.executable, "-m", "pytest", *self.options, *labels]
        done = subprocess.run(
            command, cwd=settings.BASE_DIR, env=environment, check=False
        )
        return done.returncode


def pytest_label(label: str) -> str:
    """Translate Django's dotted ``tests.api.test_x.Case.test_y``; let paths pass."""
    if Path(settings.BASE_DIR, label.partition("::")[0]).exists():
        return label
    parts = label.split(".")
    for end in range(len(parts), 0, -1):
        file = Path(settings.BASE_DIR, *parts[:end]).with_suffix(".py")
        if file.exists():
            return "::".join([str(file), *parts[end:]])
    return label
