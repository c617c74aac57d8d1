"""What is not deleted, although the operator's caches do not have an object: it may only be that they are behind.

Each kind has a watch of its own, and the requests of an API are listed after everything else. So for a moment after a
start, and whenever a watch is slow, a cache lacks what the API server has.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any, Final

import pytest

from tests.idle_platform import idle_platform
from tests.platforms import api_of, exists, promise, request
from tests.waiting import eventually
from troth.adapter.works import PipelineRun, make_work
from troth.api import InvalidObject, Key
from troth.api import labels as names
from troth.api.objects import read_metadata, read_promise
from troth.api.resources import CUSTOM_RESOURCE_DEFINITION, JOB, POD, WORK, WORK_PLACEMENT, Resource
from troth.controllers.job_views import Job, Pod
from troth.controllers.owners import owner_index
from troth.controllers.platform import Platform
from troth.controllers.pod_expiry import delete_expired_pods
from troth.controllers.promise_api import PromiseApi
from troth.controllers.request import RequestReconciler
from troth.controllers.work import WorkReconciler
from troth.controllers.workflow import Produced, Run, Workflows
from troth.controllers.workflow_works import WorkOwner, Works
from troth.engine.promises.offers import read_offer
from troth.engine.status.author import AuthorStatus
from troth.kube import Client, NotFound

pytestmark = pytest.mark.integration

Object = dict[str, Any]
CACHES: Final = Resource("example.com", "v1", "caches", "Cache")
HAS_RUN: Final = {"troth": {"runs": {"instance": 1}}}


@pytest.fixture
async def platform(client: Client) -> AsyncIterator[Platform]:
    """A platform whose caches have only what they are told, and which can seal."""
    platform = idle_platform(client, runs_containers=True)
    platform.caches.seals.use(bytes(32), since="2000-01-01T00:00:00Z")
    yield platform
    await platform.caches.request_apis.stop()


def owner_of(namespace: str) -> WorkOwner:
    """The request ``cache`` of the Promise ``cache``."""
    index = owner_index("cache", namespace, "cache")
    return WorkOwner("cache", "cache", namespace, namespace, index, uid="0f9d")


def written_by_pod(namespace: str, pipeline: str) -> Object:
    """The Work that the Pod of a pipeline writes for that request; it has no seal."""
    return make_work(PipelineRun("cache", pipeline, "resource", namespace, "cache", namespace), ())


# ---- requests that have not been listed


async def make_delete_job(platform: Platform, namespace: str) -> None:
    """A Job of the request's delete workflow, which the cache knows."""
    container = {"name": "one", "image": "registry.example.com/shell:1"}
    meta = {
        "name": "run",
        "namespace": namespace,
        "labels": {
            names.MANAGED_BY: names.MANAGED_BY_KRATIX,
            names.PROMISE_NAME: "cache",
            names.WORKFLOW_TYPE: "resource",
            names.WORKFLOW_ACTION: "delete",
            names.PIPELINE_NAME: "instance",
        },
        "annotations": {names.JOB_RESOURCE_NAMESPACE: namespace, names.JOB_RESOURCE_NAME: "cache"},
    }
    pod = {"containers": [container], "restartPolicy": "Never"}
    job = {"apiVersion": "batch/v1", "kind": "Job", "metadata": meta, "spec": {"template": {"spec": pod}}}
    platform.caches.of(JOB, Job).observe(await platform.client.create(JOB, job))


async def test_a_delete_job_runs_on_until_the_requests_have_been_listed(
    client: Client, platform: Platform, namespace: str
) -> None:
    await make_delete_job(platform, namespace)
    key = Key(CACHES.name, namespace, "cache")
    reconciler = RequestReconciler(platform, Workflows(platform, {}), Works(platform), runs_containers=True)
    definition = read_metadata({"metadata": {"name": CACHES.name, "uid": "0f9d"}})
    informer = platform.caches.request_apis.follow("cache", CACHES, definition)  # nobody serves it
    await reconciler.reconcile(key)
    assert await exists(client, JOB, "run", namespace)

    informer.synced.set()  # the list does not have the request
    async with asyncio.timeout(60):
        while await platform.queue.get() != key:
            pass
    await reconciler.reconcile(key)
    assert not await exists(client, JOB, "run", namespace)


# ---- Works that the cache has not heard of


async def test_a_work_that_a_pod_has_just_written_goes_with_its_request(
    client: Client, platform: Platform, namespace: str
) -> None:
    work = await client.create(WORK, written_by_pod(namespace, "instance"))
    left = await Works(platform).remove_all(owner_of(namespace), HAS_RUN)
    assert [each.metadata.name for each in left] == [work["metadata"]["name"]]
    assert not await exists(client, WORK, work["metadata"]["name"], namespace)


async def test_a_work_of_another_request_is_not_removed_with_it(
    client: Client, platform: Platform, namespace: str
) -> None:
    other = make_work(PipelineRun("cache", "instance", "resource", namespace, "other", namespace), ())
    await client.create(WORK, other)
    assert await Works(platform).remove_all(owner_of(namespace), HAS_RUN) == []
    assert await exists(client, WORK, other["metadata"]["name"], namespace)


async def test_files_of_a_former_pipeline_stay_while_the_work_that_takes_their_place_is_lost(
    client: Client, platform: Platform, namespace: str
) -> None:
    works, owner = Works(platform), owner_of(namespace)
    await client.create(WORK, written_by_pod(namespace, "former"))
    assert await works.take_over(owner, "resource", "former") == ""
    (former,) = works.of(owner)
    run = Run(("instance",), (Produced("instance", (), None, kept=True),), None, AuthorStatus())
    await works.keep_all(owner, "resource", run)
    assert await exists(client, WORK, former.metadata.name, namespace)

    await client.create(WORK, written_by_pod(namespace, "instance"))
    assert await works.take_over(owner, "resource", "instance") == ""
    await works.keep_all(owner, "resource", run)
    assert not await exists(client, WORK, former.metadata.name, namespace)


async def test_placements_stay_while_the_api_server_has_their_work(
    client: Client, platform: Platform, namespace: str
) -> None:
    seals, meta = platform.caches.seals, {"name": "work", "namespace": namespace}
    work = {"apiVersion": WORK.api_version, "kind": "Work", "metadata": meta, "spec": {"workloadGroups": []}}
    made = await client.create(WORK, work)
    body: Object = {
        "apiVersion": WORK_PLACEMENT.api_version,
        "kind": "WorkPlacement",
        "metadata": {
            "name": "work.there-1",
            "namespace": namespace,
            "labels": {names.WORK: "work"},
            "finalizers": [names.REPO_CLEANUP],
        },
        "spec": {"targetDestinationName": "there", "id": "1", "workloads": []},
    }
    seal = seals.seal_placement(seals.read_work_placement(body), "0f9d")
    body["metadata"]["annotations"] = {names.SEAL: seal}
    platform.caches.placements.observe(await client.create(WORK_PLACEMENT, body))
    key = Key(WORK.name, namespace, "work")
    await WorkReconciler(platform).reconcile(key)
    assert await exists(client, WORK_PLACEMENT, "work.there-1", namespace)

    await client.delete(WORK, "work", namespace)
    platform.caches.works.forget(key, uid=made["metadata"]["uid"])
    await WorkReconciler(platform).reconcile(key)
    assert not await exists(client, WORK_PLACEMENT, "work.there-1", namespace)


# ---- Pods whose outcome has not been recorded


async def test_the_pods_of_a_job_stay_until_the_status_says_what_it_came_to(
    client: Client, platform: Platform, namespace: str
) -> None:
    platform.settings = replace(platform.settings, pod_ttl_seconds=1)
    for name, phase, runs in (
        ("first", "Running", {"instance": 1}),
        ("uncounted", "Running", {}),  # a run without a number is the first
        ("second", "Failed", {"instance": 1}),
    ):
        pipelines = [{"name": "instance", "phase": phase}]
        status = {"kratix": {"workflows": {"pipelines": pipelines}}, "troth": {"runs": runs}}
        meta = {"name": name, "uid": name, "resourceVersion": "1"}
        platform.caches.promises.observe({"metadata": meta, "spec": {}, "status": status})
        labels = {
            names.WORKFLOW_TYPE: "promise",
            names.WORKFLOW_ACTION: "configure",
            names.PIPELINE_NAME: "instance",
        }
        annotations = {names.JOB_RESOURCE_NAME: name, names.ATTEMPT: "1"}
        failed = {"type": "Failed", "status": "True", "lastTransitionTime": "2026-01-01T00:00:00Z"}
        job = {**meta, "namespace": namespace, "labels": labels, "annotations": annotations}
        platform.caches.of(JOB, Job).observe({"metadata": job, "status": {"conditions": [failed]}})
        owner = {"apiVersion": "batch/v1", "kind": "Job", "name": name, "uid": name}
        pod = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": name, "namespace": namespace, "ownerReferences": [owner]},
            "spec": {"containers": [{"name": "one", "image": "registry.example.com/shell:1"}]},
        }
        platform.caches.of(POD, Pod).observe(await client.create(POD, pod))

    async def second_is_gone() -> bool:
        return not await exists(client, POD, "second", namespace)

    sweeping = asyncio.create_task(delete_expired_pods(platform, interval=0.01))
    try:
        await eventually(second_is_gone, "the Pod whose outcome is recorded is deleted", within=60)
    finally:
        sweeping.cancel()
        await asyncio.gather(sweeping, return_exceptions=True)
    assert await exists(client, POD, "first", namespace)
    assert await exists(client, POD, "uncounted", namespace)


# ---- an API that the cache does not know to be served


async def test_an_api_with_requests_is_not_removed_before_the_cache_knows_that_it_is_served(
    client: Client, platform: Platform, namespace: str, unique: str
) -> None:
    manifest = promise(unique)
    offer = read_offer(read_promise(manifest))
    assert offer.definition is not None
    name = offer.definition["metadata"]["name"]
    made = await client.create(CUSTOM_RESOURCE_DEFINITION, offer.definition)
    platform.caches.definitions.observe(made)  # it is not served at this moment

    async def ask() -> bool:
        try:
            await client.create(api_of(unique), request(unique, "one", namespace))
        except NotFound:
            return False
        return True

    try:
        await eventually(ask, "the API is served")
        spec = {field: value for field, value in manifest["spec"].items() if field != "api"}
        without = read_promise({**manifest, "spec": spec})
        with pytest.raises(InvalidObject, match="1 of its requests exist"):
            await PromiseApi(platform).keep(without, read_offer(without))
        assert await exists(client, CUSTOM_RESOURCE_DEFINITION, name)
    finally:
        await client.delete(CUSTOM_RESOURCE_DEFINITION, name)
