"""Conditions as every Kubernetes tool reads them (metav1.Condition), kept as values.

A condition's ``lastTransitionTime`` moves only when its status does, or when the caller says that what it is about
has happened once more: a status that is computed twice from the same facts is the same bytes, so the second write
never happens.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

Status = Literal["True", "False", "Unknown"]

READY: Final = "Ready"
AVAILABLE: Final = "Available"
PROMISE_AVAILABLE: Final = "PromiseAvailable"
REQUIREMENTS_FULFILLED: Final = "RequirementsFulfilled"
CONFIGURE_WORKFLOW_COMPLETED: Final = "ConfigureWorkflowCompleted"
DELETE_WORKFLOW_COMPLETED: Final = "DeleteWorkflowCompleted"
LINTED: Final = "Linted"
REQUESTS_READY: Final = "RequestsReady"
REQUESTS_FIT: Final = "RequestsFit"
STALLED: Final = "Stalled"
WORKS_SUCCEEDED: Final = "WorksSucceeded"
RECONCILED: Final = "Reconciled"
SCHEDULE_SUCCEEDED: Final = "ScheduleSucceeded"
WRITE_SUCCEEDED: Final = "WriteSucceeded"
PATH_OVERLAPS: Final = "PathOverlaps"
PLAIN_SECRETS: Final = "PlainSecrets"
UPGRADE_SUCCEEDED: Final = "UpgradeSucceeded"


@dataclass(frozen=True, slots=True)
class Condition:
    """One condition, without its transition time (that is decided when it meets the old one)."""

    type: str
    status: Status
    reason: str
    message: str


def find_condition(conditions: Iterable[Mapping[str, Any]] | None, kind: str) -> Mapping[str, Any] | None:
    """Returns the condition of type ``kind`` as the API server has it, or None when there is none."""
    return next((item for item in conditions or () if item.get("type") == kind), None)


def set_condition(
    conditions: Iterable[Mapping[str, Any]] | None, new: Condition, *, now: str
) -> list[dict[str, Any]]:
    """Returns the conditions with ``new`` in place of the one of its type, or appended; ``now`` is RFC 3339."""
    return merge_conditions(conditions, (new,), now=now)


def merge_conditions(
    conditions: Iterable[Mapping[str, Any]] | None,
    new: Iterable[Condition],
    *,
    now: str,
    drop: Iterable[str] = (),
    moved: Iterable[str] = (),
) -> list[dict[str, Any]]:
    """Returns the conditions with each of ``new`` merged in by type, and without the types in ``drop``.

    The existing order is kept. A condition whose status does not change keeps its transition time, unless its type is
    in ``moved``. ``now`` is the transition time of the others, in RFC 3339.
    """
    dropped, moving = set(drop), set(moved)
    merged = [dict(item) for item in conditions or () if item.get("type") not in dropped]
    for condition in new:
        old = next((item for item in merged if item.get("type") == condition.type), None)
        moves = (
            old is None
            or old.get("status") != condition.status
            or not old.get("lastTransitionTime")
            or condition.type in moving
        )
        fresh = {
            "type": condition.type,
            "status": condition.status,
            "reason": condition.reason,
            "message": condition.message,
            "lastTransitionTime": now if moves or old is None else old["lastTransitionTime"],
        }
        if old is None:
            merged.append(fresh)
        else:
            old.clear()
            old.update(fresh)
    return merged
