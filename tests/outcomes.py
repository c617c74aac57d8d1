"""Computes what the operator must have written for some Promises, requests and Destinations, by pure functions alone.

Whatever has happened before (crashes, faults, edits in any order), the outcome only depends on what people want now.
So a test reads that from the API server, calls the engine in this process, and compares everything: each path and
byte of the repository, each Work, and each WorkPlacement. So everything that is missing, doubled or left over is
found.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.platforms import Object, Repository, is_ready, placements
from tests.waiting import eventually
from troth.api import Resource
from troth.api import labels as names
from troth.api.naming import short_group_id
from troth.api.objects import (
    Destination,
    ObjectMeta,
    Promise,
    Workload,
    WorkloadGroup,
    WorkPlacement,
    read_destination,
    read_promise,
    read_request,
)
from troth.api.resources import DESTINATION, PROMISE, WORK, WORK_PLACEMENT
from troth.engine.placement.layout import AGGREGATED, aggregate, destination_files, place
from troth.engine.placement.scheduling import Target, schedule
from troth.engine.placement.work import GroupContent, blob_id, build_groups, placement_name, work_name
from troth.engine.promises.offers import read_pipelines, templates_of
from troth.engine.rendering.limits import Limits
from troth.engine.rendering.render import Rendered, render_context, render_pipeline
from troth.engine.yaml.manifests import dump_documents
from troth.kube import Client, NotFound
from troth.stores.state_file import render_state_file

SYSTEM_NAMESPACE = "kratix-platform-system"
README = "README.md"

Name = tuple[str, str]


@dataclass(slots=True)
class Outcome:
    """Everything that must exist. Nothing else may exist.

    Attributes:
        files: the contents by path in the repository.
        works: the namespace and the name of each Work.
        placements: the namespace and the name of each WorkPlacement.
    """

    files: dict[str, bytes] = field(default_factory=dict)
    works: set[Name] = field(default_factory=set)
    placements: set[Name] = field(default_factory=set)


def outcome(promises: Sequence[Object], requests: Sequence[Object], destinations: Sequence[Object]) -> Outcome:
    """The outcome, if all Destinations use one store without a path, and existed before the first request.

    Args:
        promises: the Promises, as the API server has them.
        requests: their requests, as the API server has them, without those that are being deleted.
        destinations: all Destinations.
    """
    targets = [read_destination(obj) for obj in destinations]
    found = Outcome()
    shared: dict[str, dict[tuple[str, str], Mapping[str, bytes]]] = {}
    for obj in promises:
        promise = read_promise(obj)
        for work in _works_of(promise, [request for request in requests if _is_of(promise, request)]):
            found.works.add((work.namespace, work.name))
            _place_work(work, targets, found, shared)
    for target in targets:
        found.files.update(destination_files(target, store_path="").files)
        content = aggregate(shared.get(target.name, {}))
        if content is not None:
            found.files[f"{target.path}/{target.filename}"] = content
    return found


@dataclass(frozen=True, slots=True)
class _Work:
    """A Work that must exist."""

    promise: str
    resource: str
    namespace: str
    pipeline: str
    type: str
    groups: tuple[GroupContent, ...]

    @property
    def name(self) -> str:
        return work_name(promise=self.promise, pipeline=self.pipeline, resource=self.resource)


def _is_of(promise: Promise, request: Object) -> bool:
    spec = (promise.spec.api or {}).get("spec") or {}
    return bool(request["apiVersion"].partition("/")[0] == spec.get("group"))


def _works_of(promise: Promise, requests: Sequence[Object]) -> Iterator[_Work]:
    selectors = promise.spec.destination_selectors
    if promise.spec.dependencies:
        content = dump_documents(list(promise.spec.dependencies)).encode()
        files = {f"static/{promise.name}-dependencies.yaml": content}
        groups = build_groups(files, (), selectors, "promise-workflow")
        yield _Work(promise.name, "", SYSTEM_NAMESPACE, "", names.WORK_TYPE_STATIC_DEPENDENCY, groups)
    pipelines = templates_of(read_pipelines(promise.spec.resource_workflows.configure, "spec", action="configure"))
    for obj in requests:
        request = read_request(obj)
        context = render_context(promise, request, version=promise.version or names.VERSION_NOT_SET)
        for pipeline in pipelines:
            rendered = render_pipeline(pipeline, context, limits=Limits(), nonce="outcome")
            assert isinstance(rendered, Rendered), rendered
            groups = build_groups(
                {file.path: file.content for file in rendered.files},
                rendered.destinations,
                selectors,
                "resource-workflow",
            )
            meta = request.metadata
            yield _Work(promise.name, meta.name, meta.namespace, pipeline.name, names.WORK_TYPE_RESOURCE, groups)


def _place_work(
    work: _Work,
    destinations: Sequence[Destination],
    found: Outcome,
    shared: dict[str, dict[tuple[str, str], Mapping[str, bytes]]],
) -> None:
    groups = {group.id: group for group in work.groups}
    plan = schedule(
        owner=f"{work.namespace}/{work.name}",
        work_type=work.type,
        groups=[WorkloadGroup(group.id, group.directory, group.selectors, ()) for group in work.groups],
        targets=[
            Target(item.name, item.metadata.labels, item.strict_match_labels, deleting=False)
            for item in destinations
        ],
        existing=(),
    )
    for group_plan in plan.groups:
        assert not group_plan.unscheduled, f"no destination for {work.name}: {group_plan.wants}"
        for destination in destinations:
            if destination.name in group_plan.destinations:
                _place_group(work, groups[group_plan.group_id], destination, found, shared)


def _place_group(
    work: _Work,
    group: GroupContent,
    destination: Destination,
    found: Outcome,
    shared: dict[str, dict[tuple[str, str], Mapping[str, bytes]]],
) -> None:
    name = placement_name(work.name, destination.name, short_group_id(group.id))
    placement = WorkPlacement(
        metadata=ObjectMeta(
            name, work.namespace, labels={names.PIPELINE_NAME: work.pipeline} if work.pipeline else {}
        ),
        destination=destination.name,
        promise_name=work.promise,
        resource_name=work.resource,
        group_id=group.id,
        workloads=tuple(Workload(path, blob_id(content)) for path, content in group.contents().items()),
        status={},
    )
    found.placements.add((work.namespace, name))
    if destination.mode == AGGREGATED:
        shared.setdefault(destination.name, {})[name, work.namespace] = group.contents()
        return
    layout = place(destination, placement, store_path="")
    by_blob = {blob_id(content): content for content in group.contents().values()}
    found.files.update({path: by_blob[blob] for path, blob in layout.files.items()})
    if layout.state_file:
        found.files[layout.state_file] = render_state_file(layout.files, prefix="")


class Auditor:
    """Compares the cluster and the repository with the outcome.

    Args of the constructor: the Promises, APIs and Destinations that a test has made (others are ignored), and the
    namespaces of its requests.
    """

    def __init__(
        self,
        client: Client,
        repository: Repository,
        *,
        apis: Mapping[str, Resource],
        destinations: Sequence[str],
        namespaces: Sequence[str],
    ) -> None:
        self._client = client
        self._repository = repository
        self._apis = dict(apis)
        self._destinations = list(destinations)
        self._namespaces = list(namespaces)

    async def settled(self, *, within: float) -> Outcome:
        """Waits until everything is as it must be and all requests are Ready. Returns the outcome."""
        return await eventually(self.compare, "the outcome of the pure function", within=within, every=0.3)

    async def compare(self) -> Outcome:
        """Compares everything once. Raises AssertionError, which says what differs."""
        requests = await self.requests()
        _none("still being deleted", [_name(obj) for obj in requests if _is_deleting(obj)])
        _none("not Ready", [_name(obj) for obj in requests if not is_ready(obj)])
        expected = await self.expected(requests)
        files = await asyncio.to_thread(self._repository.files)
        files.pop(README, None)
        _same("files", {path: content.decode() for path, content in expected.files.items()}, files)
        _same("works", expected.works, await self._names(WORK))
        _same("placements", expected.placements, await self._names(WORK_PLACEMENT))
        for request in requests:
            for placement in placements(request):
                assert placement["state"] == "Written", (_name(request), placement)
        return expected

    async def expected(self, requests: Sequence[Object] | None = None) -> Outcome:
        """The outcome for what people want now."""
        wanted = requests if requests is not None else await self.requests()
        promises = [await self._client.get(PROMISE, name) for name in self._apis]
        targets = [await self._client.get(DESTINATION, name) for name in self._destinations]
        lasting = [obj for obj in wanted if not _is_deleting(obj)]
        return await asyncio.to_thread(outcome, promises, lasting, targets)

    async def requests(self) -> list[Object]:
        """All requests, including those that are being deleted. An API that does not exist has none."""
        found: list[Object] = []
        for resource in self._apis.values():
            try:
                found += (await self._client.list(resource)).items
            except NotFound:
                continue
        return found

    async def nothing_left(self, *, within: float) -> None:
        """Waits until no Work, no WorkPlacement and no file is left, except for the Destinations' own files."""

        async def look() -> bool:
            _same("works", set(), await self._names(WORK))
            _same("placements", set(), await self._names(WORK_PLACEMENT))
            targets = [await self._client.get(DESTINATION, name) for name in self._destinations]
            files = await asyncio.to_thread(self._repository.files)
            files.pop(README, None)
            _same("files", set(outcome([], [], targets).files), set(files))
            return True

        await eventually(look, "nothing is left", within=within, every=0.2)

    async def _names(self, resource: Resource) -> set[Name]:
        listing = await self._client.list(resource)
        return {
            _name(obj)
            for obj in listing.items
            if obj["metadata"]["namespace"] in self._namespaces or obj["spec"].get("promiseName") in self._apis
        }


def _name(obj: Object) -> Name:
    return obj["metadata"]["namespace"], obj["metadata"]["name"]


def _is_deleting(obj: Object) -> bool:
    return "deletionTimestamp" in obj["metadata"]


def _none(what: str, found: Sequence[Any]) -> None:
    assert not found, f"{len(found)} {what}: {sorted(found)[:5]}"


def _same(what: str, expected: Any, actual: Any) -> None:
    if expected == actual:
        return
    missing, too_much = set(expected) - set(actual), set(actual) - set(expected)
    different = (
        [path for path in expected if path in actual and expected[path] != actual[path]]
        if isinstance(expected, dict)
        else []
    )
    first = {path: (expected[path], actual[path]) for path in different[:1]} if different else ""
    raise AssertionError(
        f"{what}: {len(missing)} missing {sorted(missing)[:5]}, {len(too_much)} too much {sorted(too_much)[:5]}, "
        f"{len(different)} different {sorted(different)[:5]} {first}"
    )
