"""From the status that is and the status that should be to the JSON merge patch between them, or to nothing.

A status function returns only the keys that Troth owns, so whatever else stands in a status (health records,
a key that a pipeline wrote through the API) is never touched. A value of None says "this key goes". Inside an
owned key a map is compared deeply and a list as a whole, as RFC 7396 merges them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def status_patch(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any] | None:
    """The merge patch that makes the owned keys of ``old`` what ``new`` says, or None when they are.

    Keys of ``old`` that ``new`` does not mention stay; inside a map that ``new`` mentions, they go.
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
    """What the API server makes of ``old`` with a JSON merge patch."""
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
    """Whether two JSON values are equal; unlike in Python, true is not 1. A None in a map is a missing key."""
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
    """The value with keys whose value is None left out of its maps; tuples become lists."""
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
