"""A World of objects that are known, and what a further change of them triggers: for the tests of triggers."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncGenerator, Mapping
from typing import Any, cast

from tests.waiting import SAFE
from troth.api import Key, Resource
from troth.api import labels as names
from troth.api.objects import read_metadata
from troth.api.resources import DESTINATION, GIT_STATE_STORE, PROMISE, WORK, WORK_PLACEMENT
from troth.controllers import triggers
from troth.controllers.informers import Informers
from troth.controllers.kinds import Kind, fixed_kinds, pipeline_kinds, request_kind
from troth.controllers.triggers import Change, Trigger
from troth.engine.placement.seals import Seals
from troth.engine.placement.work import ContentDigests, read_work, read_work_placement
from troth.kube import Client, Listing, WatchEvent, WorkQueue

Object = dict[str, Any]

SYSTEM = "kratix-platform-system"
REDIS = Resource("db.example.com", "v1", "redises", "Redis")
REDISES = read_metadata({"metadata": {"name": REDIS.name, "uid": "crd", "generation": 1}})
FIXED = (PROMISE, DESTINATION, WORK, WORK_PLACEMENT, GIT_STATE_STORE)
AVAILABLE = {"status": "Available"}
READY = {"conditions": [{"type": "Ready", "status": "True", "reason": "Ready"}]}
FAILING = {"conditions": [{"type": "Ready", "status": "False", "reason": "RenderFailed"}]}


class Empty:
    """An API server on which nothing is, and nothing happens."""

    async def list_pages(self, *_: Any, **__: Any) -> AsyncGenerator[Listing, None]:
        yield Listing([], "1")

    async def watch(self, *_: Any, **__: Any) -> AsyncGenerator[WatchEvent, None]:
        await asyncio.Event().wait()
        yield WatchEvent("BOOKMARK", {})


class World:
    """What is known; `change` tells what a further change triggers."""

    def __init__(self) -> None:
        self.queue = WorkQueue()
        self.seals = Seals()
        self.seals.use(bytes(32), since="2026-01-01T00:00:00Z")
        self.informers = Informers(
            client=cast("Client", Empty()),
            queue=self.queue,
            random=random.Random(0),
            relist_interval=3600,
            seals=self.seals,
            system_namespace=SYSTEM,
            runs_containers=True,
        )
        self.caches = self.informers.caches
        self.kinds: dict[str, Kind[Any]] = {
            kind.resource.name: kind for kind in (*fixed_kinds(self.seals, ContentDigests()), *pipeline_kinds())
        }
        self.kinds[REDIS.name] = request_kind(REDIS)
        self._version = 100

    async def serve_redises(self) -> None:
        """The Promise ``redis`` has an API, whose requests have been listed."""
        self.caches.request_apis.follow("redis", REDIS, REDISES)
        assert await self.queued() == {key(PROMISE, "redis")}

    async def queued(self) -> set[Key]:
        """What has been queued, which is something."""
        found: Key | None = await asyncio.wait_for(self.queue.get(), SAFE)
        keys = set()
        while found is not None:
            keys.add(found)
            self.queue.done(found)
            found = self.queue.get_nowait()
        return keys

    def put(self, resource: Resource, obj: Object) -> None:
        """The object is known."""
        self._version += 1
        obj["metadata"]["resourceVersion"] = str(self._version)
        api = self.caches.request_apis.get(resource.name)
        (api.informer if api else self.caches.informers[resource.name]).observe(obj)

    def change(
        self,
        resource: Resource,
        old: Object | None,
        new: Object | None,
        *,
        listed: bool = True,
        ours: bool = False,
    ) -> set[Trigger]:
        """What is triggered when an object becomes another one."""
        kind = self.kinds[resource.name]
        meta = (new or old or {})["metadata"]
        change: Change[Any] = Change(
            Key(resource.name, meta.get("namespace", ""), meta["name"]),
            kind.read(old) if old else None,
            kind.read(new) if new else None,
            listed=listed,
            ours=ours,
        )
        found = list(kind.changed(change, self.caches))
        if kind.has_ready:
            found += triggers.status_changed_by_others(change)
        return set(found)

    def sealed(self, resource: Resource, obj: Object) -> Object:
        """The same object with the operator's seal."""
        if resource is WORK:
            seal = self.seals.seal_work(read_work(obj), "owner")
        else:
            seal = self.seals.seal_placement(read_work_placement(obj), "owner")
        return with_metadata(obj, annotations={names.SEAL: seal})


def made(name: str, namespace: str = "", *, generation: int = 1, **fields: Any) -> Object:
    metadata = {"name": name, "namespace": namespace, "uid": f"uid-{name}", "generation": generation}
    return {"metadata": metadata, "spec": {}, **fields}


def with_metadata(obj: Object, **fields: Any) -> Object:
    return {**obj, "metadata": {**obj["metadata"], **fields}}


def promise(name: str, *, status: Mapping[str, Any] = AVAILABLE, requires: tuple[str, ...] = ()) -> Object:
    return made(
        name, status=status, spec={"requiredPromises": [{"name": each, "version": "v1"} for each in requires]}
    )


def redis(name: str, *, status: Mapping[str, Any] = READY, labels: Mapping[str, str] | None = None) -> Object:
    return with_metadata(made(name, "team", status=status), labels=labels or {})


def work(name: str, *, request: str, namespace: str = "team") -> Object:
    labels = {
        names.WORK_TYPE: names.WORK_TYPE_RESOURCE,
        names.PROMISE_NAME: "redis",
        names.RESOURCE_NAME: request,
        names.RESOURCE_NAMESPACE: "team",
    }
    return with_metadata(
        made(name, namespace, spec={"promiseName": "redis", "resourceName": request}), labels=labels
    )


def job(
    name: str,
    *,
    request: str = "cache",
    promise: str = "redis",
    type: str = "resource",
    status: Mapping[str, Any] | None = None,
) -> Object:
    annotations = {
        names.JOB_RESOURCE_KIND: REDIS.kind,
        names.JOB_RESOURCE_NAMESPACE: "team",
        names.JOB_RESOURCE_NAME: request,
    }
    labels = {names.PROMISE_NAME: promise, names.WORKFLOW_TYPE: type}
    return with_metadata(made(name, "team", status=status or {}), labels=labels, annotations=annotations)


def pod(name: str, *, of_job: str, phase: str) -> Object:
    owners = [{"kind": "Job", "name": of_job, "uid": f"uid-{of_job}"}]
    return with_metadata(made(name, "team", status={"phase": phase}), ownerReferences=owners)


def placement(name: str, *, of_work: str, destination: str = "prod") -> Object:
    labels = {names.WORK: of_work, names.TARGET_DESTINATION: destination}
    return with_metadata(made(name, "team", spec={"targetDestinationName": destination}), labels=labels)


def destination(name: str, *, store: str = "git", path: str = "", **fields: Any) -> Object:
    spec = {"stateStoreRef": {"kind": "GitStateStore", "name": store}, "path": path or name}
    return made(name, spec=spec, **fields)


def deleted(obj: Object) -> Object:
    return with_metadata(obj, deletionTimestamp="2026-02-01T00:00:00Z", finalizers=["keep"])


def key(resource: Resource, name: str, namespace: str = "") -> Key:
    return Key(resource.name, namespace, name)


def example(resource: Resource) -> Object:
    return {
        PROMISE: promise("redis"),
        DESTINATION: destination("prod"),
        WORK: work("cache", request="cache"),
        WORK_PLACEMENT: placement("cache.prod", of_work="cache"),
        GIT_STATE_STORE: made("git", spec={"url": "https://git.example.com/prod"}),
    }[resource]
