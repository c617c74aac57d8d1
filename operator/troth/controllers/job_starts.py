"""The start of a run: the object that its containers read, and its Job.

The object is read live, as late as possible, since the caches may be behind. It becomes a part of the Job, and the Pod
of a Job cannot be changed any more. So a Job of the same run that is there already stays as it is: whoever made it may
have been killed before it heard of it, and the object may have changed since then.
"""

from __future__ import annotations

import asyncio
from typing import Any

from troth.engine.jobs.access import Placed
from troth.engine.jobs.inputs import object_text
from troth.engine.jobs.objects import pod_annotations
from troth.engine.jobs.runs import PipelineRun
from troth.kube import REFUSALS, Client, NotFound


async def read_object_text(client: Client, run: PipelineRun) -> str:
    """Returns what ``object.yaml`` holds for a run, or "" if a container has to write it.

    That is so for what an annotation cannot hold. It is also so for what the operator cannot read: the container says
    what the API server says to it.

    Raises:
        KubeError: the API server does not answer.
    """
    try:
        live = await client.get(run.resource, run.name, run.object_namespace)
    except REFUSALS:
        return ""
    return await asyncio.to_thread(object_text, live, pod_annotations(run))


async def begin_job(client: Client, job: Placed) -> dict[str, Any]:
    """Applies the Job of a run, unless there is one of its name; returns the one that there is.

    Raises:
        ApiError: the API server refuses it.
        KubeError: it does not answer.
    """
    resource, obj = job
    try:
        return await client.get(resource, obj["metadata"]["name"], obj["metadata"]["namespace"])
    except NotFound:
        return await client.apply(resource, obj)
