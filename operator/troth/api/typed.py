"""Values out of JSON as the types that are expected of them.

Two ways, and which it is depends on who can do something about it. ``read_…`` takes what has another type for missing:
the API server has checked the schema, so it hardly ever happens, and nothing must end because of it. ``require_…``
refuses it, with the field.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from troth.api.errors import InvalidObject

Object = Mapping[str, Any]


def read_map(value: Any) -> Object:
    """A map; an empty one for anything else."""
    return value if isinstance(value, Mapping) else {}


def read_list(value: Any) -> Sequence[Any]:
    """A list; an empty one for anything else."""
    return value if isinstance(value, list | tuple) else ()


def read_maps(value: Any) -> Sequence[Object]:
    """The maps in a list."""
    return [entry for entry in read_list(value) if isinstance(entry, Mapping)]


def read_text(value: Any) -> str:
    """A text; an empty one for anything else."""
    return value if isinstance(value, str) else ""


def read_texts(value: Any) -> Mapping[str, str]:
    """A map of texts; what is not text in it is not there."""
    found = read_map(value)
    if all(text.__class__ is str for text in found.values()):
        return found
    return {key: text for key, text in found.items() if isinstance(text, str)}


def read_whole(value: Any) -> int:
    """A whole number; 0 for anything else."""
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
    """A text; an empty one for null. Raises InvalidObject."""
    if value is None or isinstance(value, str):
        return value or ""
    raise InvalidObject(field, "is not text", "put the value in quotes")
