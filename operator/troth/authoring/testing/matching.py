"""Compares an object with what is expected of it, and says where it differs.

Maps are compared by the keys that are given, lists entry by entry, and everything else exactly: a number is not equal
to its text.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import orjson

from troth.api.files import holds_manifests
from troth.engine.yaml.manifests import InvalidManifest, load_documents

_LONGEST: Final = 120


def differences(expected: Any, actual: Any, path: str = "") -> list[tuple[str, str]]:
    """The path and the problem of everything that is not as expected."""
    if isinstance(expected, Mapping):
        if not isinstance(actual, Mapping):
            return [(path, f"expected a map, got {_shown(actual)}")]
        found: list[tuple[str, str]] = []
        for key, value in expected.items():
            where = f"{path}.{key}" if path else str(key)
            if key not in actual:
                if value is not None:
                    found.append((where, f"expected {_shown(value)}, but it is missing{_like(str(key), actual)}"))
            else:
                found += differences(value, actual[key], where)
        return found
    if isinstance(expected, list):
        if not isinstance(actual, list):
            return [(path, f"expected a list, got {_shown(actual)}")]
        if len(expected) != len(actual):
            number = "1 entry" if len(expected) == 1 else f"{len(expected)} entries"
            return [(path, f"expected {number}, has {len(actual)}: {_shown(actual)}")]
        return [
            problem
            for index, (wanted, there) in enumerate(zip(expected, actual, strict=True))
            for problem in differences(wanted, there, f"{path}[{index}]")
        ]
    if _is_same(expected, actual):
        return []
    return [(path, f"expected {_shown(expected)}, got {_shown(actual)}{_kinds(expected, actual)}")]


def select(wanted: Mapping[str, Any], objects: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """The objects with the apiVersion, kind and name that are wanted, as far as these are given."""
    found = [obj for obj in objects if _selects(wanted, obj)]
    namespace = (wanted.get("metadata") or {}).get("namespace")
    if len(found) > 1 and namespace is not None:
        narrowed = [obj for obj in found if _metadata(obj).get("namespace") == namespace]
        return narrowed or found
    return found


def selection(wanted: Mapping[str, Any]) -> str:
    """What is wanted, in words such as ``Cluster orders``."""
    name = (wanted.get("metadata") or {}).get("name")
    parts = [str(part) for part in (wanted.get("apiVersion"), wanted.get("kind") or "object", name) if part]
    return " ".join(parts)


def named(obj: Mapping[str, Any]) -> str:
    """``Kind/name`` of an object."""
    return f"{obj.get('kind')}/{_metadata(obj).get('name', '')}"


def rendered_objects(files: Mapping[str, bytes]) -> list[Mapping[str, Any]]:
    """The objects in rendered files, in the order of their paths. Everything that is not an object is ignored."""
    found: list[Mapping[str, Any]] = []
    for path, content in sorted(files.items()):
        if not holds_manifests(path):
            continue
        try:
            documents = load_documents(content.decode("utf-8", "replace"))
        except InvalidManifest:
            continue
        for document in documents:
            if not isinstance(document, Mapping):
                continue
            items = document.get("items")
            is_list = str(document.get("kind", "")).endswith("List") and isinstance(items, list)
            found += [item for item in (items if is_list and items else [document]) if isinstance(item, Mapping)]
    return found


def _selects(wanted: Mapping[str, Any], obj: Mapping[str, Any]) -> bool:
    name = (wanted.get("metadata") or {}).get("name")
    return (
        all(wanted.get(key) in (None, obj.get(key)) for key in ("apiVersion", "kind"))
        and name in (None, _metadata(obj).get("name"))
    )  # fmt: skip


def _metadata(obj: Mapping[str, Any]) -> Mapping[str, Any]:
    metadata = obj.get("metadata")
    return metadata if isinstance(metadata, Mapping) else {}


def _is_same(expected: Any, actual: Any) -> bool:
    if isinstance(expected, bool) or isinstance(actual, bool):
        return expected is actual
    return bool(expected == actual)


def _kinds(expected: Any, actual: Any) -> str:
    """Names the types if two values look alike, such as 5 and "5"."""
    if isinstance(expected, str) != isinstance(actual, str) and str(expected) == str(actual):
        return " (a text)" if isinstance(actual, str) else " (not a text)"
    return ""


def _like(key: str, actual: Mapping[str, Any]) -> str:
    import difflib

    found = difflib.get_close_matches(key, [str(name) for name in actual], n=1)
    return f"; did you mean {found[0]}?" if found else ""


def _shown(value: Any) -> str:
    text = orjson.dumps(value, default=str, option=orjson.OPT_NON_STR_KEYS).decode()
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"
