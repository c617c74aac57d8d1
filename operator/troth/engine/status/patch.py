"""Computes the JSON merge patch from an old status to a new one.

A status function returns only the keys that Troth owns, so everything else in a status (health records, a key that a
pipeline wrote through the API) is never touched. A value of None removes its key. Inside an owned key a map is compared
deeply and a list as a whole, as RFC 7396 merges them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def status_patch(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any] | None:
    """Returns the merge patch that changes the owned keys of ``old`` to those of ``new``, or None without a difference.

    Keys of ``old`` that ``new`` does not mention stay; inside a map that ``new`` mentions, they are removed.
    """
    patch: dict[str, Any] = {}
    for key, value in new.items():
        if value is None:
            if key in old:
                patch[key] = None
        elif key not in old:
            patch[key] = without_nulls(value)
        elif not same(old[key], value):
            patch[key] = _difference(old[key], value)
    return patch or None


def apply_patch(old: Mapping[str, Any], patch: Mapping[str, Any] | None) -> dict[str, Any]:
    """Returns ``old`` after the API server has applied a JSON merge patch."""
    merged = dict(old)
    for key, value in (patch or {}).items():
        if value is None:
            merged.pop(key, None)
        elif isinstance(value, Mapping):
            before = merged.get(key)
            merged[key] = apply_patch(before if isinstance(before, Mapping) else {}, value)
        else:
            merged[key] = value
    return merged


def same(left: Any, right: Any) -> bool:
    """Whether two JSON values are equal. Unlike in Python, true is not 1. A None in a map counts as a missing key."""
    if isinstance(left, Mapping) and isinstance(right, Mapping):
        keys = {key for key, value in left.items() if value is not None}
        if keys != {key for key, value in right.items() if value is not None}:
            return False
        return all(same(left[key], right[key]) for key in keys)
    if isinstance(left, list | tuple) and isinstance(right, list | tuple):
        return len(left) == len(right) and all(map(same, left, right))
    if isinstance(left, bool) or isinstance(right, bool):
        return left is right
    return bool(left == right)


def without_nulls(value: Any) -> Any:
    """Returns a value without the keys of maps whose value is None, and with lists instead of tuples."""
    if isinstance(value, Mapping):
        return {key: without_nulls(item) for key, item in value.items() if item is not None}
    if isinstance(value, list | tuple):
        return [without_nulls(item) for item in value]
    return value


def _difference(old: Any, new: Any) -> Any:
    if not (isinstance(old, Mapping) and isinstance(new, Mapping)):
        return without_nulls(new)
    patch: dict[str, Any] = {}
    for key in old:
        if new.get(key) is None:
            patch[key] = None
    for key, value in new.items():
        if value is None:
            continue
        if key not in old:
            patch[key] = without_nulls(value)
        elif not same(old[key], value):
            patch[key] = _difference(old[key], value)
    return patch
