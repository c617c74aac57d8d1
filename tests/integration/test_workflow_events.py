"""What Events say to container pipelines and of them, on a real API server.

`tests.job_player` stands in for the kubelet, and the tests write the Events of the Job controller and the kubelet.
"""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from tests.container_site import Object, Site, containers
from tests.platforms import api_of, condition, says
from tests.waiting import eventually
from troth.api import Resource
from troth.api.resources import POD

pytestmark = pytest.mark.integration

CORE_EVENT = Resource("", "v1", "events", "Event")  # in which the Job controller and the kubelet write
QUOTA = "exceeded quota: small, requested: pods=1, used: pods=4, limited: pods=4"
NO_SECRET = 'MountVolume.SetUp failed for volume "key" : secret "key" not found'


async def warn(site: Site, about: Object, kind: str, reason: str, message: str) -> None:
    """Writes an Event as the Job controller and the kubelet do."""
    meta = about["metadata"]
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    await site.platform.client.create(
        CORE_EVENT,
        {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {"generateName": "warning-", "namespace": site.namespace},
            "involvedObject": {
                "kind": kind,
                "name": meta["name"],
                "namespace": site.namespace,
                "uid": meta["uid"],
            },
            "type": "Warning",
            "reason": reason,
            "message": message,
            "count": 1,
            "firstTimestamp": now,
            "lastTimestamp": now,
            "source": {"component": "test"},
        },
    )


async def pend(site: Site, job: Object) -> Object:
    """Makes a Pod of a Job that a node has taken and of which no container has started."""
    meta, template = job["metadata"], job["spec"]["template"]
    owner = {"apiVersion": "batch/v1", "kind": "Job", "name": meta["name"], "uid": meta["uid"], "controller": True}
    pod = await site.platform.client.create(
        POD,
        {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {
                "name": f"{meta['name'][:50]}-pending",
                "namespace": site.namespace,
                "labels": template["metadata"]["labels"],
                "ownerReferences": [owner],
            },
            "spec": {**template["spec"], "nodeName": "none"},
        },
    )
    await say_of_containers(site, pod, {"waiting": {"reason": "PodInitializing"}})
    return pod


async def end(site: Site, pod: Object) -> None:
    """Deletes a Pod, which the API server does at once if it has ended."""
    await say_of_containers(site, pod, {"waiting": {"reason": "PodInitializing"}}, phase="Succeeded")
    await site.platform.client.delete(POD, pod["metadata"]["name"], site.namespace)


async def say_of_containers(site: Site, pod: Object, state: Object, phase: str = "Pending") -> None:
    """Writes the state of a Pod's first container, as the kubelet does."""
    first = pod["spec"]["initContainers"][0]
    status = {
        "name": first["name"],
        "image": first["image"],
        "imageID": "",
        "ready": False,
        "restartCount": 0,
        "state": state,
    }
    await site.platform.client.merge_patch(
        POD,
        pod["metadata"]["name"],
        {"status": {"phase": phase, "initContainerStatuses": [status]}},
        namespace=site.namespace,
        subresource="status",
    )


async def test_a_quota_that_lets_no_pod_be_made_is_said_and_no_longer_once_there_is_a_pod(site: Site) -> None:
    site.start()
    site.player.hold()
    await site.ask(containers("instance"))
    job = await site.player.waiting()
    refused = f'Error creating: pods "{job["metadata"]["name"]}-x7k2p" is forbidden: {QUOTA}'
    await warn(site, job, "Job", "FailedCreate", refused)
    told = says("Ready", "False", f"instance: its Pod cannot be created: {QUOTA}", reason="WorkflowPending")
    live = await site.request(told)
    assert live["status"]["message"] == condition(live, "Ready")["message"]
    pod = await pend(site, job)
    await site.request(lambda live: "quota" not in condition(live, "Ready")["message"])
    await end(site, pod)
    site.player.release()
    await site.ready()


async def test_a_secret_that_a_volume_needs_is_said_to_be_missing_until_a_container_has_started(
    site: Site,
) -> None:
    site.start()
    site.player.hold()
    await site.ask(containers("instance"))
    job = await site.player.waiting()
    pod = await pend(site, job)
    await warn(site, pod, "Pod", "FailedMount", NO_SECRET)
    await warn(site, pod, "Pod", "FailedScheduling", "of no interest here")
    await site.request(says("Ready", "False", "its Pod cannot be started", 'secret "key" not found'))
    await say_of_containers(site, pod, {"running": {"startedAt": "2026-01-01T00:00:00Z"}})
    await site.request(lambda live: "secret" not in condition(live, "Ready")["message"])
    await end(site, pod)


async def test_an_operator_that_starts_while_a_pod_cannot_be_made_does_not_take_its_words_back(site: Site) -> None:
    process = site.start()
    site.player.hold()
    await site.ask(containers("instance"))
    job = await site.player.waiting()
    await warn(site, job, "Job", "FailedCreate", f'Error creating: pods "a-1" is forbidden: {QUOTA}')
    told = await site.request(says("Ready", "False", "exceeded quota"))
    process.kill()
    site.start()
    await site.platform.ask(site.name, "other", site.namespace, size="small")

    async def job_of_other() -> Object | None:
        names = {each["metadata"]["name"]: each for each in await site.player.jobs()}
        return next((each for name, each in names.items() if name != job["metadata"]["name"]), None)

    other = await eventually(job_of_other, "the Job of the other request")
    await warn(site, other, "Job", "FailedCreate", f'Error creating: pods "b-1" is forbidden: {QUOTA}')
    await site.platform.wait(
        api_of(site.name), "other", says("Ready", "False", "exceeded quota"), namespace=site.namespace
    )
    live = await site.request(lambda live: True)
    assert live["metadata"]["resourceVersion"] == told["metadata"]["resourceVersion"]
