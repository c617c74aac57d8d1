"""How deep and how large a value from outside may be, and what becomes of an object that exceeds these bounds.

Recursive functions render, compare, hash, check and write what people write and what other servers answer. Instead of a
bound in each of them there is one here. It is far below what the interpreter's stack and orjson (254 levels) can take,
and far above what Kubernetes needs: the deepest schema among the definitions of well-known operators nests forty
levels.

An object with a part beyond the bounds is not refused as a whole: its status has to say what is wrong, and it must
still be possible to delete it. It becomes a `PartialObject`, without that part and with a sentence that says why.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

DEEPEST: Final = 100
"""Levels that an object, a document or a value may nest; a map or a list is a level, and so is the object itself."""

MOST_VALUES: Final = 100_000
"""Values that one object may hold, not counting keys. The densest known definitions take 16 bytes a value, so this many
fit into an object of the API server (1.5 MiB). Reading that many takes 10 ms."""

_BOOKKEEPING: Final = 10
"""Additional levels for ``metadata.managedFields``, which repeat the object's fields at a greater depth."""

_SHOWN: Final = 4

TOO_DEEP: Final = f"nests deeper than {DEEPEST} levels"
TOO_MANY: Final = f"holds more than {MOST_VALUES} values"
REMEDY: Final = "make it flatter or smaller, or put it into a text"


class PartialObject(dict[str, Any]):
    """An object without the fields that are beyond the bounds.

    Attributes:
        unread: which of its fields are left out and why, as a sentence with its remedy.
    """

    __slots__ = ("unread",)

    def __init__(self, fields: Mapping[str, Any], unread: str) -> None:
        super().__init__(fields)
        self.unread = unread


def nests_within(values: Iterable[Any], levels: int) -> bool:
    """Whether none of the values nests deeper than ``levels``. It does not recurse, so any depth is safe."""
    open_ = [value for value in values if value.__class__ is dict or value.__class__ is list]
    for _ in range(levels):
        if not open_:
            return True
        open_ = [
            child
            for holder in open_
            for child in (holder.values() if holder.__class__ is dict else holder)
            if child.__class__ is dict or child.__class__ is list
        ]
    return not open_


def find_deep(value: Any, levels: int = DEEPEST) -> str:
    """Returns the start of the path to a value deeper than ``levels``, such as ``.spec.a[0]…``; "" if there is none."""
    trail: list[tuple[str, Any]] = []
    pending: list[tuple[int, str, Any]] = [(1, "", value)]
    while pending:
        level, step, holder = pending.pop()
        if not isinstance(holder, (dict, list)):
            continue
        del trail[level - 1 :]
        trail.append((step, holder))
        if level > levels:
            path = "".join(step for step, _ in trail[: _SHOWN + 1])
            return path + ("…" if len(trail) > _SHOWN + 1 else "")
        children: Iterable[tuple[str, Any]] = (
            ((f".{key}", child) for key, child in holder.items())
            if isinstance(holder, dict)
            else ((f"[{index}]", child) for index, child in enumerate(holder))
        )
        pending.extend((level + 1, step, child) for step, child in children)
    return ""


def bound_object(obj: dict[str, Any]) -> dict[str, Any]:
    """Returns the object itself if it is within the bounds, and otherwise a `PartialObject` of the parts that are.

    A status that is too deep only loses the fields that make it so, and the object still counts as whole: the operator
    reports its status anew anyway. The same holds for ``managedFields``.
    """
    if nests_within((obj,), DEEPEST):
        return obj
    return _part_of(obj)


def bound_objects(objects: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Applies `bound_object` to each object. When all are within the bounds, one check of all together suffices."""
    return objects if nests_within(objects, DEEPEST) else [bound_object(obj) for obj in objects]


def _part_of(obj: dict[str, Any]) -> dict[str, Any]:
    kept: dict[str, Any] = {}
    unread: list[str] = [obj.unread] if isinstance(obj, PartialObject) else []
    for name, value in obj.items():
        if name == "metadata" and isinstance(value, dict):
            kept[name] = _metadata(value)
        elif nests_within((value,), DEEPEST - 1):
            kept[name] = value
        elif name == "status" and isinstance(value, dict):
            kept[name] = {key: child for key, child in value.items() if nests_within((child,), DEEPEST - 2)}
        else:
            unread.append(f"{name}{find_deep(value, DEEPEST - 1)} {TOO_DEEP}; {REMEDY}")
    return PartialObject(kept, "; ".join(unread)) if unread else kept


def _metadata(metadata: dict[str, Any]) -> dict[str, Any]:
    return {
        name: value
        for name, value in metadata.items()
        if nests_within((value,), DEEPEST + (_BOOKKEEPING if name == "managedFields" else 0))
    }
