"""What happens to configure Jobs before a delete workflow, when the operator's cache is behind the cluster."""

from __future__ import annotations

from typing import Any, Final

import pytest

from tests.idle_platform import idle_platform
from tests.platforms import exists
from troth.api import Key
from troth.api import labels as names
from troth.api.container_pipelines import READER
from troth.api.resources import JOB, POD
from troth.controllers.delete_workflows import end_configuring
from troth.controllers.job_views import Job, Pod
from troth.controllers.platform import Platform
from troth.kube import Client

pytestmark = pytest.mark.integration

Object = dict[str, Any]
KEY: Final = Key("caches.example.com", "team", "cache")
STARTED: Final = {"running": {"startedAt": "2026-01-01T00:00:00Z"}}
WAITING: Final = {"waiting": {"reason": "PodInitializing"}}


class Running:
    """A configure Job on the API server with one Pod. The cache hears of either when it is told (`meet`, `tell`)."""

    job: Object

    def __init__(self, client: Client, platform: Platform, namespace: str) -> None:
        self.client = client
        self.platform = platform
        self.namespace = namespace

    async def make(self) -> None:
        containers = [{"name": name, "image": "registry.example.com/shell:1"} for name in (READER, "one", "last")]
        meta = {
            "name": "run",
            "namespace": self.namespace,
            "labels": {
                names.MANAGED_BY: names.MANAGED_BY_KRATIX,
                names.PROMISE_NAME: "cache",
                names.WORKFLOW_TYPE: "resource",
                names.WORKFLOW_ACTION: "configure",
                names.PIPELINE_NAME: "instance",
                names.RESOURCE_NAME: KEY.name,
            },
            "annotations": {
                names.ATTEMPT: "1",
                names.JOB_RESOURCE_NAMESPACE: KEY.namespace,
                names.JOB_RESOURCE_NAME: KEY.name,
            },
        }
        pod = {"initContainers": containers[:2], "containers": containers[2:], "restartPolicy": "Never"}
        self.job = await self.client.create(
            JOB,
            {"apiVersion": "batch/v1", "kind": "Job", "metadata": meta, "spec": {"template": {"spec": pod}}},
        )
        owner = {"apiVersion": "batch/v1", "kind": "Job", "name": "run", "uid": self.job["metadata"]["uid"]}
        labels = {names.MANAGED_BY: names.MANAGED_BY_KRATIX, names.JOB_NAME: "run"}
        made = {"name": "pod", "namespace": self.namespace, "labels": labels, "ownerReferences": [owner]}
        await self.client.create(POD, {"apiVersion": "v1", "kind": "Pod", "metadata": made, "spec": pod})

    async def show(self, reader: Object, one: Object) -> Object:
        """Writes the states of the first two containers. Returns the Pod."""
        status = {
            "phase": "Pending",
            "initContainerStatuses": [
                {"name": name, "image": "", "imageID": "", "ready": False, "restartCount": 0, "state": state}
                for name, state in ((READER, reader), ("one", one))
            ],
        }
        return await self.client.merge_patch(
            POD, "pod", {"status": status}, namespace=self.namespace, subresource="status"
        )

    def meet(self) -> None:
        """Lets the cache know the Job."""
        self.platform.caches.of(JOB, Job).observe(self.job)

    def tell(self, pod: Object) -> None:
        """Lets the cache know the Pod."""
        self.platform.caches.of(POD, Pod).observe(pod)

    async def end(self, phase: str = "Succeeded") -> str:
        """``phase`` is what the status of the request says about the pipeline of the Job."""
        pipelines = [{"name": "instance", "phase": phase}]
        status = {"kratix": {"workflows": {"pipelines": pipelines}}, "troth": {"runs": {"instance": 1}}}
        return await end_configuring(self.platform, "cache", KEY, status)

    async def is_left(self) -> bool:
        return await exists(self.client, JOB, "run", self.namespace)


@pytest.fixture
async def running(client: Client, namespace: str) -> Running:
    running = Running(client, idle_platform(client, runs_containers=True), namespace)
    await running.make()
    return running


async def test_a_container_that_started_before_the_cache_heard_of_its_pod_is_waited_for(running: Running) -> None:
    running.meet()
    await running.show(STARTED, STARTED)
    assert "its pipeline instance to end, which the Job run still runs" in await running.end()
    assert await running.is_left()


async def test_a_container_that_started_since_the_cache_heard_of_its_pod_is_waited_for(running: Running) -> None:
    running.meet()
    running.tell(await running.show(STARTED, WAITING))
    await running.show(STARTED, STARTED)
    assert "its pipeline instance to end, which the Job run still runs" in await running.end()
    assert await running.is_left()


async def test_a_job_that_has_not_started_a_container_of_the_author_is_deleted(running: Running) -> None:
    running.meet()
    running.tell(await running.show(STARTED, WAITING))
    assert await running.end() == "the Job run of its pipeline instance to be removed"
    assert not await running.is_left()


async def test_a_job_of_which_the_cache_has_not_heard_is_waited_for_if_its_run_is_recorded(
    running: Running,
) -> None:
    await running.show(STARTED, STARTED)
    assert "its pipeline instance to end, which the Job run still runs" in await running.end("Running")
    assert await running.is_left()


async def test_the_api_server_is_not_asked_for_jobs_unless_a_run_is_recorded(running: Running) -> None:
    assert await running.end("Succeeded") == ""
