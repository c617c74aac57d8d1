"""Runs the steps of a workflow, each by the runner of its kind.

The order, what ends a workflow early and which step has already run are decided for all kinds alike
(`troth.engine.workflow`). A runner knows one kind only. It is given consecutive steps of its kind together, since
rendering ten pipelines in one visit to a worker costs as much as rendering one. It returns the outcomes of as many of
them as it can, and is called again for the rest.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby, takewhile
from typing import Any, ClassVar, Final, Protocol, TypeVar

from troth.api import Key, Resource
from troth.api import labels as names
from troth.api.objects import Promise
from troth.api.pipelines import Action, JinjaPipeline, Pipeline
from troth.api.resources import PROMISE
from troth.controllers.job_views import workflow_type
from troth.controllers.platform import Platform
from troth.controllers.turn_waiting import Attendant, render_in_turn
from troth.engine.jobs.runs import WorkflowType
from troth.engine.rendering.render import RenderContext
from troth.engine.workflow.outcomes import StepOutcome, Suspended
from troth.engine.workflow.outputs import WorkflowOutput, judge_outcomes, status_left
from troth.engine.workflow.progress import (
    Progress,
    Step,
    StepAction,
    StepRecord,
    held_records,
    plan_steps,
    read_halted,
    read_progress,
    started_records,
)

_HALTED: Final = f"Suspended before this pipeline by the label {names.WORKFLOW_SUSPENDED}; take it off to go on"

PipelineT = TypeVar("PipelineT", contravariant=True)


@dataclass(frozen=True, slots=True)
class Subject:
    """The object for which a workflow of containers runs: a request, or a Promise itself.

    Attributes:
        resource: its kind.
        uid: of the object.
        promise: the name of the Promise.
        version: the version of that Promise.
        namespace: where the Jobs run and the Works are.
        separate: whether that is the namespace that the Promise names for its pipelines (``pipelineNamespace``).
        labels: of the object.
        annotations: of the object.
    """

    resource: Resource
    uid: str
    promise: str
    version: str
    namespace: str
    separate: bool = False
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)

    @property
    def type(self) -> WorkflowType:
        """Kratix's type of the workflow."""
        return workflow_type(self.resource.name)


def promise_subject(promise: Promise, namespace: str) -> Subject:
    """Returns a Promise as the object for which its own workflows run; ``namespace`` is that of its Works."""
    meta = promise.metadata
    return Subject(
        resource=PROMISE,
        uid=meta.uid,
        promise=promise.name,
        version=promise.version,
        namespace=namespace,
        separate=bool(promise.spec.pipeline_namespace),
        labels=meta.labels,
        annotations=meta.annotations,
    )


@dataclass(frozen=True, slots=True)
class Workflow:
    """One workflow of one object, with everything that its steps may need.

    Attributes:
        key: the key of the object, which is a request or a Promise.
        pipelines: the steps, in their order.
        context: what templates may read.
        source: the source of the pipelines' own scheduling rules: ``resource-workflow`` or ``promise-workflow``.
        action: ``configure`` or ``delete``.
        status: the status of the object as the API server has it, with the record of its progress.
        hash: the hash of the specs that the steps run for; empty when nothing has to be recorded.
        revision: a value that changes whenever the pipelines or the selectors do.
        selectors: the Promise's destination selectors.
        declared_status: what the API declares about the status of its requests.
        attendant: is told when the workflow has to wait long for its turn.
        subject: what containers run for; None where there are only templates.
        suspended: whether the object has the label that suspends its workflow.
        from_start: whether somebody asked that all steps run again.
        retries: whether somebody asked that the step which has not succeeded runs again.
    """

    key: Key
    pipelines: tuple[Pipeline, ...]
    context: RenderContext
    source: str
    action: Action = "configure"
    status: Mapping[str, Any] = field(default_factory=dict)
    hash: str = ""
    revision: str = ""
    selectors: Mapping[str, str] = field(default_factory=dict)
    declared_status: Mapping[str, Any] | None = None
    attendant: Attendant | None = None
    subject: Subject | None = None
    suspended: bool = False
    from_start: bool = False
    retries: bool = False

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the steps."""
        return tuple(pipeline.name for pipeline in self.pipelines)


@dataclass(frozen=True, slots=True)
class Visit:
    """What a runner is given besides its steps.

    Attributes:
        workflow: the workflow of the steps.
        actions: what to do with each step of the workflow, by name.
        status: the status of the object as the earlier steps left it.
    """

    workflow: Workflow
    actions: Mapping[str, StepAction]
    status: Mapping[str, Any]


class StepRunner(Protocol[PipelineT]):
    """Runs the steps of one kind of pipeline."""

    @property
    def repeatable(self) -> bool:
        """Whether a step ends within one reconcile and does not have any effect but its output (`Step.repeatable`)."""

    async def run(self, steps: Sequence[PipelineT], visit: Visit) -> Sequence[StepOutcome]:
        """Runs steps, or continues them, and returns their outcomes in order.

        It returns the outcome of at least one step, and of none after a step that did not end. It may return fewer
        outcomes than there are steps.

        Raises:
            Overtaken: the object changed while it waited for its turn.
        """

    async def leave(self, workflow: Workflow) -> None:
        """Stops what still runs for a workflow that has no step of this kind any more."""


Runners = Mapping[type[Pipeline], StepRunner[Any]]
"""The runner of each kind of pipeline."""


class JinjaRunner:
    """Runs pipelines of templates: all of them at once, in a worker."""

    repeatable: ClassVar[bool] = True

    def __init__(self, platform: Platform) -> None:
        self._platform = platform

    async def run(self, steps: Sequence[JinjaPipeline], visit: Visit) -> Sequence[StepOutcome]:
        """The outcomes of the pipelines, up to the first that failed or is suspended."""
        workflow = visit.workflow
        return await render_in_turn(self._platform, workflow.key, steps, workflow.context, workflow.attendant)

    async def leave(self, workflow: Workflow) -> None:
        """Does nothing: nothing runs between two reconciliations."""


async def leave_former_kinds(workflow: Workflow, runners: Runners) -> None:
    """Stops what still runs of kinds of which a workflow has no step any more."""
    kinds = {type(pipeline) for pipeline in workflow.pipelines}
    for kind, runner in runners.items():
        if kind not in kinds:
            await runner.leave(workflow)


async def run_steps(workflow: Workflow, runners: Runners, *, now: str) -> tuple[WorkflowOutput, Progress]:
    """Runs the steps of a workflow as far as possible. Returns what they produced, and how far they are.

    Raises:
        Overtaken: the object changed while it waited for its turn.
    """
    steps = [
        Step(pipeline.name, workflow.hash, runners[type(pipeline)].repeatable) for pipeline in workflow.pipelines
    ]
    recorded = read_progress(workflow.status, workflow.action)
    plan = plan_steps(
        steps,
        recorded,
        from_start=workflow.from_start,
        retries=workflow.retries,
        suspended=workflow.suspended,
        halted=read_halted(workflow.status),
    )
    actions = dict(zip(workflow.names, plan, strict=True))
    started = started_records(steps, recorded, from_start=workflow.from_start, retries=workflow.retries)
    outcomes: list[StepOutcome] = []
    output = _judge(workflow, outcomes, started, now)
    for kind, group in groupby(workflow.pipelines, key=type):
        rest = list(group)
        while rest and not output.stopped:
            next_ones = list(takewhile(lambda pipeline: actions[pipeline.name] != "halt", rest))
            found: Sequence[StepOutcome] = [Suspended(rest[0].name, _HALTED)]
            if next_ones:
                visit = Visit(workflow, actions, status_left(workflow.status, output.author, now=now))
                found = await runners[kind].run(next_ones, visit)
            outcomes += found
            output = _judge(workflow, outcomes, started, now)
            rest = rest[len(found) :]
    runs = {record.name: record.run for record in recorded if record.run}
    if output.running is not None and output.running.begins:
        runs[output.running.pipeline] = output.running.begins
    held = held_records(steps, recorded, from_start=workflow.from_start)
    last = output.outputs[-1] if output.outputs else None
    halted = last.pipeline if last and last.suspended and actions[last.pipeline] == "halt" else ""
    attempts = {name: record.attempts for name, record in started.items() if record.attempts}
    return output, Progress(workflow.hash, output.running, held, runs, halted, attempts)


def _judge(
    workflow: Workflow, outcomes: Sequence[StepOutcome], started: Mapping[str, StepRecord], now: str
) -> WorkflowOutput:
    return judge_outcomes(
        outcomes,
        selectors=workflow.selectors,
        source=workflow.source,
        declared_status=workflow.declared_status,
        now=now,
        started=started,
    )
