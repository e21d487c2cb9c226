"""What must stay true of the code as a whole, whatever is added to it."""

import ast
import re
import sys
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from itertools import pairwise
from pathlib import Path
from uuid import uuid4

import pytest
from django.apps import apps
from django.conf import settings
from django.core.management import call_command

from chats.models.rules import Participation, can
from chats.serializers.conversations import CapabilitiesSerializer
from tests.support.routes import NOBODY, PUBLIC, api_calls

ROOT = Path(settings.BASE_DIR)

# --- Levels -------------------------------------------------------------------

# The rooms of chats. Each may import from those of lower levels, and from itself.
# docs/architecture.md says what is in them.
LEVELS = {
    "db": 0,
    "web": 1,
    "models": 2,
    "serializers": 3,
    "services": 3,
    "lists": 4,
    "realtime": 4,
    "server": 5,
    "api": 6,
    "admin": 7,
    "management": 7,
    "apps": 8,
}
OUTSIDE = {"migrations", "templates"}


def sources() -> dict[str, str]:
    """Return the source of every module of chats but OUTSIDE, by dotted name."""
    found = {}
    for file in sorted((ROOT / "chats").rglob("*.py")):
        parts = file.relative_to(ROOT).with_suffix("").parts
        name = ".".join(parts).removesuffix(".__init__")
        if name != "chats" and parts[1] not in OUTSIDE:
            found[name] = file.read_text()
    return found


def upward_imports(module: str, source: str) -> list[str]:
    """Return what the module imports from its own level or a higher one.

    Imports inside functions and of types only count as well.
    """
    unit = module.split(".")[1]
    return [
        target
        for target in imported(module, source)
        if unit_of(target) != unit
        and LEVELS.get(unit_of(target), 9) >= LEVELS.get(unit, -1)
    ]


def imported(module: str, source: str) -> Iterator[str]:
    """Yield the dotted names a source imports from the project."""
    for node in ast.walk(ast.parse(source)):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            package = module.rsplit(".", node.level)[0] + "." if node.level else ""
            base = (package + (node.module or "")).rstrip(".")
            names = [f"{base}.{alias.name}" for alias in node.names]
        for name in names:
            if name.split(".")[0] in {"chats", "messaging_app", "tests", "bench"}:
                yield name


def unit_of(target: str) -> str:
    """Return the room of chats, or where else the name is from."""
    top, _, rest = target.partition(".")
    return rest.partition(".")[0] if top == "chats" else top


def test_imports_lead_downward():
    upward = [
        f"{module} imports {target}"
        for module, source in sources().items()
        for target in upward_imports(module, source)
    ]
    assert upward == []


def test_every_room_has_a_level():
    rooms = {name.split(".")[1] for name in sources()}
    assert rooms == set(LEVELS)


def test_list_of_rooms_is_a_table_of_contents():
    files = [file.relative_to(ROOT / "chats") for file in (ROOT / "chats").rglob("*")]
    entries = {
        file.parts[0]
        for file in files
        if (ROOT / "chats" / file).is_file() and "__pycache__" not in file.parts
    }
    assert len(entries) <= 16


def test_levels_are_those_of_the_architecture_page():
    page = (ROOT / "docs/architecture.md").read_text()
    documented = {
        unit: int(level)
        for level, units in re.findall(r"^\| (\d) \| (`.*?) \|", page, re.MULTILINE)
        for unit in re.findall(r"`(\w+)/?`", units)
    }
    assert documented == LEVELS


@pytest.mark.parametrize(
    ("module", "source", "found"),
    [
        ("models.users", "from chats.api.views import users", "chats.api.views.users"),
        ("models.users", "import chats.services.users", "chats.services.users"),
        ("serializers.rows", "from chats import services", "chats.services"),
        ("serializers.rows", "from .. import api", "chats.api"),
        ("services.users", "from ..admin import base", "chats.admin.base"),
        ("lists.filters", "def f():\n    import chats.api.urls", "chats.api.urls"),
        ("lists.filters", "from chats.realtime import log", "chats.realtime.log"),
        ("models.users", "from messaging_app import settings", None),
        ("serializers.rows", "from tests.support.factories import start", None),
        ("api.views.users", "import chats.nowhere", "chats.nowhere"),
    ],
)
def test_imports_upward_and_sideways_are_found(module, source, found):
    assert len(upward_imports(f"chats.{module}", source)) == 1
    if found:
        assert upward_imports(f"chats.{module}", source) == [found]


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("api.views.users", "from chats.models import User"),
        ("api.views.users", "from chats.api.views.base import ChatsViewSet"),
        ("api.views.users", "from . import base"),
        ("serializers.rows", "import json\nfrom django.db import models"),
        ("models.users", "from chats.db.uuids import uuid7"),
    ],
)
def test_imports_downward_and_of_the_own_room_are_fine(module, source):
    assert upward_imports(f"chats.{module}", source) == []


# --- Sources ------------------------------------------------------------------


def own_files() -> list[Path]:
    folders = ("chats", "messaging_app", "tests", "bench")
    files = [file for folder in folders for file in (ROOT / folder).rglob("*.py")]
    return [file for file in files if "migrations" not in file.parts]


def test_every_third_party_import_is_a_requirement():
    required = {
        re.split(r"[\[~=<> ]", line)[0].lower().replace("_", "-")
        for line in (ROOT / "requirements.txt").read_text().splitlines()
        if line and not line.startswith("#")
    }
    distributions = packages_distributions()
    missing = {
        name
        for file in own_files()
        if file.parent != ROOT / "tests/support/clients"  # with requirements of its own
        for name in third_party(file.read_text())
        if not {item.lower().replace("_", "-") for item in distributions.get(name, [])}
        & required
    }
    assert missing == set()


def third_party(source: str) -> Iterator[str]:
    own = {"chats", "messaging_app", "tests", "bench"}
    for node in ast.walk(ast.parse(source)):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and not node.level:
            names = [node.module]
        for name in {name.split(".")[0] for name in names}:
            if name not in sys.stdlib_module_names and name not in own:
                yield name


def test_every_module_says_what_it_is():
    silent = [
        str(file.relative_to(ROOT))
        for file in own_files()
        if file.read_text() and not ast.get_docstring(ast.parse(file.read_text()))
    ]
    assert silent == []


# --- Tests --------------------------------------------------------------------


def imported_tests(module: str, source: str) -> list[str]:
    """Return what a source imports that is a test module, or is from one."""
    return [
        target
        for target in imported(module, source)
        if any(part.startswith("test_") for part in target.split("."))
    ]


def test_no_module_of_tests_imports_a_test_module():
    """What two of them need is in tests/support."""
    found = {}
    for file in sorted((ROOT / "tests").rglob("*.py")):
        module = ".".join(file.relative_to(ROOT).with_suffix("").parts)
        if targets := imported_tests(module, file.read_text()):
            found[module] = targets
    assert found == {}


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("from tests.api.test_users import SIGN_UP", "tests.api.test_users.SIGN_UP"),
        ("from tests.api import test_users as users", "tests.api.test_users"),
        ("import tests.api.test_users", "tests.api.test_users"),
        ("from . import test_users", "tests.lists.test_users"),
        ("from .test_users import URL", "tests.lists.test_users.URL"),
        ("from ..api.test_users import URL", "tests.api.test_users.URL"),
    ],
)
def test_imports_of_test_modules_are_found(source, found):
    assert imported_tests("tests.lists.test_pages", source) == [found]


@pytest.mark.parametrize(
    "source", ["from tests.support.bodies import SIGN_UP", "import tests.support.admin"]
)
def test_imports_of_what_tests_share_are_fine(source):
    assert imported_tests("tests.lists.test_pages", source) == []


# --- The database -------------------------------------------------------------


@pytest.mark.django_db
def test_no_migration_is_missing():
    call_command("makemigrations", check=True, dry_run=True, verbosity=0)


INDEXES = {"Index", "UniqueConstraint"}


def uncommented(source: str) -> list[str]:
    """Return the names of indexes, unique constraints too, that nothing explains.

    A comment above the first of several unique constraints is about all of them.
    What a check constraint is for is its name.
    """
    lines, silent = source.splitlines(), []
    for node in ast.walk(ast.parse(source)):
        items = node.elts if isinstance(node, ast.List) else []
        explained = False
        for before, item in pairwise([None, *items]):
            above = lines[item.lineno - 2].strip().startswith("#")
            is_next = kind_of(before) == kind_of(item) == "UniqueConstraint"
            explained = above or (explained and is_next)
            if kind_of(item) in INDEXES and not explained:
                silent.append(name_of(item))
    return silent


def name_of(call: ast.Call) -> str:
    [name] = [keyword.value.value for keyword in call.keywords if keyword.arg == "name"]
    return name


def kind_of(node: ast.AST | None) -> str:
    """Return ``Index`` for ``models.Index(…)``."""
    is_call = isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)
    return node.func.attr if is_call else ""


@pytest.mark.parametrize(
    "file", sorted((ROOT / "chats/models").glob("*.py")), ids=lambda file: file.stem
)
def test_every_index_says_what_it_is_for(file):
    assert uncommented(file.read_text()) == []


def test_indexes_without_a_comment_are_found():
    source = """
indexes = [
    # The list.
    models.Index(fields=["a"], name="a"),
    models.Index(fields=["b"], name="b"),
    models.UniqueConstraint(fields=["c"], name="c"),
    # The two names.
    models.UniqueConstraint(fields=["d"], name="d"),
    models.UniqueConstraint(fields=["e"], name="e"),
]
"""
    assert uncommented(source) == ["b", "c"]


def test_constraints_and_indexes_are_named_after_their_table():
    misnamed = [
        item.name
        for model in apps.get_app_config("chats").get_models()
        for item in [*model._meta.constraints, *model._meta.indexes]
        if not item.name.startswith(
            re.sub(r"(?<=[a-z])(?=[A-Z])", "_", model.__name__).lower()
        )
    ]
    assert misnamed == []


# --- Routes -------------------------------------------------------------------


@pytest.mark.parametrize(("method", "path"), api_calls())
def test_every_route_asks_who_is_calling(anonymous, db, method, path):
    response = anonymous.generic(method, path, "{}", content_type="application/json")
    if (method, path) in PUBLIC:
        assert response.status_code in {200, 400}
        return
    assert response.status_code == 401
    assert response.headers["WWW-Authenticate"] == 'Bearer realm="api"'
    assert response.json() == {
        "detail": "Authentication credentials were not provided.",
        "code": "not_authenticated",
    }


def test_public_routes_exist():
    assert set(api_calls()) >= PUBLIC


def test_walk_finds_routes_of_every_kind():
    assert {
        ("GET", "/api/"),
        ("GET", "/api/users/me/"),
        ("PATCH", f"/api/messages/{NOBODY}/mark_as_read/"),
        ("POST", "/api/auth/logout/"),
        ("GET", "/api/events/"),
    } <= set(api_calls())


# --- Shapes -------------------------------------------------------------------


def test_capabilities_are_what_the_serializer_declares():
    acts = can(Participation(user_id=uuid4(), owner_id=None))

    assert list(acts) == list(CapabilitiesSerializer().fields)
