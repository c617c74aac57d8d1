"""The status of a resource request: Kratix's fields, ``Ready`` and ``status.troth``.

See kratix-compatibility.md#status-of-a-request.

Kratix writes this status from three places (controller, status-writer, health). Here it is one function of facts, so
two writers can never disagree. The differences from Kratix: a request of a Promise without pipelines gets its
conditions as well, a failure is shown in ``message``, where people look first, and the observed generation is also set
when a pipeline failed, because that generation was observed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from troth.api import Condition, find_condition, reasons
from troth.api import conditions as types
from troth.api.statuses import read_own
from troth.engine.status.author import conditions_said
from troth.engine.status.components import components_block, components_condition
from troth.engine.status.facts import ComponentFacts, RequestFacts, WorkflowFacts
from troth.engine.status.placement import (
    WorksReport,
    placements_block,
    plain_secrets_condition,
    works_report,
)
from troth.engine.status.stalled import merge_with_stalled, message_of
from troth.engine.status.unattended import paused_status, unavailable_status
from troth.engine.status.workflows import in_layouts, kratix_block, recorded_success

_OWNED_TROTH: Final = frozenset(
    {"phase", "placements", "components", "failure", "statusKeys", "conditionTypes", "runs"}
)
PENDING: Final = "Pending"
_IN_PROGRESS: Final = "Pipelines are still in progress"
_DONE: Final = WorkflowFacts()


def request_status(old: Mapping[str, Any], facts: RequestFacts, *, now: str, flat: bool = True) -> dict[str, Any]:
    """Returns the keys of a request's status that Troth owns, with None for those to remove.

    Args:
        old: the status as the API server has it.
        facts: what is known about the request.
        now: the time in RFC 3339; only used where something changes.
        flat: whether the flat layout of the workflow is written beside the keyed one.
    """
    if facts.paused:
        return paused_status(old, facts, now=now)
    report = works_report(facts.works, "resource")
    if not facts.promise_available:
        as_placed = [reconciled(_DONE, report), _ready(_DONE, report, facts)]
        stalled = _waits_for_stalled(as_placed, facts.components)
        return unavailable_status(old, facts, report, as_placed, stalled=stalled, now=now)
    workflow = facts.workflow
    conditions, condition_types = author_conditions(old, workflow)
    conditions += [
        Condition(types.PROMISE_AVAILABLE, "True", "PromiseAvailable", "Promise Requirements are met"),
        *workflow_conditions(workflow),
    ]
    if workflow.state == "Succeeded" or facts.works:
        conditions.append(report.condition)
    conditions += [reconciled(workflow, report), _ready(workflow, report, facts)]
    conditions += (told := plain_secrets_condition(facts.works))
    merged = merge_with_stalled(
        old.get("conditions"),
        conditions,
        stalled=workflow.stalled
        or _is_held(conditions, facts)
        or _waits_for_stalled(conditions, facts.components),
        now=now,
        drop=[*_dropped_conditions(old, workflow, condition_types), *(() if told else (types.PLAIN_SECRETS,))],
        moved=workflow.moved,
    )
    fields, keys = author_fields(old, workflow)
    succeeded = last_success(old, merged)
    status = {
        **fields,
        "message": message_of(merged, _message(workflow)),
        "observedGeneration": facts.generation,
        "promiseVersion": facts.promise_version or None,
        "resourceBindingVersion": facts.binding_version or None,
        "lastSuccessfulConfigureWorkflowTime": succeeded,
        **counters(workflow),
        "conditions": merged,
        "kratix": kratix_block(old, workflow, generation=facts.generation, succeeded=succeeded, now=now),
        "troth": {
            **{key: value for key, value in read_own(old).fields.items() if key not in _OWNED_TROTH},
            "phase": _phase(facts),
            "placements": placements_block(facts.works),
            "components": components_block(facts.components) or None,
            "failure": dict(workflow.failure) or None,
            "statusKeys": keys or None,
            "conditionTypes": condition_types or None,
            "runs": runs_block(workflow),
            **workflow.notes,
        },
    }
    return in_layouts(old, status, flat=flat)


def waiting_status(old: Mapping[str, Any], *, before: int, now: str) -> dict[str, Any]:
    """Returns the status of a request that waits for its turn to be rendered. What was written for it before stays.

    Args:
        old: the status as the API server has it.
        before: about how many other requests are rendered before it.
        now: RFC 3339.
    """
    message = f"Waiting for its turn to be rendered, {before} before it"
    if old.get("observedGeneration"):
        message = f"This change is waiting for its turn to be rendered, {before} before it; what was written stays"
    conditions = [
        Condition(types.CONFIGURE_WORKFLOW_COMPLETED, "False", "PipelinesInProgress", _IN_PROGRESS),
        Condition(types.RECONCILED, "Unknown", reasons.WORKFLOW_PENDING, PENDING),
        Condition(types.READY, "False", reasons.WORKFLOW_PENDING, message),
    ]
    return {
        "message": message,
        "conditions": merge_with_stalled(old.get("conditions"), conditions, stalled=False, now=now),
    }


def refusal_status(
    old: Mapping[str, Any], *, generation: int, reason: str, message: str, now: str, stalled: bool = False
) -> dict[str, Any]:
    """Returns the status of a request whose Works the API server refuses. What was placed before stays as it is.

    Args:
        old: the status as the API server has it.
        generation: the generation of the request.
        reason: the reason for the conditions.
        message: the explanation for people.
        now: RFC 3339.
        stalled: whether only an edit helps.
    """
    conditions = [
        Condition(types.RECONCILED, "False", reason, "Failing"),
        Condition(types.READY, "False", reason, message),
    ]
    return {
        "message": message,
        "observedGeneration": generation,
        "conditions": merge_with_stalled(old.get("conditions"), conditions, stalled=stalled, now=now),
    }


def parse_time(text: str) -> datetime:
    """Reads a time as the API server writes it (RFC 3339)."""
    return datetime.fromisoformat(text)


def format_time(time: datetime) -> str:
    """Writes a time as Kubernetes does: in UTC, with whole seconds and ``Z``."""
    return time.replace(microsecond=0).isoformat().replace("+00:00", "Z")


def workflow_conditions(workflow: WorkflowFacts) -> list[Condition]:
    """Returns the condition ``ConfigureWorkflowCompleted``; an empty list without pipelines."""
    kind = types.CONFIGURE_WORKFLOW_COMPLETED
    if not workflow.pipelines:
        return []
    match workflow.state:
        case "Succeeded":
            return [Condition(kind, "True", "PipelinesExecutedSuccessfully", "Pipelines completed")]
        case "Failed":
            failed = workflow.first("Failed")
            message = f"A Configure Pipeline has failed: {failed.name if failed else ''}"
            return [Condition(kind, "False", "ConfigureWorkflowFailed", message)]
        case _:
            return [Condition(kind, "False", "PipelinesInProgress", _IN_PROGRESS)]


def reconciled(workflow: WorkflowFacts, report: WorksReport) -> Condition:
    """Returns ``Reconciled``, which depends first on the workflow and then on its Works."""
    match workflow.state:
        case "Failed":
            return Condition(types.RECONCILED, "False", "ConfigureWorkflowFailed", "Failing")
        case "Suspended":
            return Condition(types.RECONCILED, "Unknown", reasons.WORKFLOW_SUSPENDED, "Suspended")
        case "Pending":
            return Condition(types.RECONCILED, "Unknown", reasons.WORKFLOW_PENDING, PENDING)
    match report.status:
        case "True":
            return Condition(types.RECONCILED, "True", reasons.RECONCILED, "Reconciled")
        case "Unknown":
            return Condition(types.RECONCILED, "Unknown", reasons.WORKS_PENDING, PENDING)
        case "False":
            return Condition(types.RECONCILED, "False", reasons.WORKS_FAILING, "Failing")


def workflow_unready(workflow: WorkflowFacts) -> Condition | None:
    """Returns ``Ready`` while the workflow has not succeeded, with an explanation for people; None otherwise."""
    match workflow.state:
        case "Failed":
            return Condition(types.READY, "False", "ConfigureWorkflowFailed", failure_sentence(workflow))
        case "Suspended":
            return Condition(types.READY, "False", reasons.WORKFLOW_SUSPENDED, suspension_sentence(workflow))
        case "Pending":
            return Condition(types.READY, "False", reasons.WORKFLOW_PENDING, progress_sentence(workflow))
        case "Succeeded":
            return None


def progress_sentence(workflow: WorkflowFacts) -> str:
    """Returns the sentence about a workflow that is running: what its pipeline waits for, if that is known."""
    running = workflow.first("Running")
    return f"{running.name}: {running.message}" if running and running.message else _IN_PROGRESS


def failure_sentence(workflow: WorkflowFacts) -> str:
    """Returns why the workflow failed, in a sentence for people."""
    failed = workflow.first("Failed")
    return workflow.failure_message or f"A Configure Pipeline has failed: {failed.name if failed else ''}"


def suspension_sentence(workflow: WorkflowFacts) -> str:
    """Returns the sentence about a suspended workflow."""
    suspended = workflow.first("Suspended")
    said = suspended.message if suspended else ""
    return said or str(workflow.author.fields.get("message") or "Suspended")


def author_fields(old: Mapping[str, Any], workflow: WorkflowFacts) -> tuple[dict[str, Any], list[str]]:
    """Returns the author's keys of a status, with None for those that are no longer written, and the keys to remember.

    Keys are only removed after all pipelines have succeeded, since before that a key may still be written.
    """
    written = {key: value for key, value in workflow.author.fields.items() if key != "message"}
    before = read_own(old).status_keys
    if workflow.state != "Succeeded":
        return written, sorted(before | written.keys())
    return {**dict.fromkeys(sorted(before - written.keys())), **written}, sorted(written)


def author_conditions(old: Mapping[str, Any], workflow: WorkflowFacts) -> tuple[list[Condition], list[str]]:
    """Returns the author's own conditions, and their types to remember."""
    conditions = conditions_said(workflow.author)
    kinds = {condition.type for condition in conditions}
    if workflow.state != "Succeeded":
        kinds |= read_own(old).condition_types
    return conditions, sorted(kinds)


def counters(workflow: WorkflowFacts) -> dict[str, int]:
    """Returns Kratix's deprecated counters."""
    return {
        "workflows": len(workflow.pipelines),
        "workflowsSucceeded": sum(pipeline.phase == "Succeeded" for pipeline in workflow.pipelines),
        "workflowsFailed": int(workflow.state == "Failed"),
    }


def last_success(old: Mapping[str, Any], conditions: list[dict[str, Any]]) -> str | None:
    """Returns when the workflow last succeeded: the condition's transition time, or else the former value.

    See kratix-compatibility.md#requests.
    """
    completed = find_condition(conditions, types.CONFIGURE_WORKFLOW_COMPLETED)
    if completed and completed["status"] == "True":
        return str(completed["lastTransitionTime"])
    return old.get("lastSuccessfulConfigureWorkflowTime") or recorded_success(old) or None


def runs_block(workflow: WorkflowFacts) -> dict[str, int] | None:
    """Returns ``status.troth.runs``, the numbers of the last runs of pipelines; None when there were not any."""
    return {pipeline.name: pipeline.run for pipeline in workflow.pipelines if pipeline.run} or None


def _dropped_conditions(old: Mapping[str, Any], workflow: WorkflowFacts, kept: list[str]) -> set[str]:
    dropped = set(read_own(old).condition_types) - set(kept)
    if not workflow.pipelines:
        dropped.add(types.CONFIGURE_WORKFLOW_COMPLETED)
    return dropped


def _ready(workflow: WorkflowFacts, report: WorksReport, facts: RequestFacts) -> Condition:
    unready = workflow_unready(workflow)
    if unready is not None:
        return unready
    if report.status == "True":
        unready = components_condition(facts.components)
        if unready is not None:
            return unready
    status: types.Status = "True" if report.status == "True" else "False"
    stays = _what_stays(facts.former) if status == "False" else ""
    return Condition(types.READY, status, report.reason, report.explanation + stays)


def _what_stays(former: Sequence[str]) -> str:
    named = ", ".join(sorted(filter(None, former)))
    if not named:
        return ""
    noun = "pipeline" if len(former) == 1 else "pipelines"
    return f"; what the former {noun} {named} wrote stays until then"


def _is_held(conditions: Sequence[Condition], facts: RequestFacts) -> bool:
    """Whether files are held because an edit asks for another place: it must be undone, or the request moved."""
    misplaced = any(condition.reason == reasons.WORKS_MISPLACED for condition in conditions)
    return misplaced and any(work.held for work in facts.works)


def _waits_for_stalled(conditions: Sequence[Condition], components: Sequence[ComponentFacts]) -> bool:
    """Whether the request waits for a component that only an edit helps."""
    waits = any(condition.reason == reasons.COMPONENTS_NOT_READY for condition in conditions)
    return waits and any(component.stalled for component in components)


def _message(workflow: WorkflowFacts) -> str:
    """Returns the message of a request that is Ready."""
    return str(workflow.author.fields.get("message") or "Resource requested")


def _phase(facts: RequestFacts) -> str:
    match facts.workflow.state:
        case "Succeeded":
            return "Committed" if all(work.written for work in facts.works) else "Rendered"
        case state:
            return state
