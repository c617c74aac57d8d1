"""Reading values out of JSON with the types that are expected of them.

There are two ways, depending on whether somebody can do something about a wrong type. ``read_…`` takes a value of
another type for missing: the API server has checked the schema, so it hardly ever happens, and nothing must fail
because of it. ``require_…`` refuses such a value with an error that names its field.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from troth.api.errors import InvalidObject

Object = Mapping[str, Any]

_WORDS: Final[Mapping[type, str]] = {dict: "a map", list: "a list", str: "text"}
_ACCEPTED: Final[Mapping[type, type | tuple[type, ...]]] = {dict: Mapping, list: (list, tuple), str: str}


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
    """Returns a map, which is empty for null. Raises InvalidObject for anything else."""
    if value is None:
        return {}
    require_type(value, dict, field)
    found: Object = value
    return found


def require_list(value: Any, field: str) -> Sequence[Any]:
    """Returns a list, which is empty for null. Raises InvalidObject for anything else."""
    if value is None:
        return ()
    require_type(value, list, field)
    found: Sequence[Any] = value
    return found


def require_text(value: Any, field: str) -> str:
    """Returns a text, which is empty for null. Raises InvalidObject for anything else."""
    if value is None:
        return ""
    require_type(value, str, field)
    found: str = value
    return found


def require_type(value: Any, kind: type, field: str) -> None:
    """Raises InvalidObject unless the value is of the type ``kind``: dict, list or str. It refuses null, too."""
    if not isinstance(value, _ACCEPTED[kind]):
        wanted = _WORDS[kind]
        quotes = kind is str and isinstance(value, bool | int | float)
        remedy = "put the value in quotes" if quotes else f"write {wanted}"
        raise InvalidObject(field, f"is {name_type(value)}, not {wanted}", remedy)


def name_type(value: Any) -> str:
    """Returns the type of a value in words, for error messages."""
    if value is None:
        return "empty"
    if isinstance(value, bool):
        return "true or false"
    if isinstance(value, (int, float)):
        return "a number"
    if isinstance(value, str):
        return "text"
    return "a map" if isinstance(value, Mapping) else "a list"
