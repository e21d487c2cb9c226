"""The web client's JavaScript modules, joined into one file.

A page of twenty modules would be twenty requests, in several waves, since a browser
learns of a module from the one that imports it. The joined file has each module in a
function of its own, those that are imported first, without comments and indentation.

The modules keep to a few forms, so that no parser is needed: at the beginning of a
line, ``import`` of names, or of ``* as`` a name, from a relative path, and ``export``
before a ``const``, a ``function`` or a ``class``. Their files are named by letters,
digits and ``_``. A comment that is not the end of a line has lines of its own, and no
text has several lines. There are no cycles, and nothing that is exported is assigned
again.
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
COMMENT = re.compile(r"^ *(?://.*|/\*\*(?:.|\n)*?\*/)\n", re.MULTILINE)
INDENTATION = re.compile(r"^ +", re.MULTILINE)
PART = re.compile(r"\w+")
OTHER = re.compile(r"^(?:import|export)\b", re.MULTILINE)


def joined(entry: Path) -> str:
    """Return the module and all that it imports as one; ValueError for other forms."""
    modules = _Modules(entry.resolve().parent)
    modules.add(entry.resolve())
    return "".join(modules.parts.values())


class _Modules:
    """The modules joined so far, those that are imported before those that import."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.parts: dict[str, str] = {}  # by the module's name

    def add(self, path: Path, *above: Path) -> None:
        """Add a module, after those that it imports."""
        if path in above:
            raise ValueError(f"{path.name} imports itself, by way of others.")
        if self.name(path) in self.parts:
            return
        text = COMMENT.sub("", path.read_text(encoding="utf-8"))
        if any(line.count("`") % 2 for line in text.splitlines()):
            raise ValueError(f"{path.name} has a text of several lines.")
        for found in IMPORT.finditer(text):
            self.add((path.parent / found["file"]).resolve(), path, *above)
        body = IMPORT.sub(lambda found: self.constants(path, found), text)
        body = INDENTATION.sub("", body)
        exported = ", ".join(EXPORT.findall(body))
        body = EXPORT.sub("", body)
        if OTHER.search(body):
            raise ValueError(f"{path.name} has an import or export of another form.")
        name = self.name(path)
        self.parts[name] = (
            f"const {name} = (() => {{\n{body}return {{ {exported} }};\n}})();\n"
        )

    def constants(self, path: Path, found: re.Match[str]) -> str:
        module = self.name((path.parent / found["file"]).resolve())
        if found["all"]:
            return f"const {found['all']} = {module};\n"
        if found["names"]:
            names = found["names"].replace(" as ", ": ")
            return f"const {{{names}}} = {module};\n"
        return ""

    def name(self, path: Path) -> str:
        """Return the name of a module, made of its whole path: modules in two folders
        may be called alike."""
        parts = path.relative_to(self.folder).with_suffix("").parts
        if not all(PART.fullmatch(part) for part in parts):
            raise ValueError(f"{path.name} is not named by letters, digits and _.")
        return "$" + "$".join(parts)
