"""How deep and how wide a value from outside may be, and what becomes of an object that is more than that.

What people write, and what others answer, is walked over by functions that call themselves for each level: to render,
compare, hash, check and write it. Instead of a bound in each of them there is one here. It is far below what the
interpreter's stack and orjson (254 levels) can take, and far above what Kubernetes has: the deepest schema among the
definitions of well-known operators nests forty levels.

An object of which a part is beyond the bounds is not refused as a whole, for somebody has to be told, and it has to go
when it is deleted. It becomes a `PartialObject`: without that part, and with a sentence that says why.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

DEEPEST: Final = 100
"""Levels that an object, a document or a value may nest; a map or a list is a level, and so is the object itself."""

MOST_VALUES: Final = 100_000
"""Values that one object may hold, keys not counted. The densest definitions that people have take 16 bytes a value,
so this is what fits into an object of the API server (1.5 MiB). Reading that many takes 10 ms."""

_BOOKKEEPING: Final = 10
"""Levels more for ``metadata.managedFields``, which repeat the fields of the object further down."""

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
    """Whether none of the values nests deeper than ``levels``. Takes no stack, whatever the depth."""
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
    """The beginning of the path to a place that is deeper than ``levels``, such as ``.spec.a[0]…``; "" for none."""
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
    """The object itself when it is within the bounds, else what of it is, as a `PartialObject`.

    A status that is too deep loses the fields that make it so, and the object is whole all the same: a status is
    what was reported, and the next report puts it right. The same for ``managedFields``.
    """
    if nests_within((obj,), DEEPEST):
        return obj
    return _part_of(obj)


def bound_objects(objects: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """`bound_object` of each, at the cost of one look at all of them."""
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
