"""Sums up the outcomes of steps: the groups of files and the status of a workflow, and what ended it early.

Steps run in order and stop at the first that fails, is suspended or has not ended (kratix-compatibility.md#requests,
#suspending). The results of the steps before it count.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, Protocol

from troth.api import InvalidObject, merge_conditions
from troth.api.pipelines import Action, Move
from troth.engine.failure import Failure, Reason
from troth.engine.placement.work import GroupContent, build_groups
from troth.engine.rendering.render import Control, PackedFile, Rendered
from troth.engine.status.author import AuthorStatus, author_status, conditions_said
from troth.engine.status.facts import PipelineFacts, WorkflowFacts
from troth.engine.status.schema import misfit
from troth.engine.workflow.outcomes import Kept, Running, StepOutcome, Suspended
from troth.engine.workflow.progress import Progress, StepRecord, read_progress
from troth.engine.workflow.retries import NextRun, judge_retry

_NO_PROGRESS: Final = Progress()


@dataclass(frozen=True, slots=True)
class Output:
    """What one pipeline produced.

    ``kept``: whether it did not run, so that its former results stay. ``next_run``: when it runs again if it asked for
    that.
    """

    pipeline: str
    groups: tuple[GroupContent, ...]
    status: Mapping[str, Any]
    control: Control | None
    moved: tuple[Move, ...] = ()
    kept: bool = False
    next_run: NextRun | None = None

    @property
    def suspended(self) -> bool:
        """Whether the pipeline asked to suspend the workflow."""
        return is_suspended(self.control)


@dataclass(frozen=True, slots=True)
class WorkflowOutput:
    """What a workflow produced up to the first step that failed, is suspended or is still running."""

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
    """What one pipeline produced, as far as a report needs it."""

    @property
    def pipeline(self) -> str:
        """The name of the pipeline."""

    @property
    def control(self) -> Control | None:
        """What the pipeline asks of its workflow."""

    @property
    def next_run(self) -> NextRun | None:
        """When the pipeline runs again, if it asked for that."""


class Ran(Protocol):
    """A run of a workflow: all of its pipelines, and what they produced up to the first failure."""

    @property
    def pipelines(self) -> Sequence[str]:
        """The names of all pipelines, in order."""

    @property
    def outputs(self) -> Sequence[Produced]:
        """The outputs of the pipelines that ran."""

    @property
    def failure(self) -> Failure | None:
        """The failure that ended the run early, or None."""

    @property
    def author(self) -> AuthorStatus:
        """The status fields from the pipelines."""


def judge_outcomes(
    outcomes: Sequence[StepOutcome],
    *,
    selectors: Mapping[str, str],
    source: str,
    declared_status: Mapping[str, Any] | None = None,
    now: str,
    started: Mapping[str, StepRecord] | None = None,
) -> WorkflowOutput:
    """Sums up the outcomes of one workflow's steps.

    Args:
        outcomes: the outcomes of the steps, in order, up to the last that was reached.
        selectors: the Promise's destination selectors.
        source: the source of a pipeline's own rules: ``resource-workflow`` or ``promise-workflow``.
        declared_status: the schema that the API declares for the status; the API server would refuse values of another
            type.
        now: RFC 3339, for the time at which a step runs again that asked for it.
        started: the records of the steps whose attempts count (`started_records`); none by default.
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
            case Kept() | Suspended() | Rendered():
                judged = _judge(outcome, selectors, source, declared_status)
                if isinstance(judged, Output):
                    judged = _judge_retry(judged, (started or {}).get(judged.pipeline), now)
                if isinstance(judged, Failure):
                    failure = judged
                else:
                    outputs.append(judged)
        if failure or running or outputs[-1].suspended:
            break
    author = author_status([(output.pipeline, output.status) for output in outputs])
    return WorkflowOutput(tuple(outputs), failure, author, running)


def status_left(status: Mapping[str, Any], author: AuthorStatus, *, now: str) -> dict[str, Any]:
    """Returns an object's status as a later step of its workflow sees it, with the fields from the steps before it.

    Templates do not see it (docs/architecture.md). Containers find it in ``object.yaml``, as with Kratix, where each
    pipeline's status is written before the next one starts.

    Args:
        status: the status as the API server has it.
        author: the status fields from the steps that have ended.
        now: the time in RFC 3339, for conditions that change.
    """
    left = {**status, **author.fields}
    if author.conditions:
        left["conditions"] = merge_conditions(status.get("conditions"), conditions_said(author), now=now)
    return left


def _judge(
    outcome: Rendered | Suspended | Kept,
    selectors: Mapping[str, str],
    source: str,
    declared_status: Mapping[str, Any] | None,
) -> Output | Failure:
    """Returns what one step produced, or what is wrong with it."""
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
    if isinstance(outcome, Kept):
        return Output(outcome.pipeline, (), outcome.status, None, kept=True)
    if isinstance(outcome, Suspended):
        control = Control(True, outcome.message, outcome.retry_after, outcome.max_attempts)
        return Output(outcome.pipeline, (), outcome.status, control)
    return Output(outcome.pipeline, groups, outcome.status, outcome.control, outcome.moved)


def _judge_retry(output: Output, record: StepRecord | None, now: str) -> Output | Failure:
    control = output.control
    if control is None or control.retry_after is None:
        return output
    found = judge_retry(
        output.pipeline,
        control.retry_after,
        message=control.message,
        max_attempts=control.max_attempts,
        record=record,
        now=now,
    )
    return found if isinstance(found, Failure) else replace(output, next_run=found)


def _check_types(declared: Mapping[str, Any] | None, fields: Mapping[str, Any]) -> None:
    wrong = misfit(declared, fields)
    if wrong is not None:
        field, problem = wrong
        raise InvalidObject(field, f"{field} {problem}", "write a value of that type, or declare another one")


def is_suspended(control: Control | None) -> bool:
    """Whether a pipeline asked to stop here."""
    return control is not None and (control.suspend or control.retry_after is not None)


def workflow_facts(
    run: Ran,
    status: Mapping[str, Any],
    *,
    generation: int,
    progress: Progress = _NO_PROGRESS,
    action: Action = "configure",
) -> WorkflowFacts:
    """Returns the facts to report about a workflow's run.

    Args:
        run: the run of the workflow.
        status: the object's status, as the API server has it.
        generation: the object's generation.
        progress: what else is known about its steps.
        action: which workflow it is.
    """
    done = {output.pipeline: output for output in run.outputs}
    facts: list[PipelineFacts] = []
    for name in run.pipelines:
        output, running, held = done.get(name), progress.running, progress.held.get(name)
        attempts = progress.attempts.get(name, 0)
        if run.failure is not None and run.failure.pipeline == name:
            attempts = run.failure.attempts or attempts
            fact = PipelineFacts(name, "Failed", message=run.failure.sentence(), attempts=attempts)
        elif running is not None and running.pipeline == name:
            fact = PipelineFacts(name, "Running", message=running.message, attempts=attempts)
        elif output is not None and output.control is not None and is_suspended(output.control):
            planned = output.next_run or NextRun("", attempts)
            fact = PipelineFacts(
                name, "Suspended", message=output.control.message, retry_at=planned.at, attempts=planned.attempts
            )
        elif output is not None:
            fact = PipelineFacts(name, "Succeeded")
        elif held is not None:
            fact = PipelineFacts(
                name, held.phase, message=held.message, retry_at=held.retry_at, attempts=held.attempts
            )
        else:
            # It has not run, so it has no hash.
            facts.append(PipelineFacts(name, "Pending", run=progress.runs.get(name, 0)))
            continue
        facts.append(replace(fact, hash=progress.hash, run=progress.runs.get(name, 0)))
    failure = run.failure or (progress.running.failure if progress.running else None)
    recorded = {record.hash for record in read_progress(status, action)} - {"", progress.hash}
    edited = action == "configure" and status.get("observedGeneration") not in (None, generation)
    return WorkflowFacts(
        pipelines=tuple(facts),
        author=run.author,
        failure=failure.as_status() if failure else {},
        failure_message=run.failure.sentence() if run.failure else "",
        rerun=edited or bool(progress.hash and recorded),
    )


def _as_failure(reason: Reason, pipeline: str, error: InvalidObject) -> Failure:
    return Failure(reason, error.problem, pipeline=pipeline, file=error.field, hint=error.remedy)
