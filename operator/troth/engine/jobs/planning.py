"""What to do with the Jobs of one workflow of one object.

One Job runs at a time. A Job of another run than the current one is deleted at once, whatever it does: it may wait for
an image that will never exist, and its successor would wait for it for ever. It is of another run when the specs have
changed, and also when somebody has asked for a new run. Kratix waits for the first to end, and suspends the second.

Jobs are evidence and no memory: how far a workflow is stands in the object's status. The newest Job of a pipeline is
kept all the same, because how it ended may not have been recorded yet.

Before an object's delete workflow, its configure Jobs come to an end. One that has started a container of the author is
waited for, as in Kratix, since nobody can tell in the middle of what it is, and the delete pipelines would find half of
it. Only its own deadline bounds that. Any other has not done anything yet and is deleted at once: its image may never
exist.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from typing import Final

from troth.api.container_pipelines import READER, STATUS_WRITER
from troth.engine.jobs.observation import JobState, PodState

_OURS: Final = frozenset({READER, STATUS_WRITER})


@dataclass(frozen=True, slots=True)
class JobPlan:
    """What to do with the Jobs that there are, before another is started.

    Attributes:
        delete: names of Jobs to delete with their Pods, in the foreground: a Job is there as long as one of them runs.
        waits_for: the Job that has to be gone before the current one may start; "" for none.
    """

    delete: tuple[str, ...] = ()
    waits_for: str = ""


def plan_jobs(jobs: Iterable[JobState], current: str) -> JobPlan:
    """Decides what to do with the Jobs of one workflow (type and action) of one object.

    Args:
        jobs: all of them, of every pipeline, in any order.
        current: the name of the Job of the current run, which may not exist yet (`troth.engine.jobs.runs.job_name`).
    """
    in_the_way = sorted(
        (job for job in jobs if job.deleting or (job.is_running and job.name != current)), key=_age
    )
    return JobPlan(
        delete=tuple(job.name for job in in_the_way if not job.deleting),
        waits_for=in_the_way[-1].name if in_the_way else "",
    )


def is_at_work(job: JobState, pods: Sequence[PodState]) -> bool:
    """Whether a Job has started a container of the author and has not ended.

    Args:
        job: the Job.
        pods: of that Job.
    """
    started = (container.started and container.name not in _OURS for pod in pods for container in pod.containers)
    return job.is_running and any(started)


def find_spare_jobs(jobs: Iterable[JobState], keep: int) -> tuple[str, ...]:
    """Returns the names of the Jobs to delete, so that only the newest of each pipeline are left.

    A Job that may still run is never among them, nor the newest of its pipeline.

    Args:
        jobs: of one workflow of one object, in any order.
        keep: how many to keep of each pipeline (``numberOfJobsToKeep``); less than one counts as one.
    """
    spare: list[str] = []
    for _, group in groupby(sorted(jobs, key=lambda job: job.pipeline), key=lambda job: job.pipeline):
        newest = sorted((job for job in group if not job.deleting), key=_age, reverse=True)
        spare += [job.name for job in newest[max(keep, 1) :] if not job.is_running]
    return tuple(sorted(spare))


def is_expired(job: JobState, now: float, ttl: float) -> bool:
    """Says whether a Job ended so long ago that its Pods are to be deleted.

    Args:
        job: the Job.
        now: seconds since the epoch.
        ttl: for how many seconds the Pods are kept (``podTTLSecondsAfterFinished``).
    """
    try:
        return bool(job.ended) and now - datetime.fromisoformat(job.ended).timestamp() >= ttl
    except ValueError:
        return False  # whoever wrote that time is not the Job controller


def _age(job: JobState) -> tuple[str, int, str]:
    return job.created, job.attempt, job.name
