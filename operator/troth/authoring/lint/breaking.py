"""Says what a change of an API breaks, in the remarks of lint. `promises.api_changes` finds it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any, Final

from troth.engine.linting.remarks import Remark
from troth.engine.promises.api_changes import ChangeKind, compare_apis

_KEEP_FIELD: Final = (
    "keep it: a new version cannot drop it either as long as nothing converts between versions (T005)"
)
_WORDS: Final[Mapping[ChangeKind, tuple[str, str]]] = MappingProxyType(
    {
        ChangeKind.REMOVED: ("T301", _KEEP_FIELD),
        ChangeKind.NARROWED: ("T302", "keep what was allowed, or serve the new shape as a new version"),
        ChangeKind.REQUIRED: ("T303", "give it a default, or leave it optional"),
        ChangeKind.DEFAULT: ("T304", "keep the default, or mention it in the changelog"),
        ChangeKind.UNSERVED: ("T305", "serve it until nobody uses it any more"),
        ChangeKind.RETYPED: ("T306", _KEEP_FIELD),
        ChangeKind.RENAMED: ("T307", "make a new Promise, and move requests over"),
    }
)
"""The code and the fix for each kind of change."""


def check_against(earlier: Mapping[str, Any], api: Mapping[str, Any]) -> Iterator[Remark]:
    """Remarks about what an API takes away that an earlier one allowed.

    Args:
        earlier: the earlier CustomResourceDefinition.
        api: the CustomResourceDefinition in the Promise, which the places are in.
    """
    for change in compare_apis(earlier, api):
        code, fix = _WORDS[change.kind]
        if change.certain:
            yield Remark(code, change.place, change.message, fix)
        else:
            fix = "make sure that all requests keep it"
            yield Remark(code, change.place, change.message, fix, severity="warning")
