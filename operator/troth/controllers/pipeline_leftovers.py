"""Removes what container pipelines leave on the cluster once nothing needs it any more.

An account, its rights and the ConfigMap with the destination selectors serve all requests of a version of a Promise, so
they stay when one of these is deleted, and go with the Promise. What a pipeline asked for and does not ask for any more
goes before its next run.

Rejected: *owner references to the Promise* (the garbage collector would take the rights away while the delete pipelines
still need them, and they would say nothing about a pipeline that asks for less).
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from typing import Any, Final

from troth.api import labels as names
from troth.api.keys import Key, key_of
from troth.api.objects import ObjectMeta, read_metadata
from troth.api.pipelines import ACTIONS
from troth.api.resources import (
    CLUSTER_ROLE,
    CLUSTER_ROLE_BINDING,
    CONFIG_MAP,
    ROLE,
    ROLE_BINDING,
    SERVICE_ACCOUNT,
    Resource,
)
from troth.controllers.job_views import jobs_of, learn_jobs
from troth.controllers.object_writes import delete_job
from troth.controllers.platform import Platform
from troth.engine.jobs.access import asked_access_labels, find_surplus
from troth.engine.jobs.runs import PipelineRun, label_value
from troth.kube import Client, NotFound

_RIGHTS: Final = (ROLE_BINDING, CLUSTER_ROLE_BINDING, ROLE, CLUSTER_ROLE)


async def remove_jobs(platform: Platform, promise: str, key: Key, status: Mapping[str, Any]) -> str:
    """Deletes the Jobs of both workflows of an object, whose status is given.

    Returns those that are still there, or an empty text.
    """
    await learn_jobs(platform.client, platform.caches, promise, key, status)
    left: list[str] = []
    for action in ACTIONS:
        for job in jobs_of(platform.caches, promise, key, action):
            await delete_job(platform, job)
        left += [job.metadata.name for job in jobs_of(platform.caches, promise, key, action)]
    return ", ".join(sorted(left))


async def remove_surplus(client: Client, run: PipelineRun) -> None:
    """Deletes the rights that a version of a pipeline has asked for before, and does not ask for any more.

    Args:
        client: of the cluster.
        run: the run that is about to start.

    Raises:
        ApiError: the API server refuses it.
    """
    selector = ",".join(f"{name}={value}" for name, value in asked_access_labels(run).items())
    live: dict[Key, tuple[Resource, ObjectMeta]] = {}
    for resource in _RIGHTS:
        for obj in (await client.list(resource, label_selector=selector)).items:
            live[key_of(resource, obj)] = (resource, read_metadata(obj))
    for key in find_surplus(run, live):
        await _delete(client, *live[key])


async def remove_all(client: Client, promise: str) -> None:
    """Deletes the accounts, rights and ConfigMaps of the pipelines of all versions of a Promise.

    An account that a pipeline names may be somebody else's. It does not have the label of a version, and stays.

    Raises:
        ApiError: the API server refuses it.
    """
    selector = f"{names.PROMISE_NAME}={label_value(promise)},{names.PROMISE_VERSION}"
    for resource in (*_RIGHTS, SERVICE_ACCOUNT, CONFIG_MAP):
        for obj in (await client.list(resource, label_selector=selector)).items:
            await _delete(client, resource, read_metadata(obj))


async def _delete(client: Client, resource: Resource, meta: ObjectMeta) -> None:
    with contextlib.suppress(NotFound):
        await client.delete(resource, meta.name, meta.namespace, uid=meta.uid)
