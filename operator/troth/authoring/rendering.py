"""What the operator would make of a request, without an operator: the same functions in the same order.

Admission (what the API server does to a request before anybody sees it), rendering, groups, scheduling, layout in the
store, status. Nothing is decided here that is decided in the operator; this only stands in for the API server and
the stores. What they alone know is fixed: an object that was never created gets ``uid`` of zeros, ``generation`` 1
and a ``creationTimestamp`` of 1970, and the status has neither times nor commits.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from troth.api import InvalidObject
from troth.api import labels as names
from troth.api.naming import short_group_id
from troth.api.objects import (
    Destination,
    ObjectMeta,
    Workload,
    WorkloadGroup,
    WorkPlacement,
    read_request,
)
from troth.api.pipelines import JinjaPipeline
from troth.authoring.bounded import BoundedWorker, Renderer
from troth.authoring.destinations import ANYWHERE, Destinations, anywhere, read_destinations
from troth.authoring.files import HomeError, read_objects, yaml_files
from troth.authoring.home import Home, as_served, load_home, offer_of, refused
from troth.engine.admission import Admission, Admitted
from troth.engine.admission_refusals import Refusal
from troth.engine.components import Parent, find_components
from troth.engine.context import RenderContext, render_context
from troth.engine.failure import Failure
from troth.engine.layout import Layout, aggregate, place
from troth.engine.outputs import Output, WorkflowOutput, judge_outcomes, workflow_facts
from troth.engine.render import Outcome
from troth.engine.scheduling import Target, effective_selector, schedule
from troth.engine.status import request_status
from troth.engine.status.facts import (
    AuthorStatus,
    ComponentFacts,
    PlacementFacts,
    RequestFacts,
    Waiting,
    WorkFacts,
)
from troth.engine.work import GroupContent, blob_id, placement_name, work_name

_NOW: Final = "1970-01-01T00:00:00Z"
_UID: Final = "00000000-0000-0000-0000-000000000000"
_TIMES: Final = ("lastTransitionTime", "lastSuccessfulConfigureWorkflowTime", "nextRetryAt")


@dataclass(frozen=True, slots=True)
class Placement:
    """The files of one workload group on one destination.

    Attributes:
        destination: the Destination's name, or `ANYWHERE`.
        name: the WorkPlacement's name.
        wants: the labels that a destination must have.
        layout: where its files stand in the store.
        contents: its files, by their path in the pipeline's output.
        pipeline: whose output it is.
    """

    destination: str
    name: str
    wants: Mapping[str, str]
    layout: Layout
    contents: Mapping[str, bytes]
    state_prefix: str = ""
    pipeline: str = ""

    @property
    def files(self) -> dict[str, bytes]:
        """Path in the store to content; of a shared file, as if nothing else was in it."""
        by_blob = {blob_id(content): content for content in self.contents.values()}
        found = {path: by_blob[blob] for path, blob in self.layout.files.items()}
        if self.layout.state_file is not None:
            from troth.stores.state_file import render_state_file

            found[self.layout.state_file] = render_state_file(self.layout.files, prefix=self.state_prefix)
        if self.layout.aggregate is not None:
            found[self.layout.aggregate] = aggregate({self.name: self.contents}) or b""
        return found


@dataclass(frozen=True, slots=True)
class Rendering:
    """What becomes of one request.

    Attributes:
        request: as the API server would hold it: defaults filled in, unknown fields pruned.
        files: what the pipelines give, by path in their output; with several pipelines behind the pipeline's name.
        placements: where the files go.
        waiting: labels of groups for which there is no destination.
        status: what the request's status says once everything is written; without times and commits.
        refusals: why the API server would not take the request; then there is nothing else.
        failure: why a pipeline gave nothing.
        unchecked: rules of the schema that could not be evaluated here.
        complaint: the failure in one sentence, with the file and line of its author.
    """

    request: Mapping[str, Any]
    files: Mapping[str, bytes] = field(default_factory=dict)
    placements: tuple[Placement, ...] = ()
    waiting: tuple[Mapping[str, str], ...] = ()
    status: Mapping[str, Any] = field(default_factory=dict)
    refusals: tuple[Refusal, ...] = ()
    failure: Failure | None = None
    unchecked: tuple[str, ...] = ()
    complaint: str = ""

    @property
    def name(self) -> str:
        """``namespace/name`` of the request."""
        metadata = self.request.get("metadata") or {}
        return f"{metadata.get('namespace') or 'default'}/{metadata.get('name', '')}"

    @property
    def placed(self) -> Mapping[str, Mapping[str, bytes]]:
        """Destination to path in its store to content."""
        return collect([self])[0]


async def render_request(
    home: Home, request: Mapping[str, Any], *, destinations: Destinations | None, pool: Renderer
) -> Rendering:
    """What the operator would make of one request.

    Args:
        home: the Promise.
        request: the request, as a person would apply it.
        destinations: where its files may go; None for one destination that matches everything.
        pool: renders the templates.

    Raises:
        HomeError: the Promise cannot be used.
    """
    return await Requests(home, destinations=destinations, pool=pool).render(request)


class Requests:
    """Renders the requests of one Promise: reads and compiles it once.

    Args:
        home: the Promise.
        destinations: where files may go; None for one destination that matches everything.
        pool: renders the templates.

    Raises:
        HomeError: the Promise cannot be used, or has no requests.
    """

    def __init__(self, home: Home, *, destinations: Destinations | None, pool: Renderer) -> None:
        self.home = home
        self.promise, self.offer = offer_of(home)
        self.destinations = destinations
        self.pool = pool
        definition, resource = self.offer.definition, self.offer.resource
        if definition is None or resource is None:
            raise HomeError(home.file, "offers no API", "only a Promise with spec.api has requests")
        self._definition, self._resource = definition, resource
        self._admission = _admission(definition)

    async def render(self, request: Mapping[str, Any]) -> Rendering:
        """What the operator would make of one request."""
        admitted = self._admit(request)
        if admitted.refusals:
            return admitted
        outcomes = await self.pool.render(self.offer.resource_configure, self._context(admitted.request))
        return self._judge(admitted, outcomes)

    def render_with(
        self,
        render: Callable[[Sequence[JinjaPipeline], RenderContext], Sequence[Outcome]],
        request: Mapping[str, Any],
        old: Mapping[str, Any] | None = None,
    ) -> Rendering:
        """As `render`, by a function that waits.

        Args:
            render: renders the templates.
            request: the request, as a person would apply it.
            old: the request that is there already, as an earlier `Rendering` has it; the API server then judges
                the step from the one to the other.
        """
        admitted = self._admit(request, old)
        if admitted.refusals:
            return admitted
        return self._judge(admitted, render(self.offer.resource_configure, self._context(admitted.request)))

    @property
    def _version(self) -> str:
        return self.promise.version or names.VERSION_NOT_SET

    def _context(self, request: Mapping[str, Any]) -> RenderContext:
        return render_context(self.promise, read_request(request), version=self._version)

    def _judge(self, admitted: Rendering, outcomes: Sequence[Outcome]) -> Rendering:
        served = admitted.request
        selectors = self.promise.spec.destination_selectors
        output = judge_outcomes(outcomes, selectors=selectors, source="resource-workflow")
        works: list[WorkFacts] = []
        placements: list[Placement] = []
        failure = output.failure
        for produced in output.outputs:
            if produced.suspended:
                continue
            try:
                facts, placed = self._place(served, produced)
            except InvalidObject as error:
                failure = Failure(
                    "InvalidPath", error.problem, pipeline=produced.pipeline, file=error.field, hint=error.remedy
                )
                continue
            works.append(facts)
            placements.extend(placed)
        return Rendering(
            request=served,
            files=self._files(output),
            placements=tuple(placements),
            waiting=tuple(waiting.wants for work in works for waiting in work.unscheduled),
            status=self._status(output, works, served),
            failure=failure,
            unchecked=admitted.unchecked,
            complaint=str(refused(self.home, failure)) if failure else "",
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
        if not isinstance(name, str) or not name:
            return Rendering(request, refusals=(Refusal("metadata.name", "is missing"),))
        admitted = self._admission(_with_namespace(request), old)
        if version != resource.version and not admitted.refusals:
            # Kept in the storage version, and read in the one that the operator watches.
            admitted = self._admission({**admitted.request, "apiVersion": resource.api_version}, old)
        if admitted.refusals:
            return Rendering(request, refusals=admitted.refusals)
        return Rendering(self._as_watched(admitted.request), unchecked=admitted.unchecked)

    def _as_watched(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """The request as the operator sees it when it renders: created, claimed, and read from the API server."""
        metadata = {
            "creationTimestamp": _NOW,
            "generation": 1,
            "uid": _UID,
            **{
                key: value
                for key, value in request["metadata"].items()
                if key not in ("managedFields", "resourceVersion")
            },
        }
        metadata["labels"] = {**(metadata.get("labels") or {}), names.PROMISE_NAME: self.promise.name}
        return as_served(
            {**{key: value for key, value in request.items() if key != "status"}, "metadata": metadata}
        )

    def _files(self, output: WorkflowOutput) -> dict[str, bytes]:
        several = len(self.offer.resource_configure) > 1
        return {
            f"{produced.pipeline}/{path}" if several else path: content
            for produced in output.outputs
            for group in produced.groups
            for path, content in sorted(group.files.items())
        }

    def _status(
        self, output: WorkflowOutput, works: Sequence[WorkFacts], request: Mapping[str, Any]
    ) -> dict[str, Any]:
        run = _Run(
            tuple(pipeline.name for pipeline in self.offer.resource_configure),
            output.outputs,
            output.failure,
            output.author,
        )
        facts = RequestFacts(
            generation=1,
            promise_version=self._version,
            workflow=workflow_facts(run, {}, generation=1, now=_NOW),
            works=tuple(works),
            components=self._components(output, request),
        )
        timeless: dict[str, Any] = _timeless(request_status({}, facts, now=_NOW))
        return timeless

    def _components(self, output: WorkflowOutput, request: Mapping[str, Any]) -> tuple[ComponentFacts, ...]:
        """The requests of other Promises among the files, as if they were Ready."""
        metadata = request["metadata"]
        files = (
            file
            for produced in output.outputs
            if not produced.suspended
            for group in produced.groups
            for file in group.files.items()
        )
        parent = Parent(self.promise.name, metadata["namespace"], metadata["name"])
        return tuple(
            ComponentFacts(found.api_version, found.kind, found.name, found.namespace, state="Ready")
            for found in find_components(files, parent)
        )

    # ---- where it goes

    def _place(self, request: Mapping[str, Any], output: Output) -> tuple[WorkFacts, list[Placement]]:
        name, namespace = request["metadata"]["name"], request["metadata"]["namespace"]
        work_namespace = self.promise.spec.pipeline_namespace or namespace
        work = work_name(
            promise=self.promise.name,
            resource=name,
            resource_namespace=namespace if work_namespace != namespace else "",
            pipeline=output.pipeline,
        )
        placements: list[Placement] = []
        facts: list[PlacementFacts] = []
        waiting: list[Waiting] = []
        for group, chosen, wants in self._schedule(f"{work_namespace}/{work}", output.groups):
            if not chosen:
                waiting.append(Waiting(group.id, wants))
            for destination in chosen:
                short_id = short_group_id(group.id)
                placement = WorkPlacement(
                    metadata=ObjectMeta(
                        name=placement_name(work, destination.name, short_id),
                        namespace=work_namespace,
                        labels={names.PIPELINE_NAME: output.pipeline},
                    ),
                    destination=destination.name,
                    promise_name=self.promise.name,
                    resource_name=name,
                    group_id=group.id,
                    workloads=tuple(
                        Workload(path, blob_id(content), len(content))
                        for path, content in sorted(group.files.items())
                    ),
                    status={},
                )
                store_path = self._store_path(destination)
                layout = place(destination, placement, store_path=store_path)
                placements.append(
                    Placement(
                        destination.name,
                        placement.metadata.name,
                        wants,
                        layout,
                        dict(sorted(group.files.items())),
                        state_prefix=store_path.strip("/"),
                        pipeline=output.pipeline,
                    )
                )
                facts.append(
                    PlacementFacts(
                        name=placement.metadata.name,
                        group_id=group.id,
                        destination=destination.name,
                        path=layout.directory
                        or layout.aggregate
                        or (layout.state_file or "").rpartition("/.kratix/")[0],
                        files=len(placement.workloads),
                        written=True,
                    )
                )
        return (
            WorkFacts(
                name=work,
                groups=len(output.groups),
                unscheduled=tuple(waiting),
                placements=tuple(facts),
                generation=1,
            ),
            placements,
        )

    def _schedule(
        self, owner: str, groups: Sequence[GroupContent]
    ) -> list[tuple[GroupContent, list[Destination], Mapping[str, str]]]:
        if self.destinations is None:
            return [(group, [anywhere()], effective_selector(group.selectors)) for group in groups]
        plan = schedule(
            owner=owner,
            work_type=names.WORK_TYPE_RESOURCE,
            groups=[WorkloadGroup(group.id, group.directory, group.selectors, ()) for group in groups],
            targets=[
                Target(
                    name=destination.name,
                    labels=destination.metadata.labels,
                    strict=destination.strict_match_labels,
                    deleting=destination.metadata.deleting,
                )
                for destination in self.destinations.destinations
            ],
            existing=(),
        )
        by_id = {group.id: group for group in groups}
        return [
            (
                by_id[found.group_id],
                [self.destinations.named(name) for name in found.destinations],
                found.wants,
            )
            for found in plan.groups
        ]

    def _store_path(self, destination: Destination) -> str:
        if self.destinations is None:
            return ""
        return self.destinations.store_paths.get((destination.store_kind, destination.store_name), "")


def render_files(
    folder: Path, requests: Sequence[Path], destinations: Path | None
) -> list[tuple[Path, Rendering]]:
    """Renders all requests in files and folders, in a process that is bounded; where each stands, and what it gives.

    Raises:
        HomeError: a file or the Promise cannot be used, or a template asks for more than there is: the same would
            hold for the next request, and each would take its seconds.
    """
    files = [file for path in requests for file in (yaml_files(path) if path.is_dir() else (path,))]
    with BoundedWorker() as worker:
        worker.start()  # it gets ready while this process reads
        home = load_home(folder)
        known = read_destinations(destinations) if destinations is not None else None
        renderer = Requests(home, destinations=known, pool=worker)
        found: list[tuple[Path, Rendering]] = []
        for file in files:
            for obj in read_objects(file):
                rendering = renderer.render_with(worker.render_now, obj)
                if rendering.failure is not None and rendering.failure.is_unbounded:
                    raise refused(home, rendering.failure)
                found.append((file, rendering))
    return found


def collect(renderings: Sequence[Rendering]) -> tuple[dict[str, dict[str, bytes]], list[str]]:
    """What all of them together leave in the stores, by destination and path; and what they quarrel about."""
    found: dict[str, dict[str, bytes]] = {}
    owners: dict[tuple[str, str], str] = {}
    quarrels: list[str] = []
    shared: dict[tuple[str, str], dict[str, Mapping[str, bytes]]] = {}
    for rendering in renderings:
        for placement in rendering.placements:
            if placement.layout.aggregate is not None:
                parts = shared.setdefault((placement.destination, placement.layout.aggregate), {})
                parts[placement.name] = placement.contents
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
class _Run:
    pipelines: tuple[str, ...]
    outputs: tuple[Output, ...]
    failure: Failure | None
    author: AuthorStatus


def _admission(
    definition: Mapping[str, Any],
) -> Callable[[Mapping[str, Any], Mapping[str, Any] | None], Rendering]:
    """What the API server does with requests of an API; compiled once."""
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


def _timeless(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {
            key: _timeless(child)
            for key, child in value.items()
            if child is not None and key not in _TIMES and not (key == "version" and child == "")
        }
    if isinstance(value, (list, tuple)):
        return [_timeless(child) for child in value]
    return value


__all__ = [
    "ANYWHERE",
    "Destinations",
    "Placement",
    "Refusal",
    "Rendering",
    "Requests",
    "collect",
    "read_destinations",
    "render_files",
    "render_request",
]
