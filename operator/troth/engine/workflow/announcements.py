"""The Events of a workflow, with Kratix's reasons: what a change of an object's status is worth telling.

Only the status before and after a write decides, so an operator that starts again tells nothing twice. An operator that
is killed between the write and the Event tells nothing; the status says it all the same.

That a pipeline started is only told of a Promise's own pipelines of containers. For a request it would be one more API
write for each run, and its status says the same with the time: ``ConfigureWorkflowCompleted`` is False, with the reason
``PipelinesInProgress``. A workflow of templates ends within milliseconds and has no runs, so it does not start.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from troth.api import conditions as types
from troth.api import reasons
from troth.api.conditions import find_condition
from troth.api.pipelines import Action
from troth.api.typed import read_map, read_text
from troth.engine.workflow.progress import StepRecord, read_progress
from troth.engine.workflow.wishes import read_round

Status = Mapping[str, Any]
Owner = Literal["promise", "resource"]

CONFIGURE_WORKFLOW_FAILED: Final = "ConfigureWorkflowFailed"
TOLD: Final = frozenset({CONFIGURE_WORKFLOW_FAILED, reasons.WORKFLOW_SUSPENDED})
"""Reasons of Ready of which an announcement tells."""

_CONTAINER_FAILED: Final = "ContainerFailed"
_FAILED_PIPELINE: Final = (
    "Failed Pipeline"  # with its space, as people who move from Kratix have it in their alerts
)
_PIPELINE_STARTED: Final = "PipelineStarted"
_LONGEST_LOG: Final = 400


@dataclass(frozen=True, slots=True)
class Announcement:
    """An Event about a request or a Promise.

    Attributes:
        type: of the Event.
        reason: in Kratix's words.
        message: the sentence for people.
        action: which workflow it is about.
    """

    type: Literal["Normal", "Warning"]
    reason: str
    message: str
    action: Action


def announce(before: Status, after: Status, owner: Owner) -> list[Announcement]:
    """Returns the Events that a change of a status is worth.

    Args:
        before: the whole status before the write.
        after: the fields that were written.
        owner: whether the object is a Promise or a request.
    """
    after = {**before, **after}
    # Once an object is being deleted, what its configure workflow came to stays in its status and is no news.
    action: Action = "delete" if read_progress(after, "delete") else "configure"
    past = {record.name: record for record in read_progress(before, action)}
    records = read_progress(after, action)
    return [
        *(_started(past, records, action) if owner == "promise" else ()),
        *_tried_again(before, after, records, action),
        *_suspended(past, records, action),
        *(_configure_failed(before, after, owner) if action == "configure" else ()),
        *_delete_failed(before, after),
        *(_reconciling(before, after) if owner == "promise" else ()),
    ]


def _started(
    past: Mapping[str, StepRecord], records: Iterable[StepRecord], action: Action
) -> Iterator[Announcement]:
    for record in records:
        earlier = past.get(record.name)
        if record.phase == "Running" and record.run > (earlier.run if earlier else 0):
            message = f"{action.capitalize()} Pipeline started: {record.name}"
            yield Announcement("Normal", _PIPELINE_STARTED, message, action)


def _tried_again(
    before: Status, after: Status, records: Iterable[StepRecord], action: Action
) -> Iterator[Announcement]:
    failure = _failure(after)
    if failure == _failure(before) or not failure.get("container"):
        return
    for record in records:
        if record.phase == "Running" and record.name == failure.get("pipeline"):
            message = f"{record.name}: {failure.get('message')}{_log(failure)}"
            yield Announcement("Warning", _CONTAINER_FAILED, message, action)


def _suspended(
    past: Mapping[str, StepRecord], records: Iterable[StepRecord], action: Action
) -> Iterator[Announcement]:
    for record in records:
        earlier = past.get(record.name, StepRecord(record.name, "Pending"))
        now = (record.phase, record.message, record.run)
        if record.phase == "Suspended" and now != (earlier.phase, earlier.message, earlier.run):
            why = f": {record.message}" if record.message else ""
            message = f"The {action} Pipeline {record.name} has suspended its workflow{why}"
            yield Announcement("Warning", reasons.WORKFLOW_SUSPENDED, message, action)


def _configure_failed(before: Status, after: Status, owner: Owner) -> Iterator[Announcement]:
    told, was = _failed_step(after), _failed_step(before)
    if told is None:
        return
    failure = _failure_of(after, told.name)
    if (
        was
        and (told.name, told.message, told.run) == (was.name, was.message, was.run)
        and failure == _failure(before)
    ):
        return
    cause = told.message.removeprefix(f"{told.name}: ")
    message = f"A {owner}/configure Pipeline has failed: {told.name}: {cause}{_log(failure)}"
    yield Announcement("Warning", CONFIGURE_WORKFLOW_FAILED, message, "configure")


def _failed_step(status: Status) -> StepRecord | None:
    if _reason(status, types.CONFIGURE_WORKFLOW_COMPLETED) != CONFIGURE_WORKFLOW_FAILED:
        return None
    records = read_progress(status, "configure")
    return next((record for record in records if record.phase == "Failed"), None)


def _delete_failed(before: Status, after: Status) -> Iterator[Announcement]:
    told, was = (
        read_text((find_condition(each.get("conditions"), types.READY) or {}).get("message"))
        if _reason(each, types.DELETE_WORKFLOW_COMPLETED) == reasons.DELETE_WORKFLOW_FAILED
        else None
        for each in (after, before)
    )
    if told is None or told == was:
        return
    failed = [record.name for record in read_progress(after, "delete") if record.phase == "Failed"]
    log = _log(_failure_of(after, failed[0])) if failed else ""
    yield Announcement("Warning", _FAILED_PIPELINE, f"The Delete Pipeline has failed: {told}{log}", "delete")


def _reconciling(before: Status, after: Status) -> Iterator[Announcement]:
    """A Promise asks all of its requests for a run, because of its label, or because it is not paused any more."""
    asked = read_round(after)
    if asked and asked != read_round(before):
        yield Announcement("Normal", "ReconcilingResources", "Reconciling all resource requests", "configure")


def _reason(status: Status, kind: str) -> str:
    condition = find_condition(status.get("conditions"), kind) or {}
    return read_text(condition.get("reason")) if condition.get("status") == "False" else ""


def _failure(status: Status) -> Mapping[str, Any]:
    return read_map(read_map(status.get("troth")).get("failure"))


def _failure_of(status: Status, pipeline: str) -> Mapping[str, Any]:
    failure = _failure(status)
    return failure if failure.get("pipeline") == pipeline else {}


def _log(failure: Mapping[str, Any]) -> str:
    """The end of a log in one line, as far as there is room for it in an Event."""
    log = " | ".join(line.strip() for line in read_text(failure.get("log")).splitlines() if line.strip())
    if not log:
        return ""
    return f"; its log ends with: {log if len(log) <= _LONGEST_LOG else '…' + log[1 - _LONGEST_LOG :]}"
