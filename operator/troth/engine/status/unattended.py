"""The status of a request that may not be carried out, because it is paused or its Promise cannot fulfil requests.

Two cases must be distinguished. What was asked for before and is written stays valid: a mistake in a Promise, or a
required Promise that is removed, does not change a request that was carried out. An edit since then is not carried out,
and the request must not stay Ready as if it were. ``observedGeneration`` shows the difference: it is the generation
that was rendered last, and is not changed here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from troth.api import Condition, find_condition, merge_conditions, reasons
from troth.api import conditions as types
from troth.api.statuses import read_own
from troth.engine.status.facts import Obstacle, RequestFacts
from troth.engine.status.placement import WorksReport, placements_block
from troth.engine.status.stalled import merge_with_stalled, message_of

_UNFULFILLED_MESSAGE: Final = "Promise Requirements are not installed"
_WAITING: Final = frozenset(
    {"", reasons.PAUSED, reasons.UNPAUSED, reasons.PROMISE_UNAVAILABLE, reasons.REQUIREMENTS_NOT_INSTALLED}
)


def why_unavailable(promise: str, status: Mapping[str, Any], *, deleting: bool = False) -> Obstacle:
    """Returns why a Promise cannot fulfil requests, from its own status."""
    if deleting:
        return Obstacle(
            reasons.PROMISE_UNAVAILABLE,
            f"the Promise {promise} is being deleted, and its requests are deleted with it",
        )
    ready = find_condition(status.get("conditions"), types.READY) or {}
    reason = (
        reasons.REQUIREMENTS_NOT_INSTALLED
        if ready.get("reason") == reasons.REQUIREMENTS_NOT_FULFILLED
        else reasons.PROMISE_UNAVAILABLE
    )
    said = ready.get("message") if ready.get("status") == "False" else ""
    cause = f": {said}" if said else ""
    return Obstacle(reason, f"the Promise {promise} cannot fulfil requests{cause}")


def why_paused(promise: str, label: str, *, by_promise: bool, deleting: bool) -> Obstacle:
    """Returns why a request is not reconciled: it or its Promise has the label ``label``."""
    owner = f"its Promise {promise}" if by_promise else "it"
    waits = "it is not deleted" if deleting else "nothing is done for it"
    return Obstacle(
        reasons.PAUSED, f"Paused: {owner} has the label {label}=true, and {waits} until the label is removed"
    )


def paused_conditions(message: str) -> list[Condition]:
    """Returns ``Reconciled`` and ``Ready`` of an object that is paused."""
    return [
        Condition(types.RECONCILED, "Unknown", reasons.PAUSED, "Paused"),
        Condition(types.READY, "False", reasons.PAUSED, message or "Paused"),
    ]


def paused_status(old: Mapping[str, Any], facts: RequestFacts, *, now: str) -> dict[str, Any]:
    """Returns the status of a request that is paused: it is not Ready, and everything else stays as it was."""
    conditions = paused_conditions(facts.obstacle.message)
    told = merge_with_stalled(old.get("conditions"), conditions, stalled=False, now=now)
    noted = {**read_own(old).fields, "paused": True}
    return {"message": message_of(told, ""), "conditions": told, "troth": noted}


def unpaused_status(old: Mapping[str, Any], *, now: str) -> Mapping[str, Any]:
    """Returns the status of a request or a Promise that is no longer paused, until its pipelines run once.

    It is ``old`` itself where that does not say any more that the object is paused.

    Args:
        old: the status as the API server has it.
        now: RFC 3339.
    """
    reconciled = find_condition(old.get("conditions"), types.RECONCILED) or {}
    if reconciled.get("reason") != reasons.PAUSED:
        return old
    message = "It is no longer paused, and its pipelines run once from the first one"
    conditions = [
        Condition(types.RECONCILED, "Unknown", reasons.UNPAUSED, "Pending"),
        Condition(types.READY, "False", reasons.UNPAUSED, message),
    ]
    return {
        "message": message,
        "conditions": merge_with_stalled(old.get("conditions"), conditions, stalled=False, now=now),
        "troth": {**read_own(old).fields, "paused": True},
    }


def unavailable_status(
    old: Mapping[str, Any],
    facts: RequestFacts,
    report: WorksReport,
    as_placed: Sequence[Condition],
    *,
    stalled: bool,
    now: str,
) -> dict[str, Any]:
    """Returns the status of a request whose Promise cannot fulfil requests.

    A request that was carried out in its newest generation still reports the state of its files and components. Any
    other request waits, and says for what.

    Args:
        old: the status as the API server has it.
        facts: what is known about the request, without the workflow.
        report: the summary of its Works.
        as_placed: the conditions as far as they depend on the Works and the components.
        stalled: whether only an edit helps, as far as that depends on the Works and the components.
        now: RFC 3339.
    """
    conditions = [
        Condition(types.PROMISE_AVAILABLE, "False", reasons.REQUIREMENTS_NOT_INSTALLED, _UNFULFILLED_MESSAGE)
    ]
    status: dict[str, Any] = {}
    ready = find_condition(old.get("conditions"), types.READY) or {}
    ours = read_own(old)
    carried_out = old.get("observedGeneration") == facts.generation
    if facts.works:
        conditions.append(report.condition)
        status["troth"] = {**ours.fields, "placements": placements_block(facts.works)}
    if carried_out and ready.get("reason") in reasons.PLACED and (facts.works or not ours.placements):
        told = merge_with_stalled(old.get("conditions"), [*conditions, *as_placed], stalled=stalled, now=now)
        written = str(old.get("message") or "") if ready.get("status") == "True" else "Resource requested"
        return {**status, "message": message_of(told, written), "conditions": told}
    if carried_out and ready.get("reason", "") not in _WAITING | reasons.PLACED:
        return {**status, "conditions": merge_conditions(old.get("conditions"), conditions, now=now)}
    message = _waiting(facts, edited=bool(old.get("observedGeneration")) and not carried_out)
    conditions.append(Condition(types.RECONCILED, "Unknown", reasons.WORKFLOW_PENDING, "Pending"))
    conditions.append(
        Condition(types.READY, "False", facts.obstacle.reason or reasons.REQUIREMENTS_NOT_INSTALLED, message)
    )
    told = merge_with_stalled(old.get("conditions"), conditions, stalled=False, now=now)
    return {**status, "message": message, "conditions": told}


def _waiting(facts: RequestFacts, *, edited: bool) -> str:
    said = facts.obstacle.message or _UNFULFILLED_MESSAGE
    if not edited:
        return said[:1].upper() + said[1:]
    stays = ", and what was written before it stays" if facts.works else ""
    return f"This change waits{stays}: {said}"
