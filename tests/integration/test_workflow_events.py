"""What Events say to container pipelines and of them, on a real API server.

`tests.job_player` stands in for the kubelet, and the tests write the Events of the Job controller and the kubelet.
"""

from __future__ import annotations

import pytest

from tests.container_site import Object, Site, containers, jinja, warn
from tests.platforms import api_of, condition, events_of, failure, says
from tests.waiting import eventually
from troth.api.resources import POD, PROMISE

pytestmark = pytest.mark.integration

QUOTA = "exceeded quota: small, requested: pods=1, used: pods=4, limited: pods=4"
NO_SECRET = 'MountVolume.SetUp failed for volume "key" : secret "key" not found'


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
    await say_of_containers(site, pod, {"waiting": {"reason": "PodInitializing"}}, phase="Failed")
    await site.platform.client.delete(POD, pod["metadata"]["name"], site.namespace)


async def say_of_containers(
    site: Site, pod: Object, state: Object, *, phase: str = "Pending", last: Object | None = None
) -> None:
    """Writes the state of a Pod's first container, as the kubelet does."""
    first = pod["spec"]["initContainers"][0]
    status = {
        "name": first["name"],
        "image": first["image"],
        "imageID": "",
        "ready": False,
        "restartCount": 0,
        "state": state,
        "lastState": last or {},
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


async def told(site: Site, live: Object, reason: str) -> list[str]:
    """The messages of the Events with a reason about an object."""
    events = await events_of(site.platform.client, live)
    return [f"{event['type']}: {event['note']}" for event in events if event["reason"] == reason]


async def hear(site: Site, live: Object, reason: str, *words: str) -> str:
    """Waits for an Event about an object whose message has these words, and returns the message."""

    async def look() -> str | None:
        found = await told(site, live, reason)
        return next((note for note in found if all(word in note for word in words)), None)

    return await eventually(look, f"an Event {reason} with {words}", within=20)


async def test_the_failure_of_a_pipeline_is_told_once_and_not_again_after_a_restart_and_no_start_of_a_requests(
    site: Site,
) -> None:
    process = site.start()
    await site.ask(containers("first"), containers("second", "echo 'no such zone: eu-9' >&2; exit 3"))
    live = await site.platform.wait(
        api_of(site.name),
        "cache",
        says("Ready", "False", reason="ConfigureWorkflowFailed"),
        namespace=site.namespace,
        within=40,
    )
    failed = (
        "Warning: A resource/configure Pipeline has failed: second: the container 'one' ended with exit code 3"
    )
    heard = await hear(site, live, "ConfigureWorkflowFailed")
    assert heard == f"{failed}; its log ends with: no such zone: eu-9"
    process.kill()
    site.start()
    await site.platform.ask(site.name, "other", site.namespace, size="small")
    other = await site.platform.wait(
        api_of(site.name),
        "other",
        says("Ready", "False", reason="ConfigureWorkflowFailed"),
        namespace=site.namespace,
        within=40,
    )
    await hear(site, other, "ConfigureWorkflowFailed")
    assert len(await told(site, live, "ConfigureWorkflowFailed")) == 1
    assert await told(site, live, "PipelineStarted") == []


async def test_a_container_that_fails_and_is_tried_again_is_named_with_its_log_while_that_lasts(
    site: Site,
) -> None:
    site.start()
    site.player.hold()
    await site.ask(containers("instance"))
    job = await site.player.waiting()
    pod = await pend(site, job)
    ended = {"exitCode": 3, "reason": "Error", "message": "no such zone: eu-9\n"}
    back_off = {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 10s"}}
    await say_of_containers(site, pod, back_off, last={"terminated": ended})
    first = pod["spec"]["initContainers"][0]["name"]
    words = f"the container {first!r} ended with exit code 3; it is tried again"
    live = await site.request(says("Ready", "False", words, reason="WorkflowPending"))
    assert failure(live) == {
        "reason": "ContainerFailed",
        "pipeline": "instance",
        "message": words,
        "container": first,
        "exitCode": 3,
        "log": "no such zone: eu-9",
    }
    assert await hear(site, live, "ContainerFailed") == (
        f"Warning: instance: {words}; its log ends with: no such zone: eu-9"
    )
    await end(site, pod)
    site.player.release()
    assert not failure(await site.ready())


async def test_a_suspension_is_told_in_the_words_of_the_pipeline(site: Site) -> None:
    site.start()
    stop = "printf 'suspend: true\\nmessage: waits for an approval\\n' > /kratix/metadata/workflow-control.yaml"
    await site.ask(containers("guard", stop))
    live = await site.request(says("Ready", "False", reason="WorkflowSuspended"))
    assert (await hear(site, live, "WorkflowSuspended")).endswith("workflow: waits for an approval")


async def test_a_delete_pipeline_that_fails_is_told_under_kratixs_reason(site: Site) -> None:
    site.start()
    found = site.promise(jinja("instance"))
    guard = jinja("guard")
    guard["spec"] = {"values": {"check": "{{ fail('it is protected') if spec.size == 'small' else '' }}"}}
    found["spec"]["workflows"]["resource"]["delete"] = [guard]
    await site.platform.publish(found)
    await site.platform.ask(site.name, "cache", site.namespace, size="small")
    live = await site.ready()
    await site.platform.delete(api_of(site.name), "cache", namespace=site.namespace)
    heard = await hear(site, live, "Failed Pipeline")
    assert heard == "Warning: The Delete Pipeline has failed: it is protected"
    await site.change({"spec": {"size": "large"}})
    await site.platform.gone(api_of(site.name), "cache", namespace=site.namespace)


async def test_a_promise_whose_own_pipeline_fails_tells_it_with_the_cause(site: Site) -> None:
    site.start()
    found = site.promise(jinja("instance"))
    own = jinja("own")
    own["spec"] = {"values": {"check": "{{ fail('there is no registry') }}"}}
    found["spec"]["workflows"]["promise"] = {"configure": [own]}
    live = await site.platform.make(PROMISE, found)
    heard = await hear(site, live, "ConfigureWorkflowFailed")
    assert heard == "Warning: A promise/configure Pipeline has failed: own: there is no registry"


async def test_a_pause_is_told_on_the_promise_and_on_its_requests(site: Site) -> None:
    site.start()
    await site.ask(jinja("instance"))
    live = await site.ready()
    paused = {"metadata": {"labels": {"kratix.io/paused": "true"}}}
    found = await site.platform.client.merge_patch(PROMISE, site.name, paused)
    assert await hear(site, found, "PausedReconciliation") == "Warning: Paused"
    assert (await hear(site, live, "PausedReconciliation")).startswith("Warning: ")


async def test_a_promise_tells_that_it_reconciles_all_of_its_requests(site: Site) -> None:
    site.start()
    await site.ask(jinja("instance"))
    await site.ready()
    asked = {"metadata": {"labels": {"kratix.io/reconcile-resources": "true"}}}
    live = await site.platform.client.merge_patch(PROMISE, site.name, asked)
    assert await hear(site, live, "ReconcilingResources") == "Normal: Reconciling all resource requests"


async def test_the_start_of_a_promises_own_container_pipeline_is_told(site: Site) -> None:
    site.start()
    found = site.promise(jinja("instance"))
    found["spec"]["workflows"]["promise"] = {"configure": [containers("own", "true")]}
    found["spec"]["workflows"]["config"] = {"pipelineNamespace": site.namespace}
    live = await site.platform.make(PROMISE, found)
    assert await hear(site, live, "PipelineStarted") == "Normal: Configure Pipeline started: own"
    await site.player.finished(1)
