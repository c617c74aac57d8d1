"""JSON values that are read from and written into nested maps by path, and compared as JSON."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from troth.engine.promises.request_paths import Path

ABSENT: Final = object()
"""Stands for a value that does not exist, which is another thing than null."""


def alike(one: Any, other: Any) -> bool:
    """Whether two values are the same JSON: 1 and 1.0 are, true and 1 are not, null and a missing field are not."""
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        return one.keys() == other.keys() and all(alike(value, other[name]) for name, value in one.items())
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(alike, one, other))
    return bool(one is other or one == other)


def scalar_identity(value: Any) -> tuple[bool, Any]:
    """Returns what can be hashed, and is equal for two texts, numbers or booleans exactly when they are `alike`."""
    return isinstance(value, bool), value


def copied(value: Any) -> Any:
    """Returns a copy that shares no map and no list with the value."""
    if isinstance(value, Mapping):
        return {name: copied(child) for name, child in value.items()}
    if isinstance(value, list):
        return [copied(child) for child in value]
    return value


def find(root: Mapping[str, Any], path: Path) -> Any:
    """Returns the value at a path, or ABSENT."""
    value: Any = root
    for name in path:
        if not isinstance(value, Mapping) or name not in value:
            return ABSENT
        value = value[name]
    return value


def take(root: dict[str, Any], path: Path) -> Any:
    """Removes the value at a path and returns it; ABSENT when there is none."""
    holder = find(root, path[:-1])
    return holder.pop(path[-1], ABSENT) if isinstance(holder, dict) else ABSENT


def can_put(root: Mapping[str, Any], path: Path) -> bool:
    """Whether a value can be put at a path: nothing is there, and what leads to it is a map or does not exist."""
    holder: Any = root
    for name in path:
        if not isinstance(holder, Mapping):
            return False
        if name not in holder:
            return True
        holder = holder[name]
    return False


def put(root: dict[str, Any], path: Path, value: Any) -> None:
    """Puts a value at a path for which `can_put` is true, and makes the maps that lead to it."""
    holder = root
    for name in path[:-1]:
        holder = holder.setdefault(name, {})
    holder[path[-1]] = value
