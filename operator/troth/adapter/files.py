"""Reads what the containers of a pipeline have left in a folder, within bounds.

The containers may be anybody's, and their folder may hold anything that a file system can. A link would have the
contents of another file (the account's token, for one) copied into a Work; a device or a pipe never ends. So only
files and directories are read, everything else is refused by name, and a file is opened without following links and
checked again once it is open. A file that is too large is refused before it is read.

Rejected: *skipping what cannot be read*, as Kratix does with links (its author would search for a file that is
missing); *reading everything and measuring then* (the pod has 256 MiB).
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from troth.adapter.errors import Unusable
from troth.engine.placement.file_paths import path_problem
from troth.engine.placement.work import LARGEST_WORK

_KINDS: Final = (
    (stat.S_ISLNK, "a symbolic link"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISFIFO, "a named pipe"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)
_ONLY: Final = "only files and directories are read"


@dataclass(frozen=True, slots=True)
class Bounds:
    """How much a folder may hold.

    Attributes:
        most_files: files and directories together.
        largest_file: bytes of one file.
        largest: bytes of all files together.
    """

    most_files: int = 5_000
    largest_file: int = 16 * 1024 * 1024
    largest: int = LARGEST_WORK


@dataclass(frozen=True, slots=True)
class FoundFile:
    """A file of a folder: its path in it, with ``/`` between the parts, and its bytes when it was found."""

    path: str
    size: int


def list_files(folder: Path, seen_as: str, bounds: Bounds = Bounds()) -> Sequence[FoundFile]:
    """Lists the files of a folder and of all directories below it, sorted by path, without reading any of them.

    Args:
        folder: where it is.
        seen_as: its path as the containers know it, for messages.
        bounds: how much it may hold.

    Raises:
        Unusable: the folder holds something else than files and directories, a name that a repository cannot hold,
            or more than the bounds allow; or it cannot be read.
    """
    found: list[FoundFile] = []
    visited = size = 0
    pending = [""]
    while pending:
        parent = pending.pop()
        for entry in _scan(folder / parent, f"{seen_as}/{parent}" if parent else seen_as):
            visited += 1
            if visited > bounds.most_files:
                raise Unusable(seen_as, f"holds more than {bounds.most_files} files and directories")
            path = f"{parent}/{entry.name}" if parent else entry.name
            where = f"{seen_as}/{path}"
            if problem := _name_problem(path):
                raise Unusable(where, f"the path {problem}; write to another one")
            if entry.is_dir(follow_symlinks=False):
                pending.append(path)
                continue
            state = entry.stat(follow_symlinks=False)
            _require_file(state, where)
            if state.st_size > bounds.largest_file:
                raise Unusable(where, _too_large(state.st_size, bounds.largest_file))
            size += state.st_size
            if size > bounds.largest:
                raise Unusable(
                    seen_as, f"holds more than {bounds.largest} bytes; divide the files among several pipelines"
                )
            found.append(FoundFile(path, state.st_size))
    return sorted(found, key=lambda file: file.path)


def read_file(path: Path, seen_as: str, largest: int) -> bytes:
    """Reads a file.

    Args:
        path: where it is.
        seen_as: its path as the containers know it, for messages.
        largest: bytes that it may have.

    Raises:
        FileNotFoundError: it does not exist.
        Unusable: it is not a file, cannot be read, or has more bytes.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        raise
    except OSError as error:
        _require_file(path.lstat(), seen_as)
        raise Unusable(seen_as, _cannot_be_read(error)) from None
    with open(descriptor, "rb") as file:  # noqa: PTH123 - a descriptor
        _require_file(os.fstat(descriptor), seen_as)
        content = file.read(largest + 1)
    if len(content) > largest:
        raise Unusable(seen_as, _too_large(max(len(content), path.lstat().st_size), largest))
    return content


def _scan(folder: Path, seen_as: str) -> Iterator[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            yield from entries
    except OSError as error:
        raise Unusable(seen_as, _cannot_be_read(error)) from None


def _name_problem(path: str) -> str:
    try:
        path.encode()
    except UnicodeEncodeError:
        return "is not UTF-8"
    return path_problem(path)


def _require_file(state: os.stat_result, where: str) -> None:
    if stat.S_ISREG(state.st_mode):
        return
    kind = next((words for is_kind, words in _KINDS if is_kind(state.st_mode)), "not a file")
    raise Unusable(where, f"is {kind}; {_ONLY}")


def _cannot_be_read(error: OSError) -> str:
    words = f"cannot be read: {error.strerror}"
    if isinstance(error, PermissionError):
        words += "; let every user read it (chmod -R a+rX), since it is read as another user than the container's"
    return words


def _too_large(size: int, largest: int) -> str:
    return f"has {size} bytes, and {largest} are allowed"
