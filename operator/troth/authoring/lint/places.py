"""Translates a remark about a field of the built Promise into a file, a line and a column."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from troth.authoring.home import Home, locate
from troth.authoring.lint.findings import Finding
from troth.engine.linting.remarks import CODES, Remark


class Files:
    """The lines of the files of a home. Each file is read once."""

    def __init__(self) -> None:
        self._lines: dict[Path, list[str]] = {}

    def lines(self, path: Path) -> list[str]:
        """The lines of a file; empty when it cannot be read any more."""
        if path not in self._lines:
            try:
                self._lines[path] = path.read_text("utf-8", errors="replace").split("\n")
            except OSError:
                self._lines[path] = []
        return self._lines[path]


def place(home: Home, remarks: Iterable[Remark], files: Files) -> list[Finding]:
    """The findings for some remarks, with their places. Two fields that share a file share one finding, too."""
    found: dict[Finding, None] = {}
    for remark in remarks:
        source = locate(home, remark.field)
        lines = files.lines(source.path)
        line = remark.find(lines, source.line)
        finding = Finding(
            code=remark.code,
            file=shown(source.path),
            line=line,
            column=_column(lines, line, remark.needle),
            message=remark.message,
            fix=remark.fix,
            severity=remark.severity or CODES[remark.code].severity,
            unbounded=remark.unbounded,
        )
        found.setdefault(finding)
    return list(found)


def shown(path: Path) -> str:
    """A path as it is shown to people: relative to the current folder if it is below it, otherwise as it was given."""
    try:
        return str(path.resolve().relative_to(Path.cwd()))
    except (ValueError, OSError):
        return str(path)


def _column(lines: list[str], line: int, needle: str) -> int:
    text = lines[line - 1] if 0 < line <= len(lines) else ""
    at = text.find(needle) if needle else -1
    return at + 1 if at >= 0 else len(text) - len(text.lstrip()) + 1
