"""The status of an object that is being deleted: what it waits for, and how far its delete pipelines are.

The record of a delete workflow is in ``status.kratix.workflows.delete``, beside that of the configure workflow, which
says until the end what was made of the object. The versions of Kratix that write a single list replace it
(kratix-compatibility.md#deleting-a-request). ``ConfigureWorkflowCompleted`` is left alone for the same reason.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from troth.api import Condition, reasons
from troth.api import conditions as types
from troth.api.statuses import read_own
from troth.api.typed import read_map
from troth.engine.status.facts import WorkflowFacts
from troth.engine.status.request import PENDING
from troth.engine.status.stalled import merge_with_stalled
from troth.engine.status.workflows import kratix_block

_NOTHING: Final = WorkflowFacts()


def deletion_status(
    old: Mapping[str, Any],
    *,
    waiting_for: str,
    now: str,
    workflow: WorkflowFacts = _NOTHING,
    generation: int = 0,
    failure: str = "",
    stalled: bool = False,
    refusal: str = "",
) -> dict[str, Any]:
    """Returns the status of a request, a Promise or a Work that is being deleted.

    Args:
        old: the status as the API server has it.
        waiting_for: what the deletion waits for when its workflow has ended, such as "2 works to be removed from their
            destinations".
        now: RFC 3339.
        workflow: how far its delete workflow is; without pipelines when it has none, or does not run any more.
        generation: the generation of the object.
        failure: why its delete pipelines cannot be run at all, or empty.
        stalled: whether that is so until the object is edited.
        refusal: what the API server does not allow the operator to do, and what to do about it; or empty.
    """
    state = workflow.state
    failure = failure or (workflow.failure_message if state == "Failed" else "")
    ready = Condition(
        types.READY, "False", reasons.DELETING, f"Deleting: {refusal or _waits(workflow, waiting_for)}"
    )
    conditions: list[Condition] = []
    if failure:
        ready = Condition(types.READY, "False", reasons.DELETE_WORKFLOW_FAILED, failure)
        conditions = [_not_completed(reasons.DELETE_WORKFLOW_FAILED, "The Delete Pipeline has failed")]
    elif state == "Suspended":
        conditions = [_not_completed("DeleteWorkflowSuspended", "The delete workflow is suspended")]
    if workflow.pipelines:
        conditions.append(_reconciled(workflow))
    passed = bool(workflow.pipelines) and state in ("Pending", "Succeeded")
    status: dict[str, Any] = {
        "message": ready.message,
        "conditions": merge_with_stalled(
            old.get("conditions"),
            [ready, *conditions],
            stalled=stalled or workflow.stalled,
            now=now,
            drop=[types.DELETE_WORKFLOW_COMPLETED] if passed else [],
        ),
    }
    if workflow.pipelines:
        status |= _record(old, workflow, generation=generation, now=now)
    return status


def _record(old: Mapping[str, Any], workflow: WorkflowFacts, *, generation: int, now: str) -> dict[str, Any]:
    """Returns what the status remembers of a delete workflow, beside what it says to people."""
    own = read_own(old).fields
    runs = {pipeline.name: pipeline.run for pipeline in workflow.pipelines if pipeline.run}
    return {
        "kratix": kratix_block(old, workflow, generation=generation, now=now, action="delete"),
        "troth": {
            **own,
            "failure": dict(workflow.failure) or None,
            "runs": {**read_map(own.get("runs")), **runs} or None,
        },
    }


def _waits(workflow: WorkflowFacts, waiting_for: str) -> str:
    """Returns what the deletion waits for, in words."""
    if suspended := workflow.first("Suspended"):
        said = f": {suspended.message}" if suspended.message else ""
        return f"its delete pipeline {suspended.name} is suspended{said}"
    if running := workflow.first("Running"):
        obstacle = f": {running.message}" if running.message else ""
        return f"waiting for its delete pipeline {running.name} to end{obstacle}"
    return f"waiting for {waiting_for}"


def _not_completed(reason: str, message: str) -> Condition:
    return Condition(types.DELETE_WORKFLOW_COMPLETED, "False", reason, message)


def _reconciled(workflow: WorkflowFacts) -> Condition:
    """Returns ``Reconciled``, which Kratix sets to Unknown when a delete pipeline starts."""
    match workflow.state:
        case "Suspended":
            return Condition(types.RECONCILED, "Unknown", reasons.WORKFLOW_SUSPENDED, "Suspended")
        case "Pending" | "Failed":
            return Condition(types.RECONCILED, "Unknown", reasons.WORKFLOW_PENDING, PENDING)
        case "Succeeded":
            return Condition(types.RECONCILED, "Unknown", reasons.WORKS_PENDING, PENDING)
