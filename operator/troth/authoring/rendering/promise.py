"""Shows what becomes of a Promise itself when it is applied: its dependencies, its own workflow, and where both go.

The steps are the operator's, as for requests (`requests`). What only a cluster knows is assumed: the Promises that it
requires exist, and its API is served.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from troth.api import labels as names
from troth.api.objects import Promise
from troth.api.pipelines import JinjaPipeline
from troth.api.resources import PROMISE
from troth.authoring.home import Home, applied_spec, offer_of, refused
from troth.authoring.rendering.destinations import Destinations
from troth.authoring.rendering.placement import Owner, place_works
from troth.authoring.rendering.requests import Rendering, WorkflowRun, timeless
from troth.engine.admission.serving import NOW
from troth.engine.jobs.declared import ContainerStep, container_steps
from troth.engine.jobs.runs import PipelineRun
from troth.engine.placement.work import GroupContent, build_groups
from troth.engine.promises.offers import Offer
from troth.engine.rendering.context import RenderContext, render_context
from troth.engine.rendering.render import Outcome
from troth.engine.status.facts import INSTALLED, PromiseFacts, RequirementFacts, WorkFacts
from troth.engine.status.promise import promise_status
from troth.engine.workflow.outputs import WorkflowOutput, judge_outcomes, workflow_facts
from troth.engine.workflow.progress import spec_hash, workflow_hash
from troth.engine.yaml.emit import dump_documents

_SOURCE = "promise-workflow"


@dataclass(frozen=True, slots=True)
class _Piece:
    """The content of one Work of the Promise."""

    work_type: str
    pipeline: str
    groups: tuple[GroupContent, ...]


def render_promise(
    home: Home,
    offered: tuple[Promise, Offer] | None = None,
    *,
    destinations: Destinations | None,
    render: Callable[[Sequence[JinjaPipeline], RenderContext], Sequence[Outcome]],
    system_namespace: str = names.SYSTEM_NAMESPACE,
) -> Rendering:
    """What becomes of a Promise: the files of its dependencies and of its own workflow, and its status.

    Args:
        home: the Promise.
        offered: the result of `offer_of` for it, if the caller has it already.
        destinations: where its files may go; None for one Destination that matches everything.
        render: renders templates.
        system_namespace: the namespace in which the operator keeps the Works of Promises.

    Raises:
        HomeError: the operator would refuse it.
    """
    promise, offer = offered or offer_of(home)
    selectors = promise.spec.destination_selectors
    pipelines = offer.promise_configure
    output = judge_outcomes(
        render(pipelines, render_context(promise, None)) if pipelines else (),
        selectors=selectors,
        source=_SOURCE,
        now=NOW,
    )
    pieces = [_Piece(names.WORK_TYPE_STATIC_DEPENDENCY, "", _dependencies(promise))]
    pieces += [
        _Piece(names.WORK_TYPE_PROMISE, produced.pipeline, produced.groups)
        for produced in output.outputs
        if not produced.suspended
    ]
    workflow_namespace = promise.spec.pipeline_namespace or system_namespace
    placed = place_works(
        (
            (
                # Dependencies do not come from a pipeline, so they are kept in the operator's namespace.
                Owner(promise, workflow_namespace if piece.pipeline else system_namespace, piece.work_type),
                piece.pipeline,
                piece.groups,
            )
            for piece in pieces
            if piece.groups or piece.pipeline
        ),
        destinations,
    )
    failure = placed.failure or output.failure
    return Rendering(
        request=promise.raw,
        files={
            path if len(pieces) == 1 else f"{piece.pipeline or 'dependencies'}/{path}": content
            for piece in pieces
            for group in piece.groups
            for path, content in group.contents().items()
        },
        placements=placed.placements,
        waiting=placed.waiting,
        withheld=placed.withheld,
        exposed=placed.exposed,
        status=timeless(promise_status({}, _facts(promise, offer, output, placed.works), now=NOW)),
        failure=failure,
        complaint=str(refused(home, failure)) if failure else "",
        runs=tuple(_runs(home, promise, offer, system_namespace)),
    )


def _runs(home: Home, promise: Promise, offer: Offer, system_namespace: str) -> Iterator[PipelineRun]:
    """The pipelines of containers as the operator would run them for the Promise itself."""
    for step in _own_steps(promise):
        specs = workflow_hash((spec_hash(applied_spec(home, offer)),))
        yield step.run_for(PROMISE, promise.raw, promise, namespace=system_namespace, specs=specs)


def _own_steps(promise: Promise) -> list[ContainerStep]:
    steps = container_steps(promise.raw)
    return [step for step in steps if (step.type, step.action) == ("promise", "configure")]


def _dependencies(promise: Promise) -> tuple[GroupContent, ...]:
    if not promise.spec.dependencies:
        return ()
    content = dump_documents(list(promise.spec.dependencies)).encode()
    files = {f"static/{promise.name}-dependencies.yaml": content}
    return build_groups(files, (), promise.spec.destination_selectors, _SOURCE)


def _facts(promise: Promise, offer: Offer, output: WorkflowOutput, works: Sequence[WorkFacts]) -> PromiseFacts:
    written = promise.spec.promise_workflows.configure
    run = WorkflowRun(
        tuple(str(pipeline["metadata"]["name"]) for pipeline in written),
        output.outputs,
        output.failure,
        output.author,
    )
    return PromiseFacts(
        generation=1,
        version=promise.version,
        kind=offer.resource.kind if offer.resource else "",
        api_version=offer.resource.api_version if offer.resource else "",
        api_established=True,
        requirements=tuple(
            RequirementFacts(requirement.name, requirement.version, INSTALLED)
            for requirement in promise.spec.required_promises
        ),
        workflow=workflow_facts(run, {}, generation=1),
        works=tuple(works),
    )
