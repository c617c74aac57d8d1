"""Reading values out of JSON with the types that are expected of them.

There are two ways, depending on whether somebody can do something about a wrong type. ``read_…`` takes a value of
another type for missing: the API server has checked the schema, so it hardly ever happens, and nothing must fail
because of it. ``require_…`` refuses such a value with an error that names its field.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from troth.api.errors import InvalidObject

Object = Mapping[str, Any]


def read_map(value: Any) -> Object:
    """Returns a map; an empty one for anything else."""
    return value if isinstance(value, Mapping) else {}


def read_list(value: Any) -> Sequence[Any]:
    """Returns a list; an empty one for anything else."""
    return value if isinstance(value, list | tuple) else ()


def read_maps(value: Any) -> Sequence[Object]:
    """Returns the maps in a list, without its other items."""
    return [entry for entry in read_list(value) if isinstance(entry, Mapping)]


def read_text(value: Any) -> str:
    """Returns a text; an empty one for anything else."""
    return value if isinstance(value, str) else ""


def read_texts(value: Any) -> Mapping[str, str]:
    """Returns a map of texts, without the entries that are not texts."""
    found = read_map(value)
    if all(text.__class__ is str for text in found.values()):
        return found
    return {key: text for key, text in found.items() if isinstance(text, str)}


def read_whole(value: Any) -> int:
    """Returns a whole number; 0 for anything else."""
    return value if isinstance(value, int) and not isinstance(value, bool) else 0


def require_map(value: Any, field: str) -> Object:
    """A map; an empty one for null. Raises InvalidObject."""
    if value is None or isinstance(value, Mapping):
        return value or {}
    raise InvalidObject(field, "is not a map")


def require_list(value: Any, field: str) -> Sequence[Any]:
    """A list; an empty one for null. Raises InvalidObject."""
    if value is None or isinstance(value, list | tuple):
        return value or ()
    raise InvalidObject(field, "is not a list")


def require_text(value: Any, field: str) -> str:
    """Returns a text, which is empty for null. Raises InvalidObject for anything else."""
    if value is None or isinstance(value, str):
        return value or ""
    raise InvalidObject(field, "is not text", "put the value in quotes")
