"""The Jobs of container pipelines, as far as the operator follows them: what is kept of each, and whose it is.

Only what an outcome depends on is kept of a Job and a Pod (`troth.engine.jobs.observation`), since a cluster may have
thousands of them. A Job says in its annotations for which object it runs; a Pod says of which Job it is.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from troth.api import Key
from troth.api import labels as names
from troth.api.objects import ObjectMeta, read_metadata
from troth.api.pipelines import ACTIONS, Action
from troth.api.resources import JOB, POD, PROMISE
from troth.api.typed import read_map, read_maps, read_text
from troth.controllers.caches import BY_JOB, BY_OWNER, Caches
from troth.controllers.owners import owner_index
from troth.engine.jobs.observation import JobState, PodState, end_by_pods, read_job, read_pod
from troth.engine.jobs.runs import WorkflowType, label_value
from troth.engine.workflow.progress import read_progress
from troth.kube import Client


@dataclass(frozen=True, slots=True)
class Job:
    """A Job of a pipeline.

    Attributes:
        metadata: its metadata.
        state: what an outcome depends on.
    """

    metadata: ObjectMeta
    state: JobState

    @property
    def owner(self) -> str:
        """The index value of the object for which it runs (`jobs_of`)."""
        labels, annotations = self.metadata.labels, self.metadata.annotations
        return owner_index(
            labels.get(names.PROMISE_NAME, ""),
            annotations.get(names.JOB_RESOURCE_NAMESPACE, ""),
            annotations.get(names.JOB_RESOURCE_NAME, ""),
        )


@dataclass(frozen=True, slots=True)
class Pod:
    """A Pod of a Job.

    Attributes:
        metadata: its metadata, without the annotations, one of which is the object for which it runs.
        state: what an outcome depends on.
        job: the name of its Job, which is in the same namespace.
    """

    metadata: ObjectMeta
    state: PodState
    job: str


def follow_job(obj: Mapping[str, Any]) -> Job:
    """Returns what is kept of a Job."""
    return Job(read_metadata(obj), read_job(obj))


def follow_pod(obj: Mapping[str, Any]) -> Pod:
    """Returns what is kept of a Pod."""
    owners = read_maps(read_map(obj.get("metadata")).get("ownerReferences"))
    job = next((read_text(owner.get("name")) for owner in owners if owner.get("kind") == JOB.kind), "")
    return Pod(replace(read_metadata(obj), annotations={}), read_pod(obj), job)


def workflow_type(kind: str) -> WorkflowType:
    """Returns the type of the workflows of a kind's objects; ``kind`` is that of their keys."""
    return "promise" if kind == PROMISE.name else "resource"


def jobs_of(caches: Caches, promise: str, key: Key, action: Action) -> list[Job]:
    """Returns the Jobs of one workflow of a request, or of the Promise itself; there are none if none are followed.

    One whose Pod has succeeded has ended (`end_by_pods`).

    Args:
        caches: where the Jobs are.
        promise: name of the Promise.
        key: the request or the Promise.
        action: whether the Jobs of its configure or of its delete workflow are wanted.
    """
    if JOB.name not in caches.informers:
        return []
    index = owner_index(label_value(promise), key.namespace, key.name)
    found = [
        job
        for job in caches.of(JOB, Job).by_index(BY_OWNER, index)
        if job.metadata.labels.get(names.WORKFLOW_TYPE) == workflow_type(key.kind)
        and job.metadata.labels.get(names.WORKFLOW_ACTION) == action
    ]
    return [
        job if job.state.end else replace(job, state=end_by_pods(job.state, pods_of(caches, job))) for job in found
    ]


def owner_key(caches: Caches, job: Job) -> Key | None:
    """Returns the key of the object for which a Job runs; None while the API of that request is not followed."""
    labels, annotations = job.metadata.labels, job.metadata.annotations
    name = annotations.get(names.JOB_RESOURCE_NAME, "")
    if labels.get(names.WORKFLOW_TYPE) == workflow_type(PROMISE.name):
        return Key(PROMISE.name, "", name)
    api = caches.request_apis.of_promise(labels.get(names.PROMISE_NAME, ""))
    if api is None or annotations.get(names.JOB_RESOURCE_KIND) != api.resource.kind:
        return None
    return Key(api.resource.name, annotations.get(names.JOB_RESOURCE_NAMESPACE, ""), name)


def is_outcome_recorded(caches: Caches, job: Job) -> bool:
    """Whether a Job that has ended is not needed any more: the status of its object says what it came to.

    So it is when the object is gone, or its status is about a later run. It is not while that is not known.
    """
    key = owner_key(caches, job)
    informer = caches.informer_of(key) if key else None
    if key is None or informer is None:
        return False
    owner = informer.get(key.namespace, key.name)
    if owner is None:
        return informer.synced.is_set()
    action: Action = "delete" if job.metadata.labels.get(names.WORKFLOW_ACTION) == "delete" else "configure"
    return (job.state.pipeline, job.state.attempt) not in _recorded_runs(owner.status, action)


def _recorded_runs(status: Mapping[str, Any], action: Action) -> set[tuple[str, int]]:
    """The runs that are under way by a status: label of the pipeline, and number. Without a number it is the first."""
    running = (record for record in read_progress(status, action) if record.phase == "Running")
    return {(label_value(record.name), max(record.run, 1)) for record in running}


def pods_of(caches: Caches, job: Job) -> list[PodState]:
    """Returns the Pods of a Job, as far as the operator has heard of them (`list_pods`)."""
    pods = caches.of(POD, Pod).by_index(BY_JOB, f"{job.metadata.namespace}/{job.metadata.name}")
    return [pod.state for pod in pods if job.metadata.uid in pod.metadata.owner_uids]


async def list_pods(client: Client, job: Job) -> list[PodState]:
    """Returns the Pods of a Job as the API server has them now.

    Jobs and Pods come by two watches, so the cache may be behind with what the Pods of a Job have done. Whoever decides
    something that cannot be taken back asks here.

    Raises:
        ApiError: the API server refuses it.
    """
    selector = f"{names.JOB_NAME}={job.metadata.name}"
    listed = await client.list(POD, job.metadata.namespace, label_selector=selector)
    pods = (follow_pod(obj) for obj in listed.items)
    return [pod.state for pod in pods if job.metadata.uid in pod.metadata.owner_uids]


async def learn_jobs(client: Client, caches: Caches, promise: str, key: Key, status: Mapping[str, Any]) -> None:
    """Puts those Jobs of an object into the cache whose runs have begun, and of which it has not heard.

    Such a Job may exist: its creation was not answered, for example, and its watch has not told of it yet. Whoever
    decides that nothing runs for an object calls this first. The API server is asked only if a Job is missing.

    Args:
        client: of the cluster.
        caches: where the Jobs are; nothing is done where none are followed.
        promise: name of the Promise.
        key: the request or the Promise.
        status: its status, in which every run is recorded before its Job is made.

    Raises:
        ApiError: the API server refuses it.
    """
    if JOB.name not in caches.informers:
        return
    for action in ACTIONS:
        known = {(job.state.pipeline, job.state.attempt) for job in jobs_of(caches, promise, key, action)}
        if _recorded_runs(status, action) <= known:
            continue
        labels = {
            names.PROMISE_NAME: label_value(promise),
            names.WORKFLOW_TYPE: workflow_type(key.kind),
            names.WORKFLOW_ACTION: action,
        }
        if key.kind != PROMISE.name:
            labels[names.RESOURCE_NAME] = label_value(key.name)
        selector = ",".join(f"{name}={value}" for name, value in labels.items())
        for obj in (await client.list(JOB, label_selector=selector)).items:
            if follow_job(obj).owner == owner_index(label_value(promise), key.namespace, key.name):
                caches.of(JOB, Job).observe(obj)
