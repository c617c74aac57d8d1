"""The condition ``Stalled`` by kstatus' rules, and the message that people see first.

For kstatus, and so for Flux, ``Ready: False`` means "in progress", and they wait until their deadline. ``Stalled:
True`` means that waiting is useless: only an edit of this very object (or, for a request, of its Promise) will help.
Otherwise the condition is absent, because kstatus only checks whether it is True.

An object that recovers when somebody fixes something else (an unreachable store, a label that no destination has, a
quota) is not stalled, because it continues by itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from troth.api import Condition, find_condition, merge_conditions
from troth.api import conditions as types


def merge_with_stalled(
    old: Iterable[Mapping[str, Any]] | None,
    new: Sequence[Condition],
    *,
    stalled: bool,
    now: str,
    drop: Iterable[str] = (),
    moved: Iterable[str] = (),
) -> list[dict[str, Any]]:
    """Merges conditions as `merge_conditions` does, and adds ``Stalled`` with the message of ``Ready``, or removes it.

    Args:
        old: the conditions as the API server has them.
        new: the new conditions, including ``Ready``.
        stalled: whether only an edit helps.
        now: RFC 3339.
        drop: the types of conditions to remove.
        moved: the types of conditions whose transition time moves even if their status does not.
    """
    ready = next((condition for condition in new if condition.type == types.READY), None)
    if not stalled or ready is None or ready.status == "True":
        return merge_conditions(old, new, now=now, drop=[*drop, types.STALLED], moved=moved)
    same = Condition(types.STALLED, "True", ready.reason, ready.message)
    return merge_conditions(old, [*new, same], now=now, drop=drop, moved=moved)


def message_of(conditions: Iterable[Mapping[str, Any]], when_ready: str) -> str:
    """Returns ``status.message``: why the object is not Ready, or ``when_ready``."""
    ready = find_condition(conditions, types.READY) or {}
    return when_ready if ready.get("status") == "True" else str(ready.get("message") or when_ready)
