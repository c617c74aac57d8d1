"""Finds fields that are lost between versions of an API.

Without a conversion webhook the API server changes nothing but the name of the version, and then drops the fields that
the schema of that version does not declare. So a client that reads a request in one version does not see the fields
that only another version has, and a client that writes it in that version removes them without a warning.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from troth.engine.linting.remarks import Remark
from troth.engine.linting.shapes import path_words

_VERSIONS: Final = "spec.api.spec.versions"
_FIX: Final = "declare it in both versions, or have a webhook convert between them (spec.api.spec.conversion)"
_ANYWAY: Final = {("apiVersion",), ("kind",), ("metadata",), ("status",)}
_DEEPEST: Final = 60

Path = tuple[str, ...]


def check_versions(promise: Mapping[str, Any]) -> Iterator[Remark]:
    """Finds the fields of a Promise's API that are lost between its versions.

    Args:
        promise: a built Promise whose API the operator would accept.
    """
    api = promise["spec"].get("api")
    spec = (api or {}).get("spec") or {}
    versions = spec.get("versions") or ()
    if len(versions) < 2 or (spec.get("conversion") or {}).get("strategy", "None") != "None":
        return
    kept, storage = next((index, version) for index, version in enumerate(versions) if version.get("storage"))
    for index, version in enumerate(versions):
        if index == kept:
            continue
        name, stored = version["name"], storage["name"]
        is_kept = f"{stored} is the stored version, and nothing converts from {name}"
        for path, where, problem in _lost(_schema(version), _schema(storage), (), "", 0):
            said = problem.format(words=_words(path), here=name, there=stored)
            message = f"{said}; {is_kept}: what requests have there is lost"
            yield Remark("T005", f"{_VERSIONS}[{index}].schema.openAPIV3Schema{where}", message, _FIX)
        if not version.get("served"):
            continue  # it is not served, but requests may still be stored in it
        for path, where, problem in _lost(_schema(storage), _schema(version), (), "", 0, types=False):
            message = (
                f"{problem.format(words=_words(path), here=stored, there=name)}, and nothing converts between them: "
                f"clients that read {name} do not see it, and clients that write {name} remove it"
            )
            yield Remark("T005", f"{_VERSIONS}[{kept}].schema.openAPIV3Schema{where}", message, _FIX)


def _lost(
    here: Mapping[str, Any], there: Mapping[str, Any], path: Path, where: str, depth: int, *, types: bool = True
) -> Iterator[tuple[Path, str, str]]:
    """Yields the path, the place and the problem of what an object has with one schema and loses with another."""
    if depth > _DEEPEST or path == ("status",) or path == ("metadata",):
        return
    if _kind(here) != _kind(there):
        if types:
            yield path, where, f"{{words}} is {_kind(here)} in {{here}} and {_kind(there)} in {{there}}"
        return
    if _is_open(here) and not _is_open(there):
        yield path, where, "{words} allows fields of any name in {here}, but not in {there}"
        return
    properties, others = here.get("properties") or {}, there.get("properties") or {}
    for name, child in properties.items():
        inner, place = (*path, str(name)), f"{where}.properties.{name}"
        if name in others:
            yield from _lost(child, others[name], inner, place, depth + 1, types=types)
        elif not _is_open(there) and inner not in _ANYWAY:
            yield inner, place, "{here} has {words}, but {there} does not"
    for key, step in (("items", "[]"), ("additionalProperties", "*")):
        child, other = here.get(key), there.get(key)
        if isinstance(child, Mapping) and isinstance(other, Mapping):
            yield from _lost(child, other, (*path, step), f"{where}.{key}", depth + 1, types=types)


def _words(path: Path) -> str:
    return path_words(path) or "the request"


def _schema(version: Mapping[str, Any]) -> Mapping[str, Any]:
    found: Mapping[str, Any] = (version.get("schema") or {}).get("openAPIV3Schema") or {}
    return found


def _kind(schema: Mapping[str, Any]) -> str:
    if schema.get("x-kubernetes-int-or-string"):
        return "int-or-string"
    return str(schema.get("type") or ("anything" if _is_open(schema) else "object"))


def _is_open(schema: Mapping[str, Any]) -> bool:
    declared = schema.get("additionalProperties")
    return bool(schema.get("x-kubernetes-preserve-unknown-fields")) or declared is True or bool(declared)
