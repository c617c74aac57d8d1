"""Writes rendered files: as a stream for people and pipes, or into a folder that looks like the stores.

A folder is only written to when it is empty, or when the user asked for it. Other files in it are left alone, and
nothing is written through a link.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import orjson

from troth.api.files import holds_manifests
from troth.authoring.input_files import HomeError


def printable(placed: Mapping[str, Mapping[str, bytes]]) -> str:
    """A YAML stream of all files. Files that are not YAML are put into comments."""
    parts: list[str] = []
    for destination, files in placed.items():
        for path, content in files.items():
            text = content.decode("utf-8", "replace")
            if not holds_manifests(path):
                text = "".join(f"# {line}\n" for line in text.splitlines())
            end = "" if text.endswith("\n") or not text else "\n"
            parts.append(f"---\n# {destination}: {path}\n{text}{end}")
    return "".join(parts)


def write_files(folder: Path, placed: Mapping[str, Mapping[str, bytes]], *, force: bool) -> int:
    """Writes everything to ``folder/DESTINATION/PATH``. Returns the number of files.

    Raises:
        HomeError: the folder is not empty and ``force`` is not given, or it cannot be written to.
    """
    try:
        if folder.is_dir():
            if not force and next(folder.iterdir(), None) is not None:
                raise HomeError(folder, "is not empty", "name another folder, or give --force")
        elif folder.is_symlink() or folder.exists():
            raise HomeError(folder, "is not a folder", "name a folder")
        folder.mkdir(parents=True, exist_ok=True)
        root = folder.resolve()
        count = 0
        for destination, files in placed.items():
            for path, content in files.items():
                _write(root, Path(destination, path), content)
                count += 1
    except OSError as error:
        raise HomeError(Path(error.filename or folder), f"cannot be written: {error.strerror}") from None
    return count


def json_text(value: Any) -> str:
    """A value as indented JSON that ends with a line break. Bytes of file names that are not UTF-8 become ``?``."""
    try:
        text = orjson.dumps(value, option=orjson.OPT_INDENT_2)
    except TypeError:
        text = orjson.dumps(_as_unicode(value), option=orjson.OPT_INDENT_2)
    return text.decode() + "\n"


def _as_unicode(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()
    if isinstance(value, Mapping):
        return {_as_unicode(key): _as_unicode(item) for key, item in value.items()}
    return [_as_unicode(item) for item in value] if isinstance(value, list | tuple) else value


def write_text(path: Path, text: str) -> None:
    """Writes a file as a whole. If that fails, the file stays as it was before.

    Anything else than a regular file (``/dev/stdout``, a named pipe) is written to directly.

    Raises:
        HomeError: it cannot be written.
    """
    content = text.encode("utf-8", "replace")
    try:
        if path.exists() and not path.is_file():
            path.write_bytes(content)
            return
        target = path.resolve()
        aside = target.with_name(f".{target.name[:100]}.{os.getpid()}")
        try:
            with aside.open("xb") as file:
                file.write(content)
            if target.exists():
                aside.chmod(target.stat().st_mode)
            aside.replace(target)
        except BaseException:
            aside.unlink(missing_ok=True)
            raise
    except (OSError, RuntimeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "a link that leads to itself"
        raise HomeError(path, f"cannot be written: {reason}") from None


def _write(root: Path, relative: Path, content: bytes) -> None:
    target = root / relative
    target.parent.mkdir(parents=True, exist_ok=True)
    if not target.parent.resolve().is_relative_to(root):
        raise HomeError(target, "is behind a link out of the folder", "remove the link")
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
    with os.fdopen(os.open(target, flags, 0o666), "wb") as file:
        file.write(content)
