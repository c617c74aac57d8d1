"""The status of a Promise: Kratix's fields, ``Ready`` and ``status.troth``.

See kratix-compatibility.md#kinds, #promises, #required-promises, #conditions-of-a-promise.

Known gaps of Kratix are closed: a Promise without promise pipelines becomes ``Reconciled`` like any other, and its
static dependencies count among its Works. A Promise can fulfil requests once its requirements are met, its API is
served and its own workflow has succeeded; until then ``message`` says what is missing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, Final

from troth.api import Condition, labels, merge_conditions, reasons
from troth.api import conditions as types
from troth.api.statuses import read_own
from troth.engine.admission.unfit import consequence, named
from troth.engine.status.facts import INSTALLED, NOT_INSTALLED, NOT_INSTALLED_AT_VERSION, PromiseFacts
from troth.engine.status.placement import (
    WorksReport,
    placements_block,
    plain_secrets_condition,
    works_report,
)
from troth.engine.status.request import (
    PENDING,
    counters,
    last_success,
    reconciled,
    runs_block,
    workflow_conditions,
    workflow_unready,
)
from troth.engine.status.requests import requests_condition
from troth.engine.status.stalled import merge_with_stalled, message_of
from troth.engine.status.unattended import paused_conditions
from troth.engine.status.workflows import in_layouts, kratix_block

_AVAILABLE: Final = "Available"
_UNAVAILABLE: Final = "Unavailable"
_OWNED_TROTH: Final = frozenset({"placements", "failure", "runs"})
_MOST_SAID: Final = 3


def promise_available(facts: PromiseFacts) -> bool:
    """Whether the Promise can fulfil requests."""
    return (
        not facts.paused
        and not facts.problem
        and facts.api_established
        and facts.workflow.state == "Succeeded"
        and all(requirement.state == INSTALLED for requirement in facts.requirements)
    )


def promise_status(old: Mapping[str, Any], facts: PromiseFacts, *, now: str, flat: bool = True) -> dict[str, Any]:
    """Returns the keys of a Promise's status that Troth owns, with None for those to remove.

    Args:
        old: the status as the API server has it.
        facts: what is known about the Promise.
        now: the time in RFC 3339; only used where something changes.
        flat: whether the flat layout of the workflow is written beside the keyed one.
    """
    available = promise_available(facts)
    status = _AVAILABLE if available else _UNAVAILABLE
    mirror = old.get("kratix") or {}
    if facts.paused:
        available_condition = Condition(types.AVAILABLE, "False", reasons.PAUSED, "Paused")
        conditions = [available_condition, *paused_conditions(_why_paused(facts))]
        told = merge_with_stalled(old.get("conditions"), conditions, stalled=False, now=now)
        return {
            "status": status,
            "message": message_of(told, ""),
            "kratix": {**mirror, "status": status},
            "conditions": told,
            "troth": {**read_own(old).fields, "paused": True},
        }
    report = works_report(facts.works, "promise")
    conditions = [*_requirements(facts), _available(facts), *workflow_conditions(facts.workflow)]
    if facts.workflow.state == "Succeeded" or facts.works:
        conditions.append(report.condition)
    conditions += [_reconciled(facts, report), _ready(facts, report), *_requests(facts), *_linted(facts)]
    conditions += [*_requests_fit(facts), *plain_secrets_condition(facts.works)]
    merged = merge_with_stalled(
        old.get("conditions"),
        conditions,
        stalled=facts.unfit if facts.problem else facts.workflow.stalled,
        now=now,
        drop=_dropped(facts),
        moved=facts.workflow.moved,
    )
    since = old.get("lastAvailableTime") or mirror.get("lastAvailableTime")
    if available and (old.get("status") != _AVAILABLE or not since):
        since = now
    same = {
        "version": facts.version or None,
        "kind": facts.kind or None,
        "apiVersion": facts.api_version.lower() or None,
        "status": status,
        "lastAvailableTime": since,
    }
    # A workflow that is not looked at keeps its record, so that it does not run again afterwards.
    workflows, runs = mirror, read_own(old).fields.get("runs")
    if not facts.problem:
        succeeded = last_success(old, merged)
        workflows = kratix_block(old, facts.workflow, generation=facts.generation, succeeded=succeeded, now=now)
        runs = runs_block(facts.workflow)
    found = {
        **same,
        "message": message_of(merged, str(facts.workflow.author.fields.get("message") or "Promise configured")),
        "observedGeneration": facts.generation,
        "requiredPromises": [
            {"name": requirement.name, "version": requirement.version, "state": requirement.state}
            for requirement in facts.requirements
        ]
        or None,
        "requiredBy": [
            {
                "promise": {"name": dependent.name, "version": dependent.version},
                "requiredVersion": dependent.required_version,
            }
            for dependent in sorted(facts.required_by, key=lambda entry: entry.name)
        ]
        or None,
        **counters(facts.workflow),
        "conditions": merged,
        "kratix": {**workflows, **same},
        "troth": {
            **{key: value for key, value in read_own(old).fields.items() if key not in _OWNED_TROTH},
            "placements": placements_block(facts.works),
            "failure": dict(facts.workflow.failure) or None,
            "runs": runs,
            **_findings(facts),
            **facts.workflow.notes,
        },
    }
    return found if facts.problem else in_layouts(old, found, flat=flat)


def promise_deletion_status(old: Mapping[str, Any], told: Mapping[str, Any], *, now: str) -> dict[str, Any]:
    """Returns the status of a Promise that is being deleted: `deletion_status`, and that it is not available."""
    available = Condition(types.AVAILABLE, "False", reasons.PROMISE_UNAVAILABLE, "Cannot fulfil resource requests")
    return {
        **told,
        "status": _UNAVAILABLE,
        "kratix": {**(told.get("kratix") or old.get("kratix") or {}), "status": _UNAVAILABLE},
        "conditions": merge_conditions(told["conditions"], [available], now=now),
    }


def _why_paused(facts: PromiseFacts) -> str:
    waits = "it is not deleted" if facts.deleting else "neither it nor its requests are reconciled"
    return f"Paused: it has the label {labels.PAUSED}=true, and {waits} until the label is removed"


def _requirements(facts: PromiseFacts) -> list[Condition]:
    kind = types.REQUIREMENTS_FULFILLED
    states = {requirement.state for requirement in facts.requirements}
    if not states:
        return []
    if states == {INSTALLED}:
        return [Condition(kind, "True", "RequirementsInstalled", "Requirements fulfilled")]
    missing = states & {NOT_INSTALLED, NOT_INSTALLED_AT_VERSION}
    reason = "RequirementsNotInstalled" if missing else "RequirementsNotAvailable"
    return [Condition(kind, "False", reason, "Requirements not fulfilled")]


def _available(facts: PromiseFacts) -> Condition:
    if promise_available(facts):
        return Condition(types.AVAILABLE, "True", "PromiseAvailable", "Ready to fulfil resource requests")
    if facts.workflow.state == "Suspended":
        return Condition(types.AVAILABLE, "False", reasons.WORKFLOW_SUSPENDED, "Suspended")
    return Condition(types.AVAILABLE, "False", reasons.PROMISE_UNAVAILABLE, "Cannot fulfil resource requests")


def _reconciled(facts: PromiseFacts, report: WorksReport) -> Condition:
    if facts.problem:
        return Condition(types.RECONCILED, "False", facts.problem_reason, "Failing")
    if facts.workflow.state in {"Failed", "Suspended"}:
        return reconciled(facts.workflow, report)
    if _unmet(facts):
        return Condition(types.RECONCILED, "Unknown", reasons.REQUIREMENTS_NOT_FULFILLED, PENDING)
    if not facts.api_established:
        return Condition(types.RECONCILED, "Unknown", reasons.API_PENDING, PENDING)
    return reconciled(facts.workflow, report)


def _ready(facts: PromiseFacts, report: WorksReport) -> Condition:
    if facts.problem:
        return Condition(types.READY, "False", facts.problem_reason, facts.problem)
    unready = workflow_unready(facts.workflow)
    if unready is not None and facts.workflow.state != "Pending":
        return unready
    if unmet := _unmet(facts):
        return Condition(types.READY, "False", reasons.REQUIREMENTS_NOT_FULFILLED, unmet)
    if not facts.api_established:
        return Condition(types.READY, "False", reasons.API_PENDING, _api_pending(facts))
    if unready is not None:
        return unready
    status: types.Status = "True" if report.status == "True" else "False"
    explanation = "Ready to fulfil resource requests" if status == "True" else report.explanation
    return Condition(types.READY, status, report.reason, explanation)


def _requests(facts: PromiseFacts) -> list[Condition]:
    found = requests_condition(facts.requests) if facts.requests and promise_available(facts) else None
    return [found] if found else []


def _linted(facts: PromiseFacts) -> list[Condition]:
    """Returns the lint condition. It is empty while the result is not known, so that the former condition stays."""
    found = None if facts.problem else facts.lint
    if found is None:
        return []
    if found.count:
        said = [error.sentence() for error in found.errors[:_MOST_SAID]]
        more = found.count - len(said)
        message = ". ".join([*said, *([f"And {more} more: see status.troth.findings"] if more else [])])
        return [Condition(types.LINTED, "False", "LintErrors", message)]
    if found.unfinished:
        return [Condition(types.LINTED, "Unknown", "LintUnfinished", found.unfinished)]
    message = "What the templates read fits the API, and what they render fits its schemas"
    if found.unknown:
        message += f". Not checked: {found.unknown}"
    return [Condition(types.LINTED, "True", "NoLintErrors", message)]


def _requests_fit(facts: PromiseFacts) -> list[Condition]:
    """Returns a condition only if some requests do not fit, since it would not be useful on every Promise."""
    if not facts.misfits:
        return []
    number = len(facts.misfits)
    said = "1 request does" if number == 1 else f"{number} requests do"
    message = f"{said} not fit the API: {named(facts.misfits)}"
    if more := consequence(facts.misfits):
        message += f"; {more}"
    message += f". Change {'it' if number == 1 else 'them'}, or allow in the API what is there"
    return [Condition(types.REQUESTS_FIT, "False", "RequestsDoNotFit", message)]


def _findings(facts: PromiseFacts) -> dict[str, Any]:
    if facts.problem:
        return {"findings": None}
    if facts.lint is None:
        return {}
    return {"findings": [asdict(error) for error in facts.lint.errors] or None}


def _unmet(facts: PromiseFacts) -> str:
    unmet = [requirement for requirement in facts.requirements if requirement.state != INSTALLED]
    if not unmet:
        return ""
    names = ", ".join(
        f"{requirement.name}{' ' + requirement.version if requirement.version else ''} ({requirement.state})"
        for requirement in unmet
    )
    return f"Waiting for required Promises: {names}"


def _api_pending(facts: PromiseFacts) -> str:
    return f"Waiting for the API {facts.kind or facts.api_version} to be served"


def _dropped(facts: PromiseFacts) -> set[str]:
    dropped = set()
    if not facts.requirements:
        dropped.add(types.REQUIREMENTS_FULFILLED)
    if not facts.workflow.pipelines:
        dropped.add(types.CONFIGURE_WORKFLOW_COMPLETED)
    if facts.problem:
        dropped.add(types.LINTED)
    if not _requests(facts) and (facts.requests is not None or not promise_available(facts)):
        dropped.add(types.REQUESTS_READY)
    if facts.misfits == ():
        dropped.add(types.REQUESTS_FIT)
    if not plain_secrets_condition(facts.works):
        dropped.add(types.PLAIN_SECRETS)
    return dropped
