"""Strict reading of what the API server does not validate by a schema.

A pipeline is embedded in a Promise, and the API server lets all of its fields through. A misspelt field would be
ignored in silence, and its author would search for hours. Here every error names the field and what was probably meant.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from troth.api.errors import InvalidObject


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
