"""bench/: what its rooms may import, and what its programs say of themselves."""

import ast
import importlib
import re
import sys
from collections.abc import Iterator

import pytest
from django.conf import settings

BENCH = settings.BASE_DIR / "bench"
MAY_IMPORT = {"speed": {"speed", "lab"}, "proofs": {"proofs", "lab"}, "lab": {"lab"}}


def modules() -> dict[str, str]:
    """Return the sources of all modules in the rooms, by dotted name."""
    return {
        ".".join(file.relative_to(BENCH.parent).with_suffix("").parts): file.read_text()
        for file in sorted(BENCH.glob("*/*.py"))
        if file.stem != "__init__"
    }


def rooms_imported(source: str) -> set[str]:
    """Return the rooms of bench that a source imports from, "" for bench itself.

    Imports inside functions count as well.
    """
    return {
        name.split(".")[1] for name in dotted_names(source) if name.startswith("bench.")
    }


def dotted_names(source: str) -> Iterator[str]:
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name + "." for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def programs() -> list[str]:
    """Return the modules that take arguments."""
    return [name for name, source in modules().items() if "def arguments(" in source]


def named_in(text: str) -> set[str]:
    return set(re.findall(r"(?<![\w./@-])bench\.[a-z_]+(?:\.[a-z_]+)?", text))


def test_rooms_import_the_lab_and_themselves_only():
    for module, source in modules().items():
        room = module.split(".")[1]
        assert rooms_imported(source) <= MAY_IMPORT[room], module


def test_everything_is_in_a_room():
    rooms = {path.name for path in BENCH.iterdir() if path.is_dir()} - {"__pycache__"}
    assert rooms == set(MAY_IMPORT)
    assert [path.name for path in BENCH.glob("*.py")] == ["__init__.py"]


@pytest.mark.parametrize(
    ("source", "rooms"),
    [
        ("import bench.speed.http", {"speed"}),
        ("from bench import speed", {"speed"}),
        ("from bench.speed import http", {"speed"}),
        ("def f():\n    from bench.proofs.crash import Run", {"proofs"}),
        ("import bench", {""}),
        ("from benchmarks import speed\nimport json", set()),
    ],
)
def test_imports_of_rooms_are_found(source, rooms):
    assert rooms_imported(source) == rooms


@pytest.mark.parametrize("program", programs())
def test_program_explains_itself_by_its_own_name(program, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["program", "--help"])
    with pytest.raises(SystemExit) as ended:
        importlib.import_module(program).arguments()

    assert ended.value.code == 0
    assert f"usage: python -m {program} " in capsys.readouterr().out


def test_pages_name_programs_that_exist():
    pages = [*BENCH.parent.glob("docs/**/*.md"), *BENCH.parent.glob("*.md")]
    named = {name for page in pages for name in named_in(page.read_text())}
    assert len(named) > 10
    assert named <= set(modules())
