"""The container files: what they name exists, and their commands run in a plain folder.

Images cannot be built where no registry can be reached; these are the rules of linters
for such files that can be told from the text.
"""

import json
import os
import re
import shutil
import socket
import subprocess
import sys
from fnmatch import fnmatch
from pathlib import Path
from typing import NamedTuple

import httpx
import pytest
import yaml
from django.conf import settings
from django.core.management import get_commands

from tests.support.servers import wait_until
from tests.support.settings import READS, SETTINGS_FILE

ROOT = Path(settings.BASE_DIR)
FOLDER = ROOT / "docs/container"
COMPOSE = yaml.safe_load((FOLDER / "compose.yaml").read_text())
SERVICES = COMPOSE["services"]
OURS = {name for name, it in SERVICES.items() if it["image"] == "messaging"}
SETTINGS = set(READS.findall(SETTINGS_FILE.read_text()))
SECRET = re.compile("PASSWORD|SECRET|TOKEN|KEY")
# The program of each command, and what it is called here.
PROGRAMS = {"python": [sys.executable], "uvicorn": [sys.executable, "-m", "uvicorn"]}


class Instruction(NamedTuple):
    name: str
    text: str


def instructions() -> list[Instruction]:
    text = (FOLDER / "Dockerfile").read_text().replace("\\\n", " ")
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    return [Instruction(*line.split(maxsplit=1)) for line in lines]


def texts(name: str) -> list[str]:
    """Return what follows each instruction of this name; there is at least one."""
    found = [one.text for one in instructions() if one.name == name]
    assert found
    return found


def command(name: str) -> list[str]:
    """Return the last command of CMD or HEALTHCHECK, which must not need a shell."""
    return json.loads(texts(name)[-1][texts(name)[-1].index("[") :])


def copied() -> list[tuple[str, str]]:
    """Return what is copied from the project: the source and the target."""
    pairs = [text.split() for text in texts("COPY") if not text.startswith("--from")]
    return [(source, target) for source, target in pairs]


def is_sent(path: str) -> bool:
    """Return whether .dockerignore lets a file of the top folder through."""
    sent = True
    for line in (FOLDER / "Dockerfile.dockerignore").read_text().splitlines():
        if line and not line.startswith("#") and fnmatch(path, line.removeprefix("!")):
            sent = line.startswith("!")
    return sent


# --- Dockerfile -------------------------------------------------------------------


def test_images_have_a_version():
    bases = [text.split()[0] for text in texts("FROM")]
    assert len(set(bases)) == 1
    assert re.fullmatch(r"python:3\.\d+-slim-\w+", bases[0])


def test_what_is_copied_exists_and_is_sent_to_the_builder():
    assert {source for source, _ in copied()} >= {"chats", "messaging_app"}
    for source, _ in copied():
        assert (ROOT / source).exists()
        assert is_sent(source)


def test_nothing_else_is_sent_to_the_builder():
    wanted = {source for source, _ in copied()}
    names = {path.name for path in ROOT.iterdir()} | {
        "secret_key",
        "db.sqlite3",
        ".env",
    }
    assert {name for name in names if is_sent(name)} == wanted


def test_user_is_not_root_and_the_last_word():
    assert re.fullmatch(r"[1-9]\d{3,}", texts("USER")[-1])
    after = instructions()[[one.name for one in instructions()].index("USER") :]
    assert {one.name for one in after} & {"RUN", "COPY", "ADD"} == set()


def test_no_secret_is_in_the_image():
    names = {one.name for one in instructions()}
    given = " ".join(text for name in ("ENV",) for text in texts(name))
    assert names & {"ARG", "ADD"} == set()
    assert SECRET.findall(given) == []
    assert set(re.findall(r"\b([A-Z_]+)=", given)) - SETTINGS == {
        "PATH",
        "PYTHONDONTWRITEBYTECODE",
        "PYTHONUNBUFFERED",
    }


def test_packages_are_the_locked_ones_of_the_runtime():
    [install] = [text for text in texts("RUN") if "pip install" in text]
    assert "--require-hashes" in install
    assert "--no-cache-dir" in install
    [expression] = re.findall(r"sed '(.*?)'", install)
    sed = ["sed", expression, ROOT / "constraints.txt"]
    kept = subprocess.run(sed, capture_output=True, text=True, check=True).stdout
    names = set(re.findall(r"^([a-z0-9-]+)==", kept, re.MULTILINE))
    assert {"django", "uvicorn", "psycopg-binary"} <= names
    assert names & {"pytest", "ruff", "playwright", "hypothesis"} == set()


def test_ports_agree():
    [port] = texts("EXPOSE")
    serve = command("CMD")
    assert serve[serve.index("--port") + 1] == port
    assert f":{port}/readyz" in " ".join(command("HEALTHCHECK"))
    assert SERVICES["app"]["ports"] == [f"127.0.0.1:{port}:{port}"]


# --- compose.yaml -----------------------------------------------------------------


def test_our_services_are_the_image_that_is_built_here():
    assert {"app", "migrate"} == OURS
    for name in OURS:
        build = SERVICES[name]["build"]
        context = (FOLDER / build["context"]).resolve()
        assert context == ROOT
        assert (context / build["dockerfile"]).samefile(FOLDER / "Dockerfile")


@pytest.mark.parametrize("name", [*OURS, "cache"])
def test_service_cannot_write_or_gain_rights(name):
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert "privileged" not in service
    assert service.get("volumes", []) == []


@pytest.mark.parametrize("name", SERVICES)
def test_secrets_come_from_outside(name):
    given = SERVICES[name].get("environment", {})
    for key, value in given.items():
        if SECRET.search(key) or ("://" in value and "@" in value):
            rest = re.sub(r"\$\{[A-Z_]+:\?\}", "", value)
            assert rest in {"", "postgres://messaging:@database/messaging"}


def test_settings_exist_and_hosts_are_services():
    given = SERVICES["app"]["environment"]
    assert set(given) - SETTINGS == set()
    assert re.search(r"@(\w+)/", given["DATABASE_URL"])[1] in SERVICES
    assert re.search(r"//(\w+):", given["REDIS_URL"])[1] in SERVICES
    database = SERVICES["database"]["environment"]
    place = "postgres://{POSTGRES_USER}:{POSTGRES_PASSWORD}@database/{POSTGRES_DB}"
    assert given["DATABASE_URL"] == place.format(**database)


def test_services_wait_for_what_can_say_that_it_is_ready():
    waits = {
        name: service["depends_on"]
        for name, service in SERVICES.items()
        if "depends_on" in service
    }
    assert set(waits) == OURS
    for needed in waits.values():
        for name, how in needed.items():
            if how["condition"] == "service_healthy":
                assert SERVICES[name]["healthcheck"]["test"][0] == "CMD"
            else:
                assert how["condition"] == "service_completed_successfully"
                assert SERVICES[name]["restart"] == "no"


def test_database_is_kept_in_a_volume():
    [mount] = SERVICES["database"]["volumes"]
    assert mount.partition(":")[0] in COMPOSE["volumes"]


def test_grace_is_longer_than_the_servers():
    serve = command("CMD")
    grace = int(serve[serve.index("--timeout-graceful-shutdown") + 1])
    assert int(SERVICES["app"]["stop_grace_period"].rstrip("s")) > grace


def test_variables_are_documented():
    text = (FOLDER / "compose.yaml").read_text()
    required = set(re.findall(r"\$\{([A-Z_]+):\?\}", text))
    page = (ROOT / "docs/deploy.md").read_text()
    [commands] = re.findall(r"\n## In containers\n.*?```sh\n(.*?)```", page, re.DOTALL)
    assert required == set(re.findall(r"^([A-Z_]+)=", commands, re.MULTILINE))
    for path in re.findall(r"docs/container/[\w.]+", commands):
        assert (ROOT / path).exists() or path.endswith(".env")
    for name in re.findall(r"manage\.py (\w+)", commands):
        assert name in get_commands()


# --- In a plain folder --------------------------------------------------------------


@pytest.fixture
def image(tmp_path) -> Path:
    """A folder with what is copied into the image, and nothing else."""
    place = tmp_path / "srv"
    for source, target in copied():
        if target != "/":
            to = place / target / (source if target == "./" else "")
            to.parent.mkdir(parents=True, exist_ok=True)
            ignore = shutil.ignore_patterns("__pycache__")
            if (ROOT / source).is_dir():
                shutil.copytree(ROOT / source, to, ignore=ignore)
            else:
                shutil.copy(ROOT / source, to)
    return place


def run_of(words: list[str]) -> list[str]:
    return [*PROGRAMS[words[0]], *words[1:]]


def environment(directory: Path) -> dict[str, str]:
    """Return the environment of a container without settings, with its data there."""
    kept = {name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ}
    given = {"DATABASE_URL": f"sqlite:///{directory / 'db.sqlite3'}"}
    return kept | given | {"PYTHONDONTWRITEBYTECODE": "1"}


def files_in(directory: Path) -> list[Path]:
    return sorted(directory.rglob("*"))


@pytest.fixture
def port() -> str:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    return str(port)


def test_commands_run_and_write_nothing_but_data(image, tmp_path, port):
    """Nothing is collected or compiled first; the health check follows the truth."""
    data = tmp_path / "data"
    data.mkdir()
    before = files_in(image)
    options = {"cwd": image, "env": environment(data)}
    check = [word.replace(":8000", f":{port}") for word in command("HEALTHCHECK")]

    def health() -> int:
        quiet = {"stderr": subprocess.DEVNULL}
        return subprocess.run(run_of(check), **options, **quiet, check=False).returncode

    assert health() == 1
    subprocess.run(
        run_of(SERVICES["migrate"]["command"]),
        **options,
        stdout=subprocess.DEVNULL,
        check=True,
    )
    serve = [word.replace("8000", port) for word in command("CMD")]
    with subprocess.Popen(
        run_of(serve), **options, stderr=subprocess.DEVNULL
    ) as server:
        try:
            wait_until(lambda: health() == 0)
            page = httpx.get(f"http://127.0.0.1:{port}/")
            [style] = re.findall(r'rel="stylesheet" href="(.*?)"', page.text)
            found = httpx.get(f"http://127.0.0.1:{port}{style}")
        finally:
            server.terminate()
    assert (page.status_code, found.status_code) == (200, 200)
    assert files_in(image) == before
    assert {path.name for path in data.iterdir()} >= {"db.sqlite3", "secret_key"}
