"""Golden folders: what the stores would hold, kept next to the case and compared byte by byte.

``golden/NAME/DESTINATION/PATH`` is what `troth render -o` writes, so that a review of a change shows what the Promise
renders differently. Only `--update` writes, only below the ``golden`` folder next to the file that names it, and never
through a link.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from troth.authoring.input_files import LARGEST_FILE, HomeError
from troth.authoring.output import write_files
from troth.authoring.testing.cases import Suite

FOLDER: Final = "golden"
_MOST_FILES: Final = 10_000
_LONGEST_DIFF: Final = 60


@dataclass(frozen=True, slots=True)
class Golden:
    """A golden folder, and what it should hold, by Destination and path."""

    folder: Path
    placed: Mapping[str, Mapping[str, bytes]]

    @property
    def files(self) -> dict[str, bytes]:
        """The contents by ``DESTINATION/PATH``."""
        return {
            f"{name}/{path}": content for name, files in self.placed.items() for path, content in files.items()
        }


@dataclass(frozen=True, slots=True)
class Difference:
    """A file that differs from the golden folder.

    Attributes:
        path: ``DESTINATION/PATH``.
        word: ``new``, ``missing`` or ``changed``.
        diff: a unified diff from the golden file to what was rendered.
    """

    path: str
    word: str
    diff: str


def golden_folder(file: Path, name: str) -> Path:
    """The golden folder of this name for the cases in a file."""
    return file.parent / FOLDER / name


def read_golden(folder: Path) -> dict[str, bytes]:
    """The contents by ``DESTINATION/PATH``; empty when the folder does not exist.

    Raises:
        HomeError: something in it is not a file, or too large.
    """
    found: dict[str, bytes] = {}
    if not folder.is_dir():
        return found
    for path in sorted(folder.rglob("*")):
        if path.is_symlink():
            raise HomeError(path, "is a link", "a golden folder holds files; let --update write it")
        if path.is_dir():
            continue
        if not path.is_file() or len(found) >= _MOST_FILES:
            raise HomeError(path, "does not belong into a golden folder", "let --update write it")
        try:
            if path.stat().st_size > LARGEST_FILE:
                raise HomeError(path, f"is larger than {LARGEST_FILE // 1024 // 1024} MiB")
            found[path.relative_to(folder).as_posix()] = path.read_bytes()
        except OSError as error:
            raise HomeError(path, f"cannot be read: {error.strerror}") from None
    return found


def compare(kept: Mapping[str, bytes], rendered: Mapping[str, bytes]) -> list[Difference]:
    """The differences, sorted by path."""
    found = []
    for path in sorted(kept.keys() | rendered.keys()):
        before, after = kept.get(path), rendered.get(path)
        if before != after:
            word = "new" if before is None else "missing" if after is None else "changed"
            found.append(Difference(path, word, unified(path, before or b"", after or b"")))
    return found


def unified(path: str, before: bytes, after: bytes) -> str:
    """A unified diff as text, which is cut if it is long."""
    try:
        old, new = before.decode().splitlines(), after.decode().splitlines()
    except UnicodeDecodeError:
        return f"{len(before)} bytes that are not text, now {len(after)}"
    lines = list(difflib.unified_diff(old, new, f"golden/{path}", f"rendered/{path}", lineterm=""))
    if not lines:
        return "only the end of lines is different" if before and after else ""
    if len(lines) > _LONGEST_DIFF:
        lines = [*lines[:_LONGEST_DIFF], f"… and {len(lines) - _LONGEST_DIFF} lines more"]
    return "\n".join(lines)


def unused(suites: Sequence[Suite]) -> list[Path]:
    """The golden folders next to these suites that none of their cases names."""
    named = {
        golden_folder(suite.file, step.expect.golden)
        for suite in suites
        for case in suite.cases
        for step in case.steps
        if step.expect.golden
    }
    bases = {suite.file.parent / FOLDER for suite in suites}
    return sorted(path for base in bases if base.is_dir() for path in base.iterdir() if path not in named)


def plan(goldens: Sequence[Golden]) -> list[str]:
    """What `update` will write and remove, a line for each file.

    Raises:
        HomeError: two cases want different contents for one folder, or it cannot be read.
    """
    lines = []
    for folder in {golden.folder for golden in goldens}:
        wants = [golden.files for golden in goldens if golden.folder == folder]
        if any(want != wants[0] for want in wants):
            raise HomeError(folder, "two cases want something else in it", "give each a golden folder of its own")
    for golden in {golden.folder: golden for golden in goldens}.values():
        kept, wanted = read_golden(golden.folder), golden.files
        for path in sorted(kept.keys() | wanted.keys()):
            if path not in kept:
                lines.append(f"add {golden.folder / path}")
            elif path not in wanted:
                lines.append(f"remove {golden.folder / path}")
            elif kept[path] != wanted[path]:
                lines.append(f"change {golden.folder / path}")
    return lines


def update(goldens: Sequence[Golden]) -> None:
    """Writes and removes files so that the folders hold exactly what they should.

    Raises:
        HomeError: a file is behind a link, or cannot be written.
    """
    for golden in goldens:
        base = golden.folder.parent
        if any(path.is_symlink() for path in (base, golden.folder)):
            raise HomeError(golden.folder, "is behind a link", "golden folders stand in the tests folder")
        wanted = golden.files
        for path in read_golden(golden.folder).keys() - wanted.keys():
            _remove(golden.folder, path)
        write_files(golden.folder, golden.placed, force=True)


def _remove(folder: Path, relative: str) -> None:
    path = folder / relative
    try:
        path.unlink()
        while (path := path.parent) != folder and not any(path.iterdir()):
            path.rmdir()
    except OSError as error:
        raise HomeError(path, f"cannot be removed: {error.strerror}") from None
