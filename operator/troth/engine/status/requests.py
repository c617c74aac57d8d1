"""The state of a Promise's requests in the Promise's own status: how many fail, and the name of the first.

Only requests that need somebody count. A request that is in progress, paused, being deleted or waiting for its Promise
is not failing: the first three pass by themselves, and the Promise reports the last one itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from troth.api import Condition, find_condition, reasons
from troth.api import conditions as types
from troth.engine.status.facts import RequestsFacts

NAMED: Final = 3
_PASSING: Final = reasons.IN_PROGRESS | {reasons.DELETING, reasons.PAUSED, reasons.WORKFLOW_SUSPENDED}


def is_failing(status: Mapping[str, Any]) -> bool:
    """Whether a request with that status needs somebody to act."""
    conditions = status.get("conditions")
    ready = find_condition(conditions, types.READY) or {}
    if ready.get("status") != "False" or ready.get("reason") in _PASSING:
        return False
    return (find_condition(conditions, types.PROMISE_AVAILABLE) or {}).get("status") != "False"


def requests_condition(facts: RequestsFacts) -> Condition | None:
    """Returns ``RequestsReady`` while a request fails, and None otherwise."""
    if not facts.failing:
        return None
    named = ", ".join(facts.first)
    more = f" and {facts.failing - len(facts.first)} more" if facts.failing > len(facts.first) else ""
    noun = "request" if facts.total == 1 else "requests"
    message = f"{facts.failing} of {facts.total} {noun} failing: {named}{more}"
    return Condition(types.REQUESTS_READY, "False", "RequestsFailing", message)
