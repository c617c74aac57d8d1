"""From the outcomes of steps to what a workflow produced: groups of files, a status, or what ended it early.

Steps run in order and stop at the first that fails, is suspended or has not ended (kratix-compatibility.md#requests,
#suspending). What came before it counts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, Protocol

from troth.api import Condition, InvalidObject, merge_conditions
from troth.api.pipelines import Move
from troth.engine.failure import Failure, Reason
from troth.engine.placement.work import GroupContent, build_groups
from troth.engine.rendering.render import Control, PackedFile, Rendered
from troth.engine.status import AuthorStatus, PipelineFacts, WorkflowFacts, author_status, next_retry
from troth.engine.status.request import condition_status
from troth.engine.status.schema import misfit
from troth.engine.workflow.outcomes import Kept, Running, StepOutcome, Suspended
from troth.engine.workflow.progress import Progress

_NO_PROGRESS: Final = Progress()


@dataclass(frozen=True, slots=True)
class Output:
    """What one pipeline produced; ``kept``: it did not run, and what it produced before stands."""

    pipeline: str
    groups: tuple[GroupContent, ...]
    status: Mapping[str, Any]
    control: Control | None
    moved: tuple[Move, ...] = ()
    kept: bool = False

    @property
    def suspended(self) -> bool:
        """Whether the pipeline asked to stop here."""
        return is_suspended(self.control)


@dataclass(frozen=True, slots=True)
class WorkflowOutput:
    """What a workflow produced, up to the first step that failed, is suspended or is still running."""

    outputs: tuple[Output, ...]
    failure: Failure | None
    author: AuthorStatus
    running: Running | None = None

    @property
    def stopped(self) -> bool:
        """Whether no further step may run for now."""
        last = self.outputs[-1] if self.outputs else None
        return self.failure is not None or self.running is not None or (last is not None and last.suspended)


class Produced(Protocol):
    """What one pipeline produced, as far as the report of a run needs it."""

    @property
    def pipeline(self) -> str:
        """Its name."""

    @property
    def control(self) -> Control | None:
        """What it wants of its workflow."""


class Ran(Protocol):
    """A run of a workflow: all its pipelines, and what they produced up to the first failure."""

    @property
    def pipelines(self) -> Sequence[str]:
        """The names of all of them, in order."""

    @property
    def outputs(self) -> Sequence[Produced]:
        """Of those that ran."""

    @property
    def failure(self) -> Failure | None:
        """What ended it early."""

    @property
    def author(self) -> AuthorStatus:
        """What they say in status."""


def judge_outcomes(
    outcomes: Sequence[StepOutcome],
    *,
    selectors: Mapping[str, str],
    source: str,
    declared_status: Mapping[str, Any] | None = None,
) -> WorkflowOutput:
    """Sums up what became of the steps of one workflow.

    Args:
        outcomes: of each step, in order, as far as they came.
        selectors: the Promise's destination selectors.
        source: who speaks through a pipeline's own rules: ``resource-workflow`` or ``promise-workflow``.
        declared_status: what the API says of the status: what has another type, the API server would refuse.
    """
    outputs: list[Output] = []
    failure: Failure | None = None
    running: Running | None = None
    for outcome in outcomes:
        match outcome:
            case Failure():
                failure = outcome
            case Running():
                running = outcome
            case Kept(pipeline):
                outputs.append(Output(pipeline, (), {}, None, kept=True))
            case Suspended() | Rendered():
                judged = _judge(outcome, selectors, source, declared_status)
                if isinstance(judged, Failure):
                    failure = judged
                else:
                    outputs.append(judged)
        if failure or running or outputs[-1].suspended:
            break
    author = author_status([(output.pipeline, output.status) for output in outputs])
    return WorkflowOutput(tuple(outputs), failure, author, running)


def status_left(status: Mapping[str, Any], author: AuthorStatus, *, now: str) -> dict[str, Any]:
    """An object's status as a later step of its workflow finds it: with what the steps before it say.

    Templates do not see it (docs/architecture.md). Containers find it in ``object.yaml``, as under Kratix, where each
    pipeline's status is written before the next one starts.

    Args:
        status: as the API server has it.
        author: what the steps that have ended say.
        now: RFC 3339, for conditions that change.
    """
    left = {**status, **author.fields}
    if author.conditions:
        conditions = [
            Condition(item["type"], condition_status(item["status"]), item["reason"], item["message"])
            for item in author.conditions
        ]
        left["conditions"] = merge_conditions(status.get("conditions"), conditions, now=now)
    return left


def _judge(
    outcome: Rendered | Suspended,
    selectors: Mapping[str, str],
    source: str,
    declared_status: Mapping[str, Any] | None,
) -> Output | Failure:
    """What one step produced, or what is wrong with it."""
    groups: tuple[GroupContent, ...] = ()
    if isinstance(outcome, Rendered):
        try:
            files = {
                file.path: file.packed if isinstance(file, PackedFile) else file.content for file in outcome.files
            }
            groups = build_groups(files, outcome.destinations, selectors, source)
        except InvalidObject as error:
            return _as_failure("InvalidDestinations", outcome.pipeline, error)
    try:
        said = author_status([(outcome.pipeline, outcome.status)])
        _check_types(declared_status, said.fields)
    except InvalidObject as error:
        return _as_failure("InvalidStatus", outcome.pipeline, error)
    if isinstance(outcome, Suspended):
        control = Control(True, outcome.message, outcome.retry_after)
        return Output(outcome.pipeline, (), outcome.status, control)
    return Output(outcome.pipeline, groups, outcome.status, outcome.control, outcome.moved)


def _check_types(declared: Mapping[str, Any] | None, fields: Mapping[str, Any]) -> None:
    wrong = misfit(declared, fields)
    if wrong is not None:
        field, problem = wrong
        raise InvalidObject(field, f"{field} {problem}", "write a value of that type, or declare another one")


def is_suspended(control: Control | None) -> bool:
    """Whether a pipeline asked to stop here."""
    return control is not None and (control.suspend or control.retry_after is not None)


def workflow_facts(
    run: Ran, status: Mapping[str, Any], *, generation: int, now: str, progress: Progress = _NO_PROGRESS
) -> WorkflowFacts:
    """What is reported of a workflow's run.

    Args:
        run: what its steps produced.
        status: of the object, as the API server has it.
        generation: of the object.
        now: RFC 3339.
        progress: what else is known of its steps.
    """
    done = {output.pipeline: output for output in run.outputs}
    facts: list[PipelineFacts] = []
    for name in run.pipelines:
        output, running, held = done.get(name), progress.running, progress.held.get(name)
        if run.failure is not None and run.failure.pipeline == name:
            fact = PipelineFacts(name, "Failed", message=run.failure.sentence())
        elif running is not None and running.pipeline == name:
            fact = PipelineFacts(name, "Running", message=running.message)
        elif output is not None and output.control is not None and is_suspended(output.control):
            retry_at, attempts = "", 0
            if output.control.retry_after is not None:
                retry_at, attempts = next_retry(
                    status, pipeline=name, retry_after=output.control.retry_after, generation=generation, now=now
                )
            fact = PipelineFacts(
                name, "Suspended", message=output.control.message, retry_at=retry_at, attempts=attempts
            )
        elif output is not None:
            fact = PipelineFacts(name, "Succeeded")
        elif held is not None:
            fact = PipelineFacts(name, held.phase, message=held.message)
        else:
            facts.append(PipelineFacts(name, "Pending"))  # of what it has not run for, there is no hash
            continue
        facts.append(replace(fact, hash=progress.hash))
    return WorkflowFacts(
        pipelines=tuple(facts),
        author=run.author,
        failure=run.failure.as_status() if run.failure else {},
        failure_message=run.failure.sentence() if run.failure else "",
    )


def _as_failure(reason: Reason, pipeline: str, error: InvalidObject) -> Failure:
    return Failure(reason, error.problem, pipeline=pipeline, file=error.field, hint=error.remedy)
