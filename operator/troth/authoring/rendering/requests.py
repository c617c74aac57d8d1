"""Shows, without an operator, what it would make of a request: the same functions are called in the same order.

These are admission (what the API server does to a request before anybody sees it), rendering, groups, scheduling,
layout in the store, and status. Everything that the operator decides is decided by the operator's functions; this
module only takes the place of the API server and the stores. What only they know is fixed: an object that was never
created gets a ``uid`` of zeros, the ``generation`` 1 and a ``creationTimestamp`` of 1970, and the status does not have
times or commits.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from troth.api import labels as names
from troth.api.objects import Promise, read_request
from troth.api.pipelines import JinjaPipeline
from troth.api.resources import PROMISE
from troth.authoring.home import Home, applied_spec, offer_of, refused
from troth.authoring.input_files import HomeError
from troth.authoring.rendering.destinations import Destinations
from troth.authoring.rendering.placement import Owner, Placement, place_works
from troth.engine.admission.admitting import Admission, Admitted
from troth.engine.admission.refusals import Refusal
from troth.engine.admission.serving import NOW, as_available, as_watched
from troth.engine.admission.unknown_fields import UnknownField, find_unknown
from troth.engine.failure import Failure
from troth.engine.jobs.declared import container_steps, describe_unknown
from troth.engine.jobs.runs import PipelineRun
from troth.engine.judgement import PipelineMemory, Renders, judge_request
from troth.engine.placement.layout import aggregate
from troth.engine.promises.offers import Offer
from troth.engine.rendering.components import Parent, find_components
from troth.engine.rendering.context import RenderContext
from troth.engine.rendering.render import Outcome
from troth.engine.status.author import AuthorStatus
from troth.engine.status.facts import (
    ComponentFacts,
    RequestFacts,
    WorkFacts,
)
from troth.engine.status.request import request_status
from troth.engine.workflow.outputs import Output, WorkflowOutput, workflow_facts
from troth.engine.workflow.progress import spec_hash, workflow_hash

_TIMES: Final = ("lastTransitionTime", "lastSuccessfulConfigureWorkflowTime", "nextRetryAt", "lastAvailableTime")


@dataclass(frozen=True, slots=True)
class Rendering:
    """What becomes of one request, or of a Promise itself.

    Attributes:
        request: the request (or Promise) as the API server would store it: with defaults, and without unknown fields.
        files: what the pipelines render, by path in their output. If there are several pipelines, the path begins
            with the name of the pipeline.
        placements: where the files go.
        waiting: the labels of groups for which there is not a Destination.
        status: what the request's status says when everything has been written, without times and commits.
        refusals: why the API server would refuse the request. In that case nothing was rendered.
        failure: why a pipeline did not render anything.
        unchecked: rules of the schema that could not be evaluated here.
        dropped: fields of the request that the API does not have. The API server drops them, and ``kubectl apply``
            refuses the request because of them. A request that is refused may have them, too.
        lines: the lines of the fields in the request's file, where somebody needs them.
        complaint: the failure in one sentence, with the author's file and line.
        own: the files that Destinations have in their stores for themselves, by Destination and path.
        withheld: what is not written because a store refuses Secrets in plain text.
        exposed: the Secrets that would be written in plain text to a store that warns about them.
        runs: the pipelines of containers, each as the operator would run it. They were not run, so the files, the
            status and the destinations that they write are not known.
    """

    request: Mapping[str, Any]
    files: Mapping[str, bytes] = field(default_factory=dict)
    placements: tuple[Placement, ...] = ()
    waiting: tuple[Mapping[str, str], ...] = ()
    status: Mapping[str, Any] = field(default_factory=dict)
    refusals: tuple[Refusal, ...] = ()
    failure: Failure | None = None
    unchecked: tuple[str, ...] = ()
    dropped: tuple[UnknownField, ...] = ()
    lines: Mapping[str, int] = field(default_factory=dict)
    complaint: str = ""
    own: Mapping[str, Mapping[str, bytes]] = field(default_factory=dict)
    withheld: tuple[str, ...] = ()
    exposed: tuple[str, ...] = ()
    runs: tuple[PipelineRun, ...] = ()

    @property
    def unknown(self) -> str:
        """What is not known because containers were not run, in a sentence without a full stop; empty if all is."""
        return describe_unknown([run.pipeline.name for run in self.runs]) if self.runs else ""

    @property
    def name(self) -> str:
        """``namespace/name`` of a request, or the name of a Promise."""
        metadata = self.request.get("metadata") or {}
        if (self.request.get("apiVersion"), self.request.get("kind")) == (PROMISE.api_version, PROMISE.kind):
            return str(metadata.get("name", ""))
        return f"{metadata.get('namespace') or 'default'}/{metadata.get('name', '')}"

    def line_of(self, path: str) -> int | None:
        """The line of a field in the request's file, or that of the next field around it; None if it is not known."""
        while path and path not in self.lines:
            path = path[: max(path.rfind("."), path.rfind("["), 0)]
        return self.lines.get(path)

    @property
    def placed(self) -> Mapping[str, Mapping[str, bytes]]:
        """The contents of all files, by Destination and path in its store."""
        return collect([self])[0]


class Requests:
    """Renders the requests of one Promise, which is read and compiled once.

    Args:
        home: the Promise.
        destinations: where files may go; None for one Destination that matches everything.
        offer: the result of `offer_of` for the Promise, if the caller has it already.

    Raises:
        HomeError: the Promise cannot be used, or does not have an API.
    """

    def __init__(
        self,
        home: Home,
        *,
        destinations: Destinations | None,
        offer: tuple[Promise, Offer] | None = None,
    ) -> None:
        self.home = home
        self.promise, self.offer = offer or offer_of(home)
        self.destinations = destinations
        definition, resource = self.offer.definition, self.offer.resource
        if definition is None or resource is None:
            raise HomeError(home.file, "offers no API", "only a Promise with spec.api has requests")
        self._definition, self._resource = definition, resource
        self._admission = _admission(definition)
        self._available, self._pipelines = as_available(self.promise), PipelineMemory(runs_containers=True)
        steps = container_steps(self.promise.raw)
        self._steps = [step for step in steps if (step.type, step.action) == ("resource", "configure")]
        self._hash = spec_hash(applied_spec(home, self.offer)) if self._steps else ""

    def render_with(
        self,
        render: Callable[[Sequence[JinjaPipeline], RenderContext], Sequence[Outcome]],
        request: Mapping[str, Any],
        old: Mapping[str, Any] | None = None,
    ) -> Rendering:
        """What the operator would make of one request.

        Args:
            render: renders the templates.
            request: the request, as a person would apply it.
            old: the request that exists already, as an earlier `Rendering` has it. The API server then validates the
                change from one to the other.
        """
        admitted = self._admit(request, old)
        if admitted.refusals:
            return admitted
        view = read_request(admitted.request)
        found = judge_request(self._available, view, api_version=self._resource.version, read=self._pipelines.read)
        if not isinstance(found, Renders):
            raise HomeError(self.home.file, found.why)
        return self._judge(admitted, found, render(found.templates, found.bound.context(view)))

    def _judge(self, admitted: Rendering, found: Renders, outcomes: Sequence[Outcome]) -> Rendering:
        served = admitted.request
        output = found.judge(outcomes)
        name, namespace = served["metadata"]["name"], served["metadata"]["namespace"]
        owner = Owner(
            self.promise,
            self.promise.spec.pipeline_namespace or namespace,
            names.WORK_TYPE_RESOURCE,
            name=name,
            namespace=namespace,
        )
        placed = place_works(
            ((owner, made.pipeline, made.groups) for made in output.outputs if not made.suspended),
            self.destinations,
        )
        failure = placed.failure or output.failure
        return Rendering(
            request=served,
            files=self._files(output),
            placements=placed.placements,
            waiting=placed.waiting,
            withheld=placed.withheld,
            exposed=placed.exposed,
            status=self._status(found, output, placed.works, served),
            failure=failure,
            unchecked=admitted.unchecked,
            dropped=admitted.dropped,
            complaint=str(refused(self.home, failure)) if failure else "",
            runs=tuple(self._runs(served)),
        )

    def _runs(self, request: Mapping[str, Any]) -> Iterator[PipelineRun]:
        """The pipelines of containers as the operator would run them for a request."""
        for step in self._steps:
            yield step.run_for(
                self._resource,
                request,
                self.promise,
                namespace=request["metadata"]["namespace"],
                specs=workflow_hash((self._hash, spec_hash(request.get("spec")))),
            )

    def _admit(self, request: Mapping[str, Any], old: Mapping[str, Any] | None = None) -> Rendering:
        resource, spec = self._resource, self._definition["spec"]
        served = [version["name"] for version in spec["versions"] if version.get("served")]
        group, _, version = str(request.get("apiVersion", "")).rpartition("/")
        if (group, request.get("kind")) != (spec["group"], spec["names"]["kind"]) or version not in served:
            known = ", ".join(f"{spec['group']}/{name}" for name in served)
            problem = f"{request.get('apiVersion')} {request.get('kind')} is not what the Promise offers"
            return Rendering(
                request, refusals=(Refusal("apiVersion", f"{problem}; that is {resource.kind} of {known}"),)
            )
        metadata = request.get("metadata")
        name = metadata.get("name") if isinstance(metadata, dict) else None
        if isinstance(name, (bool, int, float)):
            problem = f"Invalid value: {json.dumps(name)}: must be a string; put it in quotes"
            return Rendering(request, refusals=(Refusal("metadata.name", problem),))
        if not isinstance(name, str) or not name:
            return Rendering(request, refusals=(Refusal("metadata.name", "is missing"),))
        admitted = self._admission(_with_namespace(request), old)
        schema = next(one for one in spec["versions"] if one["name"] == version)["schema"]["openAPIV3Schema"]
        dropped = find_unknown(request, schema, None if admitted.refusals else admitted.request)
        if version != resource.version and not admitted.refusals:
            # It is stored in the storage version, and read in the version that the operator watches.
            admitted = self._admission({**admitted.request, "apiVersion": resource.api_version}, old)
        if admitted.refusals:
            return Rendering(request, refusals=admitted.refusals, dropped=dropped)
        return Rendering(
            as_watched(admitted.request, self.promise.name), unchecked=admitted.unchecked, dropped=dropped
        )

    def _files(self, output: WorkflowOutput) -> dict[str, bytes]:
        several = len(self.offer.resource_configure) > 1
        return {
            f"{produced.pipeline}/{path}" if several else path: content
            for produced in output.outputs
            for group in produced.groups
            for path, content in group.contents().items()
        }

    def _status(
        self, found: Renders, output: WorkflowOutput, works: Sequence[WorkFacts], request: Mapping[str, Any]
    ) -> dict[str, Any]:
        run = WorkflowRun(
            tuple(pipeline.name for pipeline in found.pipelines),
            output.outputs,
            output.failure,
            output.author,
        )
        facts = RequestFacts(
            generation=1,
            promise_version=found.bound.version,
            workflow=workflow_facts(run, {}, generation=1),
            works=tuple(works),
            components=self._components(output, request),
        )
        status: dict[str, Any] = timeless(request_status({}, facts, now=NOW))
        return status

    def _components(self, output: WorkflowOutput, request: Mapping[str, Any]) -> tuple[ComponentFacts, ...]:
        """The requests of other Promises among the files, as if they were Ready."""
        metadata = request["metadata"]
        files = (
            file
            for produced in output.outputs
            if not produced.suspended
            for group in produced.groups
            for file in group.contents().items()
        )
        parent = Parent(self.promise.name, metadata["namespace"], metadata["name"])
        return tuple(
            ComponentFacts(found.api_version, found.kind, found.name, found.namespace, state="Ready")
            for found in find_components(files, parent)
        )


def collect(renderings: Sequence[Rendering]) -> tuple[dict[str, dict[str, bytes]], list[str]]:
    """What all renderings together leave in the stores, by Destination and path; and a sentence for each conflict."""
    found: dict[str, dict[str, bytes]] = {}
    owners: dict[tuple[str, str], str] = {}
    quarrels: list[str] = []
    shared: dict[tuple[str, str], dict[tuple[str, str], Mapping[str, bytes]]] = {}
    for rendering in renderings:
        for destination, files in rendering.own.items():
            found.setdefault(destination, {}).update(files)
        for placement in rendering.placements:
            if placement.layout.aggregate is not None:
                parts = shared.setdefault((placement.destination, placement.layout.aggregate), {})
                parts[placement.key] = placement.contents
                continue
            for path, content in placement.files.items():
                owner = owners.setdefault((placement.destination, path), rendering.name)
                if owner != rendering.name:
                    quarrels.append(f"{owner} and {rendering.name} both write {path} to {placement.destination}")
                    continue
                found.setdefault(placement.destination, {})[path] = content
    for (destination, path), contents in shared.items():
        found.setdefault(destination, {})[path] = aggregate(contents) or b""
    return {name: dict(sorted(files.items())) for name, files in sorted(found.items())}, quarrels


@dataclass(frozen=True, slots=True)
class WorkflowRun:
    """A workflow that has run, in the form that `workflow_facts` takes."""

    pipelines: tuple[str, ...]
    outputs: tuple[Output, ...]
    failure: Failure | None
    author: AuthorStatus


def _admission(
    definition: Mapping[str, Any],
) -> Callable[[Mapping[str, Any], Mapping[str, Any] | None], Rendering]:
    """A function that does what the API server does with requests of an API. The schema is compiled once."""
    admission = Admission(definition)

    def admit(obj: Mapping[str, Any], old: Mapping[str, Any] | None) -> Rendering:
        answer = admission.admit(obj, old)
        if isinstance(answer, Admitted):
            return Rendering(answer.object, unchecked=tuple(str(rule) for rule in answer.unchecked))
        return Rendering(obj, refusals=answer)

    return admit


def _with_namespace(request: Mapping[str, Any]) -> dict[str, Any]:
    metadata = request["metadata"]
    return {**request, "metadata": {**metadata, "namespace": metadata.get("namespace") or "default"}}


def timeless(value: Any) -> Any:
    """A status without times, and without values that are None."""
    if isinstance(value, Mapping):
        return {
            key: timeless(child)
            for key, child in value.items()
            if child is not None and key not in _TIMES and not (key == "version" and child == "")
        }
    if isinstance(value, (list, tuple)):
        return [timeless(child) for child in value]
    return value
