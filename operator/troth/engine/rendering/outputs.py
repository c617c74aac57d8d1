"""From what pipelines rendered to what a workflow produced: groups of files, a status, or the failure that ended it.

Pipelines run in order and stop at the first failure or suspension (kratix-compatibility.md#requests, #suspending).
What came before it counts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from troth.api import InvalidObject
from troth.api.pipelines import Move
from troth.engine.failure import Failure, Reason
from troth.engine.placement.work import GroupContent, build_groups
from troth.engine.rendering.render import Control, Outcome, PackedFile
from troth.engine.status import AuthorStatus, PipelineFacts, WorkflowFacts, author_status, next_retry
from troth.engine.status.schema import misfit


@dataclass(frozen=True, slots=True)
class Output:
    """What one pipeline produced."""

    pipeline: str
    groups: tuple[GroupContent, ...]
    status: Mapping[str, Any]
    control: Control | None
    moved: tuple[Move, ...] = ()

    @property
    def suspended(self) -> bool:
        """Whether the pipeline asked to stop here."""
        return is_suspended(self.control)


@dataclass(frozen=True, slots=True)
class WorkflowOutput:
    """What a workflow produced, up to its first failure or suspension."""

    outputs: tuple[Output, ...]
    failure: Failure | None
    author: AuthorStatus


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
    outcomes: Sequence[Outcome],
    *,
    selectors: Mapping[str, str],
    source: str,
    declared_status: Mapping[str, Any] | None = None,
) -> WorkflowOutput:
    """Sums up what the pipelines of one workflow rendered.

    Args:
        outcomes: of each pipeline, in order.
        selectors: the Promise's destination selectors.
        source: who speaks through a pipeline's own rules: ``resource-workflow`` or ``promise-workflow``.
        declared_status: what the API says of the status: what has another type, the API server would refuse.
    """
    outputs: list[Output] = []
    failure: Failure | None = None
    for outcome in outcomes:
        if isinstance(outcome, Failure):
            failure = outcome
            break
        try:
            files = {
                file.path: file.packed if isinstance(file, PackedFile) else file.content for file in outcome.files
            }
            groups = build_groups(files, outcome.destinations, selectors, source)
        except InvalidObject as error:
            failure = _as_failure("InvalidDestinations", outcome.pipeline, error)
            break
        try:
            said = author_status([(outcome.pipeline, outcome.status)])
            _check_types(declared_status, said.fields)
        except InvalidObject as error:
            failure = _as_failure("InvalidStatus", outcome.pipeline, error)
            break
        outputs.append(Output(outcome.pipeline, groups, outcome.status, outcome.control, outcome.moved))
        if outputs[-1].suspended:
            break
    author = author_status([(output.pipeline, output.status) for output in outputs])
    return WorkflowOutput(tuple(outputs), failure, author)


def _check_types(declared: Mapping[str, Any] | None, fields: Mapping[str, Any]) -> None:
    wrong = misfit(declared, fields)
    if wrong is not None:
        field, problem = wrong
        raise InvalidObject(field, f"{field} {problem}", "write a value of that type, or declare another one")


def is_suspended(control: Control | None) -> bool:
    """Whether a pipeline asked to stop here."""
    return control is not None and (control.suspend or control.retry_after is not None)


def workflow_facts(run: Ran, status: Mapping[str, Any], *, generation: int, now: str) -> WorkflowFacts:
    """What is reported of a workflow's run."""
    done = {output.pipeline: output for output in run.outputs}
    facts: list[PipelineFacts] = []
    stopped = False
    for name in run.pipelines:
        output = done.get(name)
        if run.failure is not None and run.failure.pipeline == name:
            facts.append(PipelineFacts(name, "Failed", message=run.failure.sentence()))
            stopped = True
        elif stopped or output is None:
            facts.append(PipelineFacts(name, "Pending"))
        elif output.control is not None and is_suspended(output.control):
            retry_at, attempts = "", 0
            if output.control.retry_after is not None:
                retry_at, attempts = next_retry(
                    status, pipeline=name, retry_after=output.control.retry_after, generation=generation, now=now
                )
            facts.append(
                PipelineFacts(
                    name, "Suspended", message=output.control.message, retry_at=retry_at, attempts=attempts
                )
            )
            stopped = True
        else:
            facts.append(PipelineFacts(name, "Succeeded"))
    return WorkflowFacts(
        pipelines=tuple(facts),
        author=run.author,
        failure=run.failure.as_status() if run.failure else {},
        failure_message=run.failure.sentence() if run.failure else "",
    )


def _as_failure(reason: Reason, pipeline: str, error: InvalidObject) -> Failure:
    return Failure(reason, error.problem, pipeline=pipeline, file=error.field, hint=error.remedy)
