"""Chat logs in the usual format, with lines such as ``[09:56] <nick> text``."""

import re
from dataclasses import dataclass
from pathlib import Path

LINE = re.compile(r"\[\d\d:\d\d\] <([^>]+)> ?(.*)", re.DOTALL)
UNSENDABLE = re.compile("[\0\ud800-\udfff]")  # the API refuses them
MAX_BODY_LENGTH = 10_000


@dataclass
class Log:
    """The messages of a chat log, in order."""

    name: str
    lines: list[tuple[str, str]]  # nick, body
    skipped: int  # messages that are blank or too long

    def by_nick(self) -> dict[str, list[int]]:
        """Return the indexes of each nick's lines, in order of first appearance."""
        indexes: dict[str, list[int]] = {}
        for index, (nick, _) in enumerate(self.lines):
            indexes.setdefault(nick, []).append(index)
        return indexes


def parse_line(line: str) -> tuple[str, str] | None:
    """Return nick and body of ``[HH:MM] <nick> body``, or None for other lines."""
    match = LINE.fullmatch(line)
    return (match[1], UNSENDABLE.sub("\ufffd", match[2])) if match else None


def read_log(path: Path, limit: int | None = None) -> Log:
    """Read a log; bytes that are not UTF-8 become replacement characters."""
    text = path.read_bytes().decode(errors="replace")
    parsed = (parse_line(line.removesuffix("\r")) for line in text.split("\n"))
    said = [line for line in parsed if line]
    kept = [line for line in said if 0 < len(line[1].strip()) <= MAX_BODY_LENGTH]
    return Log(path.name, kept[:limit], len(said) - len(kept))
