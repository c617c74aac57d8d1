"""Writes objects to the API server, and puts what it answers into the cache at once.

Each kind of write is here once, because each has a case that is easily forgotten: an object with a computed name may
exist already, an object may be gone by the time it is written, and a deletion may be answered by a Status instead of
the object.
Status and finalizers are written by `Platform`, which every reconciler has anyway.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any

from troth.api import Key, Resource
from troth.api.objects import ObjectMeta
from troth.api.resources import JOB
from troth.controllers.job_views import Job
from troth.controllers.platform import Platform
from troth.kube import AlreadyExists, Informer, NotFound


async def create_or_patch(
    platform: Platform,
    informer: Informer[Any],
    resource: Resource,
    body: Mapping[str, Any],
    patch_existing: Callable[[Mapping[str, Any]], Mapping[str, Any] | None],
) -> dict[str, Any]:
    """Creates an object whose name is computed, or brings the one that has the name to what is wanted.

    Such an object exists when the answer to our own earlier write was lost, when the cache is behind, or when somebody
    else has made it.

    Args:
        platform: what reconcilers share.
        informer: the cache that gets the answer.
        resource: the kind.
        body: the whole object.
        patch_existing: takes the object that exists and returns the merge patch for it, or None to leave it as it is.
            It raises an exception when the object may not be touched.

    Returns:
        The object as it is now.
    """
    meta = body["metadata"]
    try:
        answer = await platform.client.create(resource, body)
    except AlreadyExists:
        answer = await platform.client.get(resource, meta["name"], meta.get("namespace", ""))
        patch = patch_existing(answer)
        if patch is not None:
            answer = await platform.client.merge_patch(
                resource, meta["name"], patch, namespace=meta.get("namespace", "")
            )
    informer.observe(answer)
    return answer


async def patch_object(
    platform: Platform, informer: Informer[Any], resource: Resource, meta: ObjectMeta, patch: Mapping[str, Any]
) -> dict[str, Any] | None:
    """Applies a merge patch. Returns the object as it is now, or None when it is gone."""
    try:
        answer = await platform.client.merge_patch(resource, meta.name, patch, namespace=meta.namespace)
    except NotFound:
        return None
    informer.observe(answer)
    return answer


async def delete_object(
    platform: Platform,
    informer: Informer[Any],
    resource: Resource,
    meta: ObjectMeta,
    *,
    propagation: str = "Background",
) -> None:
    """Starts the deletion of an object, unless it has begun, or the object is gone.

    ``propagation`` is Kubernetes' word: with ``Foreground`` the object is there as long as one is that it owns.

    Raises:
        Conflict: another object has its name now, or the API server could not delete it at this moment. The API
            server does not tell which of the two it was, so the caller has to look again.
    """
    if meta.deleting:
        return
    try:
        answer = await platform.client.delete(
            resource, meta.name, meta.namespace, uid=meta.uid, propagation=propagation
        )
    except NotFound:
        return
    informer.observe(answer)  # which passes over a Status: that is the answer when no finalizer holds the object


async def delete_job(platform: Platform, job: Job) -> None:
    """Starts the deletion of a Job as `delete_object` does. It is there as long as one of its Pods is."""
    informer = platform.caches.of(JOB, Job)
    await delete_object(platform, informer, JOB, job.metadata, propagation="Foreground")


async def take_finalizers_off(
    platform: Platform,
    informer: Informer[Any],
    resource: Resource,
    key: Key,
    meta: ObjectMeta,
    finalizers: Collection[str],
) -> None:
    """Removes finalizers of ours from an object; those of others stay.

    Raises:
        Conflict: the object has changed since it was read.
    """
    await platform.set_finalizers(
        informer,
        resource,
        key,
        finalizers=[name for name in meta.finalizers if name not in finalizers],
        resource_version=meta.resource_version,
    )


def object_reference(resource: Resource, meta: ObjectMeta) -> dict[str, Any]:
    """The reference to an object, in the form that an Event takes."""
    reference = {"apiVersion": resource.api_version, "kind": resource.kind, "name": meta.name}
    if meta.namespace:
        reference["namespace"] = meta.namespace
    return {**reference, "uid": meta.uid}
