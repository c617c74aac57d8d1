"""``Stalled`` by kstatus' rules, and the one message that people see first.

kstatus, and with it Flux, takes ``Ready: False`` for "in progress" and waits until its deadline. ``Stalled: True``
says that waiting is in vain: nothing but an edit of this very object (or, for a request, of its Promise) will help.
It is absent whenever that is not so, because kstatus asks only whether it is True.

What heals when somebody mends another thing (a store that is away, a label that no destination has, a quota) is not
stalled: it goes on by itself.
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
) -> list[dict[str, Any]]:
    """`merge_conditions`, and ``Stalled`` with the words of ``Ready`` beside it, or none.

    Args:
        old: the conditions as the API server has them.
        new: the conditions as they are now, ``Ready`` among them.
        stalled: only an edit helps.
        now: RFC 3339.
        drop: types that go.
    """
    ready = next((condition for condition in new if condition.type == types.READY), None)
    if not stalled or ready is None or ready.status == "True":
        return merge_conditions(old, new, now=now, drop=[*drop, types.STALLED])
    same = Condition(types.STALLED, "True", ready.reason, ready.message)
    return merge_conditions(old, [*new, same], now=now, drop=drop)


def message_of(conditions: Iterable[Mapping[str, Any]], when_ready: str) -> str:
    """What ``status.message`` says: why the object is not Ready, as long as it is not."""
    ready = find_condition(conditions, types.READY) or {}
    return when_ready if ready.get("status") == "True" else str(ready.get("message") or when_ready)
