"""How far a workflow is, as the object's status records it, and what follows for each of its steps.

The record in ``status.kratix.workflows`` is the only memory (kratix-compatibility.md#status-of-a-request): a restart of
the operator, or somebody who deletes every Job, runs nothing again. An entry says in which phase its pipeline is and
for which hash it got there. Upstream decides in the same way since its pull request 933.

A step that is repeatable is the exception. It ends in the reconcile in which it begins, has no effect but its output,
and costs milliseconds, so it is run again whenever somebody looks: that is how Works that were edited are put right.
Its entry is written for people and decides nothing.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal, get_args

import orjson

from troth.api.typed import read_map, read_maps, read_text
from troth.engine.status.facts import PipelinePhase
from troth.engine.workflow.outcomes import Running

StepAction = Literal["run", "observe", "keep", "stay"]
"""What to do with a step once all steps before it have ended.

``run``: start it. ``observe``: it was started, so find out how far it is; it starts anew only when nothing of it is
left. ``keep``: it has ended, and what it left stands. ``stay``: it has failed or is suspended, and stays so until
somebody asks for another run.
"""

_ACTIONS: Final[Mapping[PipelinePhase, StepAction]] = {
    "Pending": "run",
    "Running": "observe",
    "Succeeded": "keep",
    "Failed": "stay",
    "Suspended": "stay",
}


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a workflow that is to run.

    Attributes:
        name: of its pipeline.
        hash: of what it is to run for (`workflow_hash`).
        repeatable: it ends in one reconcile and has no effect but its output, so it may be run at any time.
    """

    name: str
    hash: str
    repeatable: bool


@dataclass(frozen=True, slots=True)
class StepRecord:
    """What the status records of one pipeline.

    Attributes:
        name: of the pipeline.
        phase: how far it is.
        hash: of what it got there for; empty when nobody wrote one.
        message: why it is suspended or has failed.
    """

    name: str
    phase: PipelinePhase
    hash: str = ""
    message: str = ""


@dataclass(frozen=True, slots=True)
class Progress:
    """What a report says of a workflow besides what its steps produced.

    Attributes:
        hash: of what the steps ran for; empty writes none.
        running: the step that has not ended.
        held: the records of steps that were not reached this time and stand nevertheless, by name.
    """

    hash: str = ""
    running: Running | None = None
    held: Mapping[str, StepRecord] = field(default_factory=dict)


def read_progress(status: Mapping[str, Any], action: str = "configure") -> tuple[StepRecord, ...]:
    """The record of a workflow: of Kratix's layout with a key for each action, or else of its flat one.

    The flat one is that of the configure workflow. An entry without a known phase counts as Pending.

    Args:
        status: of the request or the Promise.
        action: ``configure`` or ``delete``.
    """
    workflows = read_map(read_map(status.get("kratix")).get("workflows"))
    entries = read_maps(read_map(workflows.get(action)).get("pipelines"))
    if not entries and action == "configure":
        entries = read_maps(workflows.get("pipelines"))
    return tuple(
        StepRecord(
            name=read_text(entry.get("name")),
            phase=_read_phase(entry.get("phase")),
            hash=read_text(entry.get("hash")),
            message=read_text(entry.get("message")),
        )
        for entry in entries
    )


def plan_steps(
    steps: Sequence[Step], recorded: Sequence[StepRecord], *, from_start: bool = False
) -> tuple[StepAction, ...]:
    """What to do with each step, once all before it have ended.

    Everything runs from the first step on when somebody asks for it, when the pipelines are not those of the record,
    or when a step got where it is for another hash. Otherwise each goes on from where it is.

    Args:
        steps: all of the workflow, in order.
        recorded: `read_progress`.
        from_start: somebody asked for a new run.
    """
    if from_start or _is_outdated(steps, recorded):
        return tuple("run" for _ in steps)
    return tuple(
        "run" if step.repeatable else _ACTIONS[record.phase] for step, record in zip(steps, recorded, strict=True)
    )


def held_records(
    steps: Sequence[Step], recorded: Sequence[StepRecord], *, from_start: bool = False
) -> dict[str, StepRecord]:
    """The records that stand even if their steps are not reached this time, by name; see `plan_steps`.

    Templates in front of a step of containers may fail for a moment. That must not have the containers run again.
    """
    if from_start or _is_outdated(steps, recorded):
        return {}
    return {
        record.name: record
        for step, record in zip(steps, recorded, strict=True)
        if not step.repeatable and record.phase != "Pending"
    }


def workflow_hash(specs: Iterable[str]) -> str:
    """The hash of what the steps of a workflow run for, from the hashes of the specs (`spec_hash`).

    That of the Promise comes first, then that of the request. For a Promise's own workflow it is the Promise's alone.
    """
    parts = list(specs)
    return parts[0] if len(parts) == 1 else _md5("-".join(parts).encode())


def spec_hash(spec: Any) -> str:
    """The hash of a ``spec``, the same for every order of its keys; built as Kratix builds it."""
    return _md5(orjson.dumps(spec, option=orjson.OPT_SORT_KEYS, default=dict))


def _is_outdated(steps: Sequence[Step], recorded: Sequence[StepRecord]) -> bool:
    if [step.name for step in steps] != [record.name for record in recorded]:
        return True
    return any(
        not step.repeatable and record.phase != "Pending" and record.hash != step.hash
        for step, record in zip(steps, recorded, strict=True)
    )


def _read_phase(value: Any) -> PipelinePhase:
    phases: tuple[PipelinePhase, ...] = get_args(PipelinePhase)
    return next((phase for phase in phases if phase == value), "Pending")


def _md5(content: bytes) -> str:
    return hashlib.md5(content, usedforsecurity=False).hexdigest()
