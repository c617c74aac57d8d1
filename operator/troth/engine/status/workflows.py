"""The record of workflows in a status: ``status.kratix.workflows``, in both of Kratix's layouts.

Kratix's later layout has a record for each action: ``configure`` and ``delete``, each with ``pipelines``,
``suspendedGeneration`` and ``lastSuccessfulTime``. The earlier, flat layout has the record of the configure workflow
alone, directly in ``workflows``. Both are read, and both are written as long as there are tools that read the flat one;
a setting turns that off.

Where the two disagree, the keyed record counts, and the next write makes the flat one equal to it. Only an older tool
of Kratix edits the flat one alone, and such an edit has neither a hash nor a place for one, so nothing could follow
from it that is certain. Rejected: *the one with the newer ``lastTransitionTime``* (who edits by hand leaves the time as
it is), *a restart of the workflow* (an edit of a copy must not run containers).

A status that differs in nothing but its layouts is left as it is: an update of the operator, or a change of the
setting, does not write the statuses of all objects.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from troth.api.pipelines import Action
from troth.api.typed import read_map, read_maps, read_text
from troth.engine.status.facts import PipelineFacts, WorkflowFacts
from troth.engine.status.patch import status_patch

_PIPELINES: Final = "pipelines"
_SUSPENDED: Final = "suspendedGeneration"
_SUCCEEDED: Final = "lastSuccessfulTime"
_FLAT_SUCCEEDED: Final = "lastSuccessfulConfigureWorkflowTime"
_FLAT: Final[Mapping[str, str]] = {
    _PIPELINES: _PIPELINES,
    _SUSPENDED: _SUSPENDED,
    _FLAT_SUCCEEDED: _SUCCEEDED,
}


def recorded_pipelines(status: Mapping[str, Any], action: str = "configure") -> Sequence[Mapping[str, Any]]:
    """Returns the recorded entries of a workflow's pipelines, in order. Never raises, whatever the status holds.

    Args:
        status: the status of a request or a Promise.
        action: ``configure`` or ``delete``.
    """
    workflows = _workflows(status)
    entries = read_maps(read_map(workflows.get(action)).get(_PIPELINES))
    if not entries and action == "configure":
        entries = read_maps(workflows.get(_PIPELINES))
    return entries


def recorded_success(status: Mapping[str, Any]) -> str:
    """Returns when the configure workflow last succeeded, in RFC 3339, from either layout; empty if it never did."""
    workflows = _workflows(status)
    keyed = read_map(workflows.get("configure"))
    return (
        read_text(keyed.get(_SUCCEEDED))
        or read_text(keyed.get(_FLAT_SUCCEEDED))
        or read_text(workflows.get(_FLAT_SUCCEEDED))
    )


def kratix_block(
    old: Mapping[str, Any],
    workflow: WorkflowFacts,
    *,
    generation: int,
    now: str,
    action: Action = "configure",
    succeeded: str | None = None,
) -> dict[str, Any]:
    """Returns ``status.kratix`` with the record of one workflow in the keyed layout; all other fields stay.

    See kratix-compatibility.md#status-of-a-request. `in_layouts` adds the flat layout.

    Args:
        old: the status as the API server has it.
        workflow: the progress of the workflow.
        generation: the generation of the object.
        now: RFC 3339, for entries whose phase changes.
        action: which workflow it is.
        succeeded: when it last succeeded, in RFC 3339.
    """
    same_generation = old.get("observedGeneration") == generation and not workflow.rerun
    before = {read_text(entry.get("name")): entry for entry in recorded_pipelines(old, action)}
    record = {
        _PIPELINES: [
            _make_entry(before.get(pipeline.name) or {}, pipeline, same_generation=same_generation, now=now)
            for pipeline in workflow.pipelines
        ]
        or None,
        _SUSPENDED: generation if workflow.state == "Suspended" else None,
        _SUCCEEDED: succeeded,
    }
    known = {name: value for name, value in record.items() if value is not None}
    kratix, workflows = read_map(old.get("kratix")), _workflows(old)
    replaced = _FLAT if action == "configure" else ()
    others = {name: value for name, value in workflows.items() if name not in replaced}
    return {**kratix, "workflows": {**others, action: known or None}}


def in_layouts(old: Mapping[str, Any], new: Mapping[str, Any], *, flat: bool) -> dict[str, Any]:
    """Returns a new status with its configure workflow in the layouts in which it is to be written.

    When it differs from the old one in its layouts alone, those stay as they are.

    Args:
        old: the status as the API server has it.
        new: the keys to write, with the result of `kratix_block`.
        flat: whether the flat layout is written beside the keyed one.
    """
    before = _workflows(old)
    has_keyed, has_flat = "configure" in before, any(name in before for name in _FLAT)
    if (has_keyed or has_flat) and (has_keyed, has_flat) != (True, flat):
        unchanged = _place(new, keyed=has_keyed, flat=has_flat)
        if status_patch(old, unchanged) is None:
            return unchanged
    return _place(new, keyed=True, flat=flat)


def _place(status: Mapping[str, Any], *, keyed: bool, flat: bool) -> dict[str, Any]:
    kratix, workflows = read_map(status.get("kratix")), _workflows(status)
    record = read_map(workflows.get("configure"))
    placed = {**workflows, "configure": workflows.get("configure") if keyed else None}
    if flat:
        placed.update({name: record.get(keyed_name) for name, keyed_name in _FLAT.items()})
    return {**status, "kratix": {**kratix, "workflows": placed}}


def _make_entry(
    past: Mapping[str, Any], pipeline: PipelineFacts, *, same_generation: bool, now: str
) -> dict[str, Any]:
    moved = past.get("phase") != pipeline.phase or not past.get("lastTransitionTime")
    entry: dict[str, Any] = {
        "name": pipeline.name,
        "phase": pipeline.phase,
        "lastTransitionTime": now if moved else past["lastTransitionTime"],
    }
    # An entry from a release that did not write hashes gets one with its next run, so that an update writes nothing.
    # What runs in a Job always has one, because it decides whether the pipeline runs again.
    if pipeline.hash and (moved or pipeline.run or past.get("hash") or not same_generation):
        entry["hash"] = pipeline.hash
    if pipeline.message:
        entry["message"] = pipeline.message
    if pipeline.retry_at:
        entry["nextRetryAt"] = pipeline.retry_at
    if pipeline.attempts:
        entry["attempts"] = pipeline.attempts
    return entry


def _workflows(status: Mapping[str, Any]) -> Mapping[str, Any]:
    return read_map(read_map(status.get("kratix")).get("workflows"))
