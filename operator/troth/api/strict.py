"""Strict reading of what the API server does not validate by a schema.

A pipeline is embedded in a Promise, and the API server lets all of its fields through. A misspelt field would be
ignored in silence, and its author would search for hours. Here every error names the field and what was probably meant.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from troth.api.errors import InvalidObject

_WANTED: Final[Mapping[type, str]] = {dict: "a map", list: "a list", str: "text"}


def close_match(word: str, known: Iterable[str]) -> str:
    """Returns the known word that was probably meant by ``word``, or "" when none is close."""
    candidates = list(known)
    by_folded = {candidate.casefold(): candidate for candidate in candidates}
    found = difflib.get_close_matches(word.casefold(), list(by_folded), n=1, cutoff=0.6)
    return by_folded[found[0]] if found else ""


def refuse_unknown_fields(obj: Mapping[str, Any], known: Sequence[str], field: str) -> None:
    """Raises InvalidObject for the first field of a map that is not among the known ones."""
    for name in obj:
        if name not in known:
            meant = close_match(str(name), known)
            remedy = f"did you mean {meant}?" if meant else f"known fields: {', '.join(known)}"
            raise InvalidObject(f"{field}.{name}", "is not a known field", remedy)


def expect_map(value: Any, field: str) -> Mapping[str, Any]:
    """Returns a map, which is empty for null. Raises InvalidObject for anything else."""
    if value is None:
        return {}
    expect_type(value, dict, field)
    found: Mapping[str, Any] = value
    return found


def expect_list(value: Any, field: str) -> Sequence[Any]:
    """Returns a list, which is empty for null. Raises InvalidObject for anything else."""
    if value is None:
        return ()
    expect_type(value, list, field)
    found: Sequence[Any] = value
    return found


def expect_type(value: Any, kind: type, field: str) -> None:
    """Raises InvalidObject unless the value is of the type ``kind``: dict, list or str."""
    if kind is list and isinstance(value, tuple):
        return
    if kind is dict and isinstance(value, Mapping):
        return
    if not isinstance(value, kind):
        wanted = _WANTED[kind]
        raise InvalidObject(field, f"is {name_type(value)}, not {wanted}", f"write {wanted}")


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
