"""The progress of a workflow, as the object's status records it, and what follows for each of its steps.

The record in ``status.kratix.workflows`` is the only memory (kratix-compatibility.md#status-of-a-request), so neither a
restart of the operator nor the deletion of all Jobs makes anything run again. An entry has the phase of its pipeline
and the hash for which it reached that phase. Kratix decides in the same way since its pull request 933.

A repeatable step is the exception. It ends within one reconciliation, has no effect except its output, and takes
milliseconds, so it is run in every reconciliation, which also corrects Works that somebody edited. Its entry is only
written for people and decides nothing.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal, get_args

import orjson

from troth.api.typed import read_map, read_text, read_whole
from troth.engine.status.facts import PipelinePhase
from troth.engine.status.workflows import recorded_pipelines
from troth.engine.workflow.outcomes import Running

StepAction = Literal["run", "observe", "keep", "stay", "halt"]
"""The action for a step once all steps before it have ended.

``run``: start it. ``observe``: it was started, so find out how far it is; it is only started again when nothing of it
is left. ``keep``: it has ended, and its results stay. ``stay``: it has failed or is suspended, and stays so until
somebody asks for another run. ``halt``: it is the next one, and somebody has suspended the workflow with the label.
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
    """One step of a workflow.

    Attributes:
        name: the name of its pipeline.
        hash: the hash of the specs that it is to run for (`workflow_hash`).
        repeatable: whether it ends within one reconciliation and has no effect except its output, so that it may run at
            any time.
    """

    name: str
    hash: str
    repeatable: bool


@dataclass(frozen=True, slots=True)
class StepRecord:
    """The record of one pipeline in the status.

    Attributes:
        name: the name of the pipeline.
        phase: the phase that it has reached.
        hash: the hash for which it reached that phase; empty when none was written.
        message: why it is suspended or has failed, or empty.
        retry_at: when it runs again by itself, in RFC 3339; or empty.
        run: the number of its last run, which counts up for ever; 0 for a step that has not had any.
        since: when it reached that phase, in RFC 3339; or empty.
        attempts: how many of its runs have asked for another one (`troth.engine.workflow.retries`).
    """

    name: str
    phase: PipelinePhase
    hash: str = ""
    message: str = ""
    retry_at: str = ""
    run: int = 0
    since: str = field(default="", compare=False)
    attempts: int = 0


@dataclass(frozen=True, slots=True)
class Progress:
    """What a report says about a workflow besides what its steps produced.

    Attributes:
        hash: the hash of the specs that the steps ran for (`workflow_hash`); empty if none is written.
        running: the step that has not ended, or None.
        held: the records, by name, of steps that were not reached this time and whose records stay.
        runs: the numbers of the last runs of its steps, by name, for steps that have had any.
        halted: the step before which the label has suspended the workflow; empty when none is.
        attempts: how many runs of its steps have asked for another one, by name, for steps of which any has.
    """

    hash: str = ""
    running: Running | None = None
    held: Mapping[str, StepRecord] = field(default_factory=dict)
    runs: Mapping[str, int] = field(default_factory=dict)
    halted: str = ""
    attempts: Mapping[str, int] = field(default_factory=dict)


def read_progress(status: Mapping[str, Any], action: str = "configure") -> tuple[StepRecord, ...]:
    """Reads the record of a workflow, in either layout of Kratix (`troth.engine.status.workflows`).

    A record with an entry without a known phase counts as missing, so the workflow restarts. The numbers of
    runs are in ``status.troth.runs``, because Kratix has no field for them.

    Args:
        status: the status of the request or the Promise.
        action: ``configure`` or ``delete``.
    """
    runs = read_map(read_map(status.get("troth")).get("runs"))
    entries = [(entry, _read_phase(entry.get("phase"))) for entry in recorded_pipelines(status, action)]
    if any(phase is None for _, phase in entries):
        return ()
    return tuple(
        StepRecord(
            name=read_text(entry.get("name")),
            phase=phase,
            hash=read_text(entry.get("hash")),
            message=read_text(entry.get("message")),
            retry_at=read_text(entry.get("nextRetryAt")),
            run=read_whole(runs.get(read_text(entry.get("name")))),
            since=read_text(entry.get("lastTransitionTime")),
            attempts=max(0, read_whole(entry.get("attempts"))),
        )
        for entry, phase in entries
        if phase is not None
    )


def has_run(status: Mapping[str, Any]) -> bool:
    """Whether a status has the number of any run, so that Pods have, or may have, run for its object."""
    return bool(read_map(read_map(status.get("troth")).get("runs")))


def plan_steps(
    steps: Sequence[Step],
    recorded: Sequence[StepRecord],
    *,
    from_start: bool = False,
    retries: bool = False,
    suspended: bool = False,
    halted: str = "",
) -> tuple[StepAction, ...]:
    """Returns the action for each step, once all steps before it have ended.

    All steps run from the first one on when somebody asks for it, when the pipelines are not those of the record, or
    when a step was recorded with another hash. Otherwise each step continues from its recorded phase.

    The label that suspends a workflow stops it before the next step, unless a step has suspended itself: then the label
    is about that step, and goes with it. A run from the first step is not stopped, as in Kratix.

    Args:
        steps: all steps of the workflow, in order.
        recorded: the result of `read_progress`.
        from_start: whether somebody asked for a new run.
        suspended: whether the object has the label that suspends its workflow.
        halted: the step before which that label stopped the workflow (`read_halted`), or empty.
        retries: whether somebody asked that the step which has not succeeded runs again. What has succeeded is kept.
    """
    if from_start or _is_outdated(steps, recorded):
        return tuple("run" for _ in steps)
    halts = suspended and not any(record.phase == "Suspended" and record.name != halted for record in recorded)
    return tuple(
        _next_action(step, record, retries=retries, halts=halts, was_halted=record.name == halted)
        for step, record in zip(steps, recorded, strict=True)
    )


def _next_action(step: Step, record: StepRecord, *, retries: bool, halts: bool, was_halted: bool) -> StepAction:
    if halts and (record.phase == "Pending" or (was_halted and record.phase == "Suspended")):
        return "halt"
    if step.repeatable or (retries and record.phase != "Succeeded"):
        return "run"
    return _ACTIONS[record.phase]


def read_halted(status: Mapping[str, Any]) -> str:
    """Returns the step before which the label has stopped a configure workflow, from ``status.troth.halted``."""
    return read_text(read_map(status.get("troth")).get("halted"))


def held_records(
    steps: Sequence[Step], recorded: Sequence[StepRecord], *, from_start: bool = False
) -> dict[str, StepRecord]:
    """Returns the records that stay, by name, even if their steps are not reached this time; see `plan_steps`.

    A step of templates before a step of containers may fail temporarily, which must not make the containers run again.
    """
    lasting = {step.name for step in steps if not step.repeatable}
    started = started_records(steps, recorded, from_start=from_start)
    return {name: record for name, record in started.items() if name in lasting}


def started_records(
    steps: Sequence[Step], recorded: Sequence[StepRecord], *, from_start: bool = False, retries: bool = False
) -> dict[str, StepRecord]:
    """Returns the records, by name, of steps that were started for the same specs, so that their attempts still count.

    A record of templates from a release that did not write hashes counts, too. See `plan_steps` for the arguments.
    """
    if from_start or _is_outdated(steps, recorded):
        return {}
    return {
        record.name: record
        for step, record in zip(steps, recorded, strict=True)
        if record.phase != "Pending"
        and (record.hash == step.hash or (step.repeatable and not record.hash))
        and not (retries and record.phase != "Succeeded")
    }


def workflow_hash(specs: Iterable[str]) -> str:
    """Returns the hash for which the steps of a workflow run, from the hashes of the specs (`spec_hash`).

    The Promise's hash comes first, then the request's. For a Promise's own workflow there is only the Promise's.
    """
    parts = list(specs)
    return parts[0] if len(parts) == 1 else _md5("-".join(parts).encode())


def spec_hash(spec: Any) -> str:
    """Returns the hash of a ``spec``, which does not depend on the order of its keys, as Kratix computes it."""
    return _md5(orjson.dumps(spec, option=orjson.OPT_SORT_KEYS, default=dict))


def _is_outdated(steps: Sequence[Step], recorded: Sequence[StepRecord]) -> bool:
    if [step.name for step in steps] != [record.name for record in recorded]:
        return True
    return any(
        not step.repeatable and record.phase != "Pending" and record.hash != step.hash
        for step, record in zip(steps, recorded, strict=True)
    )


def _read_phase(value: Any) -> PipelinePhase | None:
    phases: tuple[PipelinePhase, ...] = get_args(PipelinePhase)
    return next((phase for phase in phases if phase == value), None)


def _md5(content: bytes) -> str:
    return hashlib.md5(content, usedforsecurity=False).hexdigest()
