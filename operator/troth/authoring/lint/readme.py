"""Compares a README's table of fields with the API, since such a table is easily forgotten when the API changes.

Only what a table says plainly is compared: which fields there are, the members of an enum, and a default. A README
without a table of fields is not checked.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from troth.api.typed import read_map, read_maps
from troth.authoring.home import Home
from troth.authoring.input_files import HomeError, read_text
from troth.authoring.lint.findings import Finding
from troth.authoring.lint.places import shown
from troth.engine.linting.remarks import CODES

_README: Final = "README.md"
_CELLS: Final = re.compile(r"(?<!\\)\|")
_FIELD: Final = re.compile(r"`spec\.([A-Za-z_][\w-]*)((?:\[\]|\.)[\w.\[\]-]*)?`")
_WORD: Final = re.compile(r"`([^`]*)`")
_FIX: Final = "bring the table up to date"


@dataclass(frozen=True, slots=True)
class _Row:
    line: int
    names: tuple[str, ...]
    allowed: str
    left_out: str
    exact: bool


def check_readme(home: Home) -> Iterator[Finding]:
    """Finds statements about the API in the README of a Promise that are not true."""
    path = home.folder / _README
    fields = _fields(home.promise)
    if fields is None or home.file.parent != home.folder or not path.is_file():
        return
    try:
        text = read_text(path)
    except HomeError:
        return
    rows = list(_rows(text))
    if not rows:
        return
    for line, message in _stale(rows, fields, {match[1] for match in _FIELD.finditer(text)}):
        yield Finding("T006", shown(path), line, 1, message, _FIX, CODES["T006"].severity)


def _stale(rows: list[_Row], fields: Mapping[str, Any], told: set[str]) -> Iterator[tuple[int, str]]:
    for name in fields:
        if name not in told:
            yield rows[0].line, f"the table of fields does not list spec.{name}"
    for row in rows:
        for name in row.names:
            if name not in fields:
                yield row.line, f"the API has no spec.{name}"
        if not row.exact or row.names[0] not in fields:
            continue
        name, schema = row.names[0], fields[row.names[0]]
        enum = schema.get("enum")
        lacking = [str(value) for value in enum or () if str(value) not in _WORD.findall(row.allowed)]
        if isinstance(enum, list) and _WORD.search(row.allowed) and lacking:
            yield row.line, f"spec.{name} may also be {', '.join(lacking)}"
        said = _WORD.fullmatch(row.left_out)
        if said and "default" in schema and said[1] not in _spellings(schema["default"]):
            yield row.line, f"the default of spec.{name} is {json.dumps(schema['default'])}, and not {said[1]}"


def _spellings(default: Any) -> tuple[str, ...]:
    return json.dumps(default), str(default), json.dumps(default, ensure_ascii=False)


def _rows(text: str) -> Iterator[_Row]:
    for number, line in enumerate(text.split("\n"), 1):
        cells = [cell.strip() for cell in _CELLS.split(line.strip())]
        if len(cells) < 4 or cells[0] or cells[-1]:
            continue
        found = list(_FIELD.finditer(cells[1]))
        if not found or not cells[1].startswith("`spec."):
            continue
        exact = len(found) == 1 and not found[0][2] and len(cells) == 5
        yield _Row(number, tuple(match[1] for match in found), cells[2], cells[3], exact)


def _fields(promise: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The fields of ``spec`` in the stored version; None when the Promise does not have such an API."""
    versions = read_maps(_below(promise, "spec", "api", "spec").get("versions"))
    stored = next((version for version in versions if version.get("storage")), {})
    properties = _below(stored, "schema", "openAPIV3Schema", "properties", "spec").get("properties")
    sound = isinstance(properties, Mapping) and all(isinstance(child, Mapping) for child in properties.values())
    return properties if sound else None


def _below(obj: Mapping[str, Any], *names: str) -> Mapping[str, Any]:
    for name in names:
        obj = read_map(obj.get(name))
    return obj
