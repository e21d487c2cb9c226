"""`manage.py test` hands everything on to pytest."""

import subprocess
import sys
from pathlib import Path

import pytest
from django.conf import settings

from tests.support.runner import PytestRunner, pytest_label

HERE = str(Path(__file__))
FILE, NAME = "tests/project/test_runner.py", "tests.project.test_runner"


@pytest.mark.parametrize(
    ("label", "argument"),
    [
        ("tests", "tests"),
        (FILE, FILE),
        (f"{FILE}::test_x", f"{FILE}::test_x"),
        (NAME, HERE),
        (f"{NAME}.test_x", f"{HERE}::test_x"),
        (f"{NAME}.Case.test_x", f"{HERE}::Case::test_x"),
        ("tests.no_such_file", "tests.no_such_file"),
    ],
)
def test_pytest_label(label, argument):
    assert pytest_label(label) == argument


def test_options_become_those_of_pytest():
    runner = PytestRunner(
        verbosity=2, failfast=True, keepdb=True, keyword="a or b", workers="3"
    )

    assert runner.options == [
        "-v",
        "--exitfirst",
        "--reuse-db",
        "-k",
        "a or b",
        "-n",
        "3",
    ]
    assert PytestRunner().options == []


@pytest.mark.parametrize(
    ("label", "status"),
    [(f"{NAME}.test_options_become_those_of_pytest", 0), ("tests/no.py", 1)],
)
def test_manage_py_test_answers_with_the_status_of_pytest(label, status):
    command = [sys.executable, "manage.py", "test", label, "--parallel", "0"]

    done = subprocess.run(
        command, cwd=settings.BASE_DIR, capture_output=True, text=True, check=False
    )

    assert done.returncode == status, done.stderr
    assert ("1 passed" in done.stdout) is (status == 0)
