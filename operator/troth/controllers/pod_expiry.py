"""Deletes the Pods of Jobs that ended some time ago, where the configuration asks for it.

It is Kratix's ``workflows.jobOptions.podTTLSecondsAfterFinished``. The Jobs stay, so that how a run ended can still be
seen. Only a Pod says why a container has failed, so it stays until the status of the object says that, too: the
operator may have been away when the Job ended. Rejected: ``ttlSecondsAfterFinished`` of the Job, with which Kubernetes
would delete the Job as well.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Final

from troth.api.resources import JOB, POD
from troth.controllers.caches import BY_JOB
from troth.controllers.job_views import Job, Pod, is_outcome_recorded
from troth.controllers.object_writes import delete_object
from troth.controllers.platform import Platform
from troth.engine.jobs.planning import is_expired
from troth.kube import KubeError

logger = logging.getLogger(__name__)

INTERVAL: Final = 5.0
"""Seconds between two looks at the Jobs."""

_AT_A_TIME: Final = 500  # Jobs that are looked at before others have a turn on the event loop


async def delete_expired_pods(platform: Platform, *, interval: float = INTERVAL) -> None:
    """Deletes such Pods for as long as the operator runs."""
    while True:
        await asyncio.sleep(interval)
        ttl = platform.settings.pod_ttl_seconds
        if ttl is None or JOB.name not in platform.caches.informers:
            continue
        try:
            await _sweep(platform, ttl)
        except KubeError as error:
            logger.warning("Pods of Jobs that have ended cannot be deleted: %s", error)


async def _sweep(platform: Platform, ttl: float) -> None:
    informer = platform.caches.of(POD, Pod)
    jobs = platform.caches.of(JOB, Job).items()
    for start in range(0, len(jobs), _AT_A_TIME):
        now = platform.clock()
        for job in jobs[start : start + _AT_A_TIME]:
            if not is_expired(job.state, now, ttl) or not is_outcome_recorded(platform.caches, job):
                continue
            for pod in informer.by_index(BY_JOB, f"{job.metadata.namespace}/{job.metadata.name}"):
                if not pod.metadata.deleting and job.metadata.uid in pod.metadata.owner_uids:
                    await delete_object(platform, informer, POD, pod.metadata)
        await asyncio.sleep(0)
