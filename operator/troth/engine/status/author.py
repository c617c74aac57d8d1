"""The part of a ``status`` that an author's pipelines may write.

Pipelines run in order, and a later one overrides an earlier one; maps are merged deeply (Kratix's documentation
promises that, although its code merges only the top level). Keys that Troth writes are refused instead of being
overwritten silently. Values that a merge patch cannot express are handled here, so that the compared value is the
stored one: a null means that there is no key, and a number that JSON cannot represent is an error.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from troth.api import Condition, InvalidObject, conditions

OWNED_KEYS: Final = frozenset(
    {
        "healthStatus",
        "kratix",
        "lastSuccessfulConfigureWorkflowTime",
        "observedGeneration",
        "promiseVersion",
        "resourceBindingVersion",
        "troth",
        "workflows",
        "workflowsFailed",
        "workflowsSucceeded",
    }
)
OWNED_CONDITIONS: Final = frozenset(
    {
        conditions.AVAILABLE,
        conditions.CONFIGURE_WORKFLOW_COMPLETED,
        conditions.DELETE_WORKFLOW_COMPLETED,
        conditions.LINTED,
        conditions.PLAIN_SECRETS,
        conditions.PROMISE_AVAILABLE,
        conditions.READY,
        conditions.RECONCILED,
        conditions.REQUESTS_FIT,
        conditions.REQUESTS_READY,
        conditions.REQUIREMENTS_FULFILLED,
        conditions.STALLED,
        conditions.WORKS_SUCCEEDED,
    }
)
_INT64 = 2**63


@dataclass(frozen=True, slots=True)
class AuthorStatus:
    """The checked and merged status fields from an author's pipelines."""

    fields: Mapping[str, Any] = field(default_factory=dict)
    conditions: tuple[Mapping[str, str], ...] = ()


def author_status(statuses: Iterable[tuple[str, Mapping[str, Any]]]) -> AuthorStatus:
    """Checks and merges the status fields from pipelines.

    Args:
        statuses: the name and the rendered ``status`` of each pipeline that succeeded, in order.

    Raises:
        InvalidObject: a key or a condition is reserved for Troth, or a value cannot be stored in a status; the field
            starts with the pipeline's name, as in ``instance.status.kratix``.
    """
    fields: dict[str, Any] = {}
    merged: dict[str, Mapping[str, str]] = {}
    for pipeline, status in statuses:
        where = f"{pipeline}.status"
        for key, value in status.items():
            if key == "conditions":
                for condition in _read_conditions(value, f"{where}.conditions"):
                    merged[condition["type"]] = condition
                continue
            if key in OWNED_KEYS:
                raise InvalidObject(f"{where}.{key}", "this key is written by Troth", "choose another key")
            if key == "message" and value is not None and not isinstance(value, str):
                raise InvalidObject(f"{where}.message", "must be text", "put the value in quotes")
            checked = _check(value, f"{where}.{key}")
            if checked is not None:
                fields[key] = _merge(fields.get(key), checked)
    return AuthorStatus(fields=fields, conditions=tuple(merged.values()))


def conditions_said(author: AuthorStatus) -> list[Condition]:
    """Returns the conditions that pipelines have written; a status other than True and False is Unknown."""
    return [
        Condition(item["type"], _condition_status(item["status"]), item["reason"], item["message"])
        for item in author.conditions
    ]


def _read_conditions(value: Any, where: str) -> list[Mapping[str, str]]:
    if value is None:
        return []
    if not isinstance(value, list | tuple):
        raise InvalidObject(where, "must be a list of conditions")
    return [_read_condition(item, f"{where}[{index}]") for index, item in enumerate(value)]


def _read_condition(value: Any, where: str) -> Mapping[str, str]:
    if not isinstance(value, Mapping):
        raise InvalidObject(where, "must be a map with type, status, reason and message")
    kind = value.get("type")
    if not isinstance(kind, str) or not kind:
        raise InvalidObject(f"{where}.type", "must be the name of the condition")
    if kind in OWNED_CONDITIONS:
        raise InvalidObject(f"{where}.type", f"the condition {kind} is written by Troth", "choose another type")
    status = value.get("status")
    if isinstance(status, bool):
        status = str(status)
    if status not in {"True", "False", "Unknown"}:
        raise InvalidObject(f"{where}.status", 'must be "True", "False" or "Unknown"')
    texts = {"reason": value.get("reason"), "message": value.get("message")}
    for key, text in texts.items():
        if text is not None and not isinstance(text, str):
            raise InvalidObject(f"{where}.{key}", "must be text", "put the value in quotes")
    return {"type": kind, "status": status, "reason": texts["reason"] or kind, "message": texts["message"] or ""}


def _check(value: Any, where: str) -> Any:
    if isinstance(value, Mapping):
        checked: dict[str, Any] = {}
        for key, item in value.items():
            if not isinstance(key, str):
                raise InvalidObject(f"{where}.{key}", "a key must be text", "put the key in quotes")
            inner = _check(item, f"{where}.{key}")
            if inner is not None:
                checked[key] = inner
        return checked
    if isinstance(value, list | tuple):
        return [_check(item, f"{where}[{index}]") for index, item in enumerate(value)]
    if isinstance(value, bool | str) or value is None:
        return value
    if isinstance(value, int):
        if not -_INT64 <= value < _INT64:
            raise InvalidObject(where, "the number does not fit in 64 bits", "put it in quotes")
        return value
    if isinstance(value, float):
        if not math.isfinite(value):
            raise InvalidObject(where, f"{value} is not a number that a status can hold")
        return value
    raise InvalidObject(where, f"a {type(value).__name__} cannot be stored in a status")


def _merge(old: Any, new: Any) -> Any:
    if not (isinstance(old, Mapping) and isinstance(new, Mapping)):
        return new
    merged = dict(old)
    for key, value in new.items():
        merged[key] = _merge(merged.get(key), value)
    return merged


def _condition_status(text: str) -> conditions.Status:
    return "True" if text == "True" else "False" if text == "False" else "Unknown"
