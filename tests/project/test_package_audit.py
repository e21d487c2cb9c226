"""The check of pinned packages for known vulnerabilities: what it says and when it
fails. What pip-audit would find is put in its place."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from django.conf import settings

SCRIPT = Path(settings.BASE_DIR) / ".ci/audit.py"
SOUND = {"name": "sound", "version": "1.0", "vulns": []}
SKIPPED = {"name": "skipped", "skip_reason": "Dependency not found"}
FLAWED = {
    "name": "flawed",
    "version": "2.0",
    "vulns": [
        {"id": "PYSEC-1", "fix_versions": ["2.1", "3.0"]},
        {"id": "PYSEC-2", "fix_versions": []},
    ],
}


def audited(tool: Path) -> tuple[int, list[str]]:
    """Return the exit code and the lines of the check by a tool."""
    command = [sys.executable, SCRIPT, tool]
    run = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert run.stderr == ""
    return run.returncode, run.stdout.splitlines()


@pytest.fixture
def tool(tmp_path):
    """Return a function that makes a pip-audit which ends so."""

    def make(said: str, *, complaint: str = "", code: int = 0) -> Path:
        file = tmp_path / "pip-audit"
        file.write_text(
            f"#!{sys.executable}\nimport sys\n"
            f"print({said!r})\nprint({complaint!r}, file=sys.stderr)\nsys.exit({code})"
        )
        file.chmod(0o755)
        return file

    return make


@pytest.mark.parametrize(
    ("packages", "code", "lines"),
    [
        ([SOUND], 0, ["1 packages checked, 0 vulnerabilities."]),
        (
            [SOUND, FLAWED],
            1,
            [
                "flawed 2.0: PYSEC-1, mended in 2.1, 3.0",
                "flawed 2.0: PYSEC-2, mended in no release yet",
                "2 packages checked, 2 vulnerabilities.",
            ],
        ),
        (
            [SOUND, SKIPPED],
            0,
            [
                "COULD NOT BE CHECKED: 1 of 2 packages. The service knows nothing of"
                " skipped.",
                "1 packages checked, 0 vulnerabilities.",
            ],
        ),
    ],
)
def test_only_known_vulnerabilities_fail_the_check(packages, code, lines, tool):
    made = tool(json.dumps({"dependencies": packages}), code=code)

    assert audited(made) == (code, lines)


def test_service_out_of_reach_is_said_and_no_failure(tool):
    made = tool("", complaint="Traceback\nConnectionError: no network", code=1)

    unreached = ["COULD NOT BE CHECKED: ConnectionError: no network"]
    assert audited(made) == (0, unreached)


def test_tool_that_is_not_there_is_said_and_no_failure(tmp_path):
    code, lines = audited(tmp_path / "pip-audit")

    assert code == 0
    assert lines[0].startswith("COULD NOT BE CHECKED: ")
