"""Ask an advisory service about the locked packages, by means of pip-audit.

Usage: python .ci/audit.py PIP_AUDIT. The exit code is 1 where a vulnerability is known.
What could not be asked, as without network, is said and is no failure.
"""

import json
import subprocess
import sys
from pathlib import Path

LOCK = Path(__file__).parents[1] / "constraints.txt"
OPTIONS = ("--no-deps", "--disable-pip", "--progress-spinner=off", "--format=json")


def ask(pip_audit: str) -> list[dict]:
    """Return what pip-audit found of each package; raises OSError or ValueError."""
    command = [pip_audit, *OPTIONS, f"--requirement={LOCK}"]
    run = subprocess.run(command, capture_output=True, text=True, timeout=300)
    if run.returncode == 2:  # it does not know its options: nothing would ever be asked
        sys.exit(run.stderr)
    try:
        return json.loads(run.stdout)["dependencies"]
    except ValueError as error:
        said = run.stderr.strip().splitlines() or [f"exit code {run.returncode}"]
        raise ValueError(said[-1]) from error


def main(pip_audit: str) -> int:
    try:
        packages = ask(pip_audit)
    except (OSError, ValueError, subprocess.TimeoutExpired) as error:
        print(f"COULD NOT BE CHECKED: {error}")
        return 0
    known = [(item, flaw) for item in packages for flaw in item.get("vulns", ())]
    for item, flaw in known:
        mended = ", ".join(flaw["fix_versions"]) or "no release yet"
        print(f"{item['name']} {item['version']}: {flaw['id']}, mended in {mended}")
    skipped = [package["name"] for package in packages if "skip_reason" in package]
    if skipped:
        some = ", ".join(skipped[:5]) + (", …" if len(skipped) > 5 else "")
        number = f"{len(skipped)} of {len(packages)} packages"
        print(f"COULD NOT BE CHECKED: {number}. The service knows nothing of {some}.")
    checked = len(packages) - len(skipped)
    print(f"{checked} packages checked, {len(known)} vulnerabilities.")
    return 1 if known else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
