"""Reads the files that people pass in, with a limit of size, inside of their folder, and with the place in each error.

A path may name anything: a device without an end, a file of gigabytes, a link out of the folder. Each of these becomes
one sentence that says where it is and what to do.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from troth.api import TrothError
from troth.engine.yaml.lines import field_lines
from troth.engine.yaml.manifests import InvalidManifest, load_documents

LARGEST_FILE: Final = 2 * 1024 * 1024
"""The largest size of one file, in bytes. The API server accepts objects of at most 1.5 MiB."""


_MARKUP: Final = re.compile(r"\s*<(?:!doctype|html|\?xml)", re.IGNORECASE)
_TEMPLATE: Final = re.compile(r"^\s*(?:- )?\{\{|:[ \t]+\{\{|\{%-?[ \t]", re.MULTILINE)


class HomeError(TrothError):
    """Something in the files of a Promise, or in the arguments of a command, cannot be used.

    Attributes:
        file: the file.
        line: the line in it, counted from 1; None when it is not known.
        problem: what is wrong, without a full stop.
        remedy: what to do about it; may be empty.
        field: the path of the field in the built Promise; may be empty.
    """

    def __init__(
        self, file: Path, problem: str, remedy: str = "", *, line: int | None = None, field: str = ""
    ) -> None:
        self.file = file
        self.line = line
        self.problem = problem
        self.remedy = remedy
        self.field = field
        where = f"{file}:{line}" if line is not None else str(file)
        said = f"{field}: {problem}" if field else problem
        super().__init__(" ".join(f"{where}: {said}{f'; {remedy}' if remedy else ''}".split()))


def read_text(path: Path, *, largest: int = LARGEST_FILE) -> str:
    """The text of a regular file of at most ``largest`` bytes.

    Raises:
        HomeError: it cannot be read, is too large, or is not text.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else "is not a path"
        raise HomeError(path, f"cannot be read: {reason}") from None
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise HomeError(path, "is not a file", "name a regular file")
    with os.fdopen(descriptor, "rb") as file:
        try:
            content = file.read(largest + 1)
        except OSError as error:
            raise HomeError(path, f"cannot be read: {error.strerror}") from None
    if len(content) > largest:
        raise HomeError(path, f"is larger than {largest // 1024 // 1024} MiB", "split it, or name another file")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise HomeError(path, "is not UTF-8 text", "save it as UTF-8", line=line) from None


def read_documents(path: Path, text: str | None = None) -> list[Any]:
    """The documents of a YAML or JSON file, read as Kubernetes reads it.

    Raises:
        HomeError: it cannot be read, or is not YAML.
    """
    text = read_text(path) if text is None else text
    try:
        return load_documents(text)
    except InvalidManifest as error:
        raise HomeError(path, error.problem, _instead(text), line=error.line) from None


def _instead(text: str) -> str:
    """What to do about a file that is often confused with YAML; empty if it looks like YAML with a mistake."""
    if _MARKUP.match(text):
        return "it is a web page: download the raw file"
    if _TEMPLATE.search(text):
        return "it is a template ({{ }}): render it first, a chart of Helm with helm template"
    return ""


def read_objects(path: Path) -> list[dict[str, Any]]:
    """The objects of a YAML or JSON file. The items of a ``List`` are returned one by one.

    Raises:
        HomeError: it cannot be read, or something in it is not a Kubernetes object.
    """
    objects: list[dict[str, Any]] = []
    for document in read_documents(path):
        items = document["items"] if _is_list(document) else [document]
        for item in items:
            if not isinstance(item, dict) or not all(
                isinstance(item.get(field), str) and item[field] for field in ("apiVersion", "kind")
            ):
                raise HomeError(path, "something in it is not an object: apiVersion or kind is missing")
            if not isinstance(item.get("metadata") or {}, dict):
                raise HomeError(path, f"the metadata of a {item['kind']} is not a map")
            objects.append(item)
    return objects


def object_lines(path: Path) -> list[Mapping[str, int]]:
    """The line of each field of each of `read_objects`, counted from 1, by the path of the field; "" is the object.

    Raises:
        HomeError: the file cannot be read, or is not YAML.
    """
    text = read_text(path)
    found: list[Mapping[str, int]] = []
    for document, lines in zip(read_documents(path, text), filter(None, field_lines(text)), strict=False):
        if not _is_list(document):
            found.append(lines)
            continue
        for index in range(len(document["items"])):
            start = f"items[{index}]"
            found.append(
                {
                    field[len(start) :].removeprefix("."): line
                    for field, line in lines.items()
                    if field == start or field.startswith(f"{start}.")
                }
            )
    return found


def yaml_files(folder: Path) -> tuple[Path, ...]:
    """The YAML and JSON files below a folder, sorted.

    Raises:
        HomeError: there are none.
    """
    found = sorted(
        path for path in folder.rglob("*") if path.suffix in (".yaml", ".yml", ".json") and path.is_file()
    )
    if not found:
        raise HomeError(folder, "has no YAML files")
    return tuple(found)


def confined(folder: Path, relative: str, *, file: Path, line: int | None, field: str) -> Path:
    """The file inside of a folder that ``from: relative`` names, after links have been followed.

    Raises:
        HomeError: it is not inside of the folder, or does not exist. The error names ``file`` and ``line``.
    """
    problem = remedy = ""
    if not relative or "\0" in relative or "\\" in relative:
        problem, remedy = f"{relative!r} is not a path", "name a file below the Promise's folder"
    elif relative.startswith("/") or ".." in relative.split("/"):
        problem, remedy = f"{relative!r} leaves the Promise's folder", "use a relative path without '..'"
    if problem:
        raise HomeError(file, problem, remedy, line=line, field=field)
    try:
        found = (folder / relative).resolve(strict=True)
        inside = found.is_relative_to(folder.resolve())
    except (OSError, RuntimeError):
        raise HomeError(
            file,
            f"there is no file {relative!r}",
            "paths are relative to the Promise's folder",
            line=line,
            field=field,
        ) from None
    if not inside:
        raise HomeError(
            file, f"{relative!r} is a link out of the Promise's folder", "copy the file", line=line, field=field
        )
    return folder / relative


def _is_list(document: Any) -> bool:
    return (
        isinstance(document, dict)
        and str(document.get("kind", "")).endswith("List")
        and isinstance(document.get("items"), list)
    )
