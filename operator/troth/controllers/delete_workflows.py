"""What the delete workflows of requests and of Promises have in common, besides how their steps are run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from troth.api import Key
from troth.api import labels as names
from troth.api.resources import JOB
from troth.controllers.job_views import Job, jobs_of, learn_jobs, list_pods, pods_of
from troth.controllers.object_writes import delete_job
from troth.controllers.platform import Platform
from troth.controllers.workflow import Run
from troth.engine.jobs.outcome import JobRunning, judge_job
from troth.engine.jobs.planning import is_at_work


async def end_configuring(platform: Platform, promise: str, key: Key, status: Mapping[str, Any]) -> str:
    """Brings the configure Jobs of an object to an end (`troth.engine.jobs.planning`), before its delete workflow.

    Args:
        platform: what reconcilers share.
        promise: name of the Promise.
        key: the request, or the Promise itself.
        status: of that object.

    Returns:
        What that waits for, such as "its pipeline instance to end, …"; or an empty text.
    """
    caches = platform.caches
    await learn_jobs(platform.client, caches, promise, key, status)
    for job in jobs_of(caches, promise, key, "configure"):
        state, pods = job.state, pods_of(caches, job)
        if state.is_running and not state.deleting and not is_at_work(state, pods):
            pods = await list_pods(platform.client, job)  # a container may have started a moment ago
        if is_at_work(state, pods) and not state.deleting:
            outcome = judge_job(state, pods)
            obstacle = f": {outcome.message}" if isinstance(outcome, JobRunning) and outcome.message else ""
            return f"its pipeline {state.pipeline} to end, which the Job {state.name} still runs{obstacle}"
        if state.is_running:
            await delete_job(platform, job)
            if caches.of(JOB, Job).get(job.metadata.namespace, state.name) is not None:
                return f"the Job {state.name} of its pipeline {state.pipeline} to be removed"
    return ""


def answered_labels(labels: Mapping[str, str], run: Run) -> dict[str, str | None]:
    """Returns the patch that takes those labels off that asked for a run, once the status says what became of that.

    A run begins only after they are off, so one label never leads to two runs.

    Args:
        labels: of the object that is being deleted.
        run: how far its delete workflow is.
    """
    begins = run.progress.running is not None and run.progress.running.begins > 0
    asked = {names.MANUAL_RECONCILIATION, *((names.WORKFLOW_SUSPENDED,) if begins else ())}
    return dict.fromkeys(sorted(asked & labels.keys()))
