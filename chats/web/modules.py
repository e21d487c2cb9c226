"""The web client's JavaScript modules, joined into one file.

A page of twenty modules would be twenty requests, in several waves, since a browser
learns of a module from the one that imports it. The joined file has each module in a
function of its own, those that are imported first.

The modules keep to a few forms, so that no parser is needed: at the beginning of a
line, ``import`` of names, or of ``* as`` a name, from a relative path, and ``export``
before a ``const``, a ``function`` or a ``class``. There are no cycles, and nothing that
is exported is assigned again. Comments on lines of their own are left out; no text that
spans lines may look like one.
"""

import re
from pathlib import Path

IMPORT = re.compile(
    r"^import (?:(?:\{(?P<names>[^}]*)\}|\* as (?P<all>\w+)) from )?"
    r'"(?P<file>\.[\w/.-]+)";\n',
    re.MULTILINE,
)
EXPORT = re.compile(
    r"^export (?=(?:const|class|async function|function) ([\w$]+))", re.MULTILINE
)
COMMENT = re.compile(
    r"^[ \t]*(?://.*|/\*(?s:.*?)\*/)\n", re.MULTILINE
)  # on lines of its own
OTHER = re.compile(r"^(?:import|export)\b", re.MULTILINE)


def joined(entry: Path) -> str:
    """Return the module and all that it imports as one; ValueError for other forms."""
    parts: dict[Path, str] = {}
    _join(entry, parts, ())
    return "".join(parts.values())


def _join(path: Path, parts: dict[Path, str], above: tuple[Path, ...]) -> None:
    """Add the module to the parts, after those that it imports."""
    if path in parts:
        return
    if path in above:
        raise ValueError(f"{path.name} imports itself, by way of others.")
    text = path.read_text(encoding="utf-8")
    for found in IMPORT.finditer(text):
        _join((path.parent / found["file"]).resolve(), parts, (*above, path))
    body = IMPORT.sub(lambda found: _constants(path, found), text)
    body = COMMENT.sub("", body)
    exported = ", ".join(EXPORT.findall(body))
    body = EXPORT.sub("", body)
    if OTHER.search(body):
        raise ValueError(f"{path.name} has an import or export of another form.")
    parts[path] = (
        f"const {_name(path)} = (() => {{\n{body}return {{ {exported} }};\n}})();\n"
    )


def _constants(path: Path, found: re.Match[str]) -> str:
    module = _name((path.parent / found["file"]).resolve())
    if found["all"]:
        return f"const {found['all']} = {module};\n"
    if found["names"]:
        names = found["names"].replace(" as ", ": ")
        return f"const {{{names}}} = {module};\n"
    return ""


def _name(path: Path) -> str:
    return "$" + re.sub(r"\W", "_", path.stem)
