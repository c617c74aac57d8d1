"""What to do with the Jobs of one workflow of one object.

One Job runs at a time. A Job of other specs than the current ones is deleted at once, whatever it does: it may wait for
an image that will never exist, and its successor would wait for it for ever. Kratix waits for it to end. A Job that
somebody wants to run anew is suspended, as in Kratix, so that people can still look at it. If the workflow is only to
start again after the running Job, that Job is waited for.

Jobs are evidence and no memory: how far a workflow is stands in the object's status. The newest Job of a pipeline is
kept all the same, because how it ended may not have been recorded yet.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import groupby

from troth.engine.jobs.observation import JobState


@dataclass(frozen=True, slots=True)
class JobPlan:
    """What to do with the Jobs that there are, before another is started.

    Attributes:
        delete: names of Jobs to delete with their Pods, in the foreground: a Job is there as long as one of them runs.
        suspend: names of Jobs to suspend.
        waits_for: the Job that has to end, to be suspended or to be gone before the next may start; "" for none.
    """

    delete: tuple[str, ...] = ()
    suspend: tuple[str, ...] = ()
    waits_for: str = ""


def plan_jobs(jobs: Iterable[JobState], current_hash: str, *, anew: bool = False) -> JobPlan:
    """Decides what to do with the Jobs of one workflow (type and action) of one object.

    Args:
        jobs: all of them, of every pipeline, in any order.
        current_hash: of the specs for which the workflow runs now.
        anew: somebody asked that what runs be ended and everything run again (``kratix.io/manual-reconciliation``).
    """
    in_the_way = sorted((job for job in jobs if job.is_running or job.deleting), key=_age)
    outdated = [job for job in in_the_way if job.hash != current_hash and not job.deleting]
    current = [job for job in in_the_way if job.hash == current_hash and not job.deleting]
    return JobPlan(
        delete=tuple(job.name for job in outdated),
        suspend=tuple(job.name for job in current if anew and not job.to_suspend),
        waits_for=in_the_way[-1].name if in_the_way else "",
    )


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


def _age(job: JobState) -> tuple[str, int, str]:
    return job.created, job.attempt, job.name
