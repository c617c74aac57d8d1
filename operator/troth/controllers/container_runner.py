"""Runs pipelines of containers: each in a Job of its own, one after another.

A run is recorded before anything of it is made. The step is Running in the object's status, with the number of the run,
and only then are the ServiceAccount, its roles, the ConfigMap and the Job applied. The name of the Job follows from
that number, so an operator that was killed between any two writes finds the Job again or applies the same one, and a
pipeline never runs twice for one record. Once a step has ended, the status alone says so, and Jobs may be deleted.

What the Pod wrote becomes part of its object when it has succeeded: its Work is sealed (`Works.take_over`), and what
it said is read from the object's status, both live, since the caches may be behind the Job's.

Rejected: *a run that begins within the reconciliation that decides it* (a crash before its record is written would be
followed by a second Job); *the Job as the record* (whoever deletes old Jobs would have everything run again).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, ClassVar, Final

from troth.api import labels as names
from troth.api.container_pipelines import ContainerPipeline
from troth.api.keys import Key, key_of
from troth.api.objects import Selector
from troth.api.resources import JOB, SERVICE_ACCOUNT
from troth.api.statuses import read_own
from troth.api.step_reports import read_step_report, reported_status
from troth.api.typed import read_map
from troth.controllers.job_starts import begin_job, read_object_text
from troth.controllers.job_views import Job, jobs_of, list_pods, pods_of
from troth.controllers.job_warnings import JobWarnings
from troth.controllers.object_writes import delete_job
from troth.controllers.owners import owner_index
from troth.controllers.pipeline_leftovers import remove_surplus
from troth.controllers.platform import Platform
from troth.controllers.steps import Subject, Visit, Workflow
from troth.controllers.workflow_works import WorkOwner, Works
from troth.engine.failure import Failure
from troth.engine.jobs.access import Placed, make_asked_access, may_write_account
from troth.engine.jobs.objects import make_objects
from troth.engine.jobs.observation import ContainerEnd
from troth.engine.jobs.outcome import JobFailed, JobRunning, JobSucceeded, judge_job, step_outcome
from troth.engine.jobs.planning import find_spare_jobs, plan_jobs
from troth.engine.jobs.runs import PipelineRun, job_name, pipeline_id
from troth.engine.rendering.durations import parse_duration
from troth.engine.status.request import parse_time
from troth.engine.workflow.outcomes import Kept, Running, StepOutcome, Suspended
from troth.engine.workflow.progress import StepRecord, read_progress
from troth.kube import REFUSALS, NotFound

_REFUSED_AGAIN: Final = 60.0
_MOST_SEEN: Final = 5_000


class ContainerRunner:
    """Runs pipelines of containers for requests and Promises."""

    repeatable: ClassVar[bool] = False

    def __init__(self, platform: Platform, works: Works) -> None:
        self._platform = platform
        self._works = works
        self._warnings = JobWarnings(platform.client, platform.clock)
        self._seen: dict[str, ContainerEnd] = {}
        self._asked: dict[str, frozenset[Key]] = {}

    async def run(self, steps: Sequence[ContainerPipeline], visit: Visit) -> Sequence[StepOutcome]:
        """The outcome of the first pipeline: the next one begins when it has ended."""
        step, workflow = steps[0], visit.workflow
        subject = workflow.subject
        if subject is None:
            raise ValueError(f"{workflow.key}: its containers do not have anything to run for")
        recorded = {record.name: record for record in read_progress(workflow.status, workflow.action)}
        record = recorded.get(step.name, StepRecord(step.name, "Pending"))
        match visit.actions[step.name]:
            case "run":
                return [self._begin(step, workflow, subject, record)]
            case "observe":
                return [await self._observe(step, workflow, subject, record)]
            case "keep":
                report = read_step_report(workflow.status, workflow.action, step.name)
                return [Kept(step.name, reported_status(workflow.status, report))]
            case "halt":
                return [Suspended(step.name)]
            case "stay":
                return [await self._stay(step, workflow, subject, record)]

    async def leave(self, workflow: Workflow) -> None:
        """Deletes the Jobs that still run for a workflow which has no container pipelines any more."""
        if workflow.subject is None:
            return
        for job in self._jobs_of(workflow, workflow.subject).values():
            if job.state.is_running:
                await delete_job(self._platform, job)

    def _begin(
        self, step: ContainerPipeline, workflow: Workflow, subject: Subject, record: StepRecord
    ) -> StepOutcome:
        """Takes the next number. A Job may have a higher one than the status, if the pipeline was away meanwhile."""
        jobs = self._jobs_of(workflow, subject).values()
        return Running(step.name, begins=1 + max([record.run, *(job.state.attempt for job in jobs)]))

    async def _observe(
        self, step: ContainerPipeline, workflow: Workflow, subject: Subject, record: StepRecord
    ) -> StepOutcome:
        """Finds out how far a run is, and starts it if nothing of it is there."""
        run = _run_of(step, workflow, subject, max(record.run, 1))
        name = job_name(run)
        jobs = self._jobs_of(workflow, subject)
        plan = plan_jobs([job.state for job in jobs.values()], name)
        for each in plan.delete:
            await delete_job(self._platform, jobs[each])
        job = jobs.get(name)
        if job is not None and not job.metadata.deleting:
            return await self._judge(run, job, workflow, subject, known=bool(record.message))
        if plan.waits_for:
            return Running(step.name, f"the Job {plan.waits_for} of an earlier run is being removed")
        return await self._start(run, workflow, subject)

    async def _start(self, run: PipelineRun, workflow: Workflow, subject: Subject) -> StepOutcome:
        """Applies everything that a run needs, the Job last."""
        try:
            await self._remove_surplus(run)
        except REFUSALS as error:
            message = (
                f"the API server does not let the operator take rights away from the pipeline: {error.message}"
            )
            return Failure("JobRefused", message, again=_REFUSED_AGAIN).within(run.pipeline.name)
        pods, client = self._platform.settings.pods, self._platform.client
        text = await read_object_text(client, run) if pods.object_in_annotation else ""
        objects = make_objects(run, pods, text)
        refused = objects.account
        try:
            account = await self._find(objects.account)
            for placed in objects.in_order:
                if placed is objects.account and not may_write_account(run, account):
                    continue
                refused = placed
                if placed is not objects.job:
                    await client.apply(*placed)
            answer = await begin_job(client, objects.job)
        except REFUSALS as error:
            resource, obj = refused
            message = f"the API server refuses the {resource.kind} {obj['metadata']['name']}: {error.message}"
            return Failure("JobRefused", message, again=_REFUSED_AGAIN).within(run.pipeline.name)
        jobs = self._platform.caches.of(JOB, Job)
        jobs.observe(answer)
        job = jobs.get(run.namespace, job_name(run))
        if job is None or job.metadata.deleting:
            return Running(run.pipeline.name)
        return await self._judge(run, job, workflow, subject, known=False)

    async def _remove_surplus(self, run: PipelineRun) -> None:
        """Deletes rights that a pipeline does not ask for any more: once after each start, and after each change."""
        asked = frozenset(key_of(*placed) for placed in make_asked_access(run))
        pipeline = f"{run.namespace}/{pipeline_id(run)}"
        if self._asked.get(pipeline) == asked:
            return
        await remove_surplus(self._platform.client, run)
        if len(self._asked) >= _MOST_SEEN:
            self._asked.pop(next(iter(self._asked)))
        self._asked[pipeline] = asked

    async def _find(self, placed: Placed) -> dict[str, Any] | None:
        meta = placed[1]["metadata"]
        try:
            return await self._platform.client.get(SERVICE_ACCOUNT, meta["name"], meta["namespace"])
        except NotFound:
            return None

    async def _judge(
        self, run: PipelineRun, job: Job, workflow: Workflow, subject: Subject, *, known: bool
    ) -> StepOutcome:
        """``known`` says whether something that the Job waits for has been reported."""
        uid = job.metadata.uid
        pods = pods_of(self._platform.caches, job)
        warnings, again = await self._warnings.look(job, pods, known=known)
        outcome = judge_job(job.state, pods, warnings, seen=self._seen.get(uid))
        if isinstance(outcome, JobFailed) and outcome.failure is None:
            # Jobs and Pods come by two watches, so the Job's failure may be seen before the container's.
            outcome = judge_job(job.state, await list_pods(self._platform.client, job), warnings)
        if isinstance(outcome, JobRunning):
            if outcome.failure is not None:
                self._remember(uid, outcome.failure)
            return step_outcome(run.pipeline.name, outcome, again=again)
        self._seen.pop(uid, None)
        await self._prune(workflow, subject)
        if isinstance(outcome, JobSucceeded):
            return await self._finish(run, workflow, subject)
        return step_outcome(run.pipeline.name, outcome)

    async def _finish(self, run: PipelineRun, workflow: Workflow, subject: Subject) -> StepOutcome:
        """Takes over what a run left: its Work, and what it said in the status and asked of its workflow."""
        key, pipeline = workflow.key, run.pipeline.name
        live = await self._platform.client.get(subject.resource, key.name, key.namespace)
        informer = self._platform.caches.informer_of(key)
        if informer is not None:
            informer.observe(live)
        status = read_map(live.get("status"))
        report = read_step_report(status, workflow.action, pipeline)
        said = reported_status(status, report)
        if report.suspend or report.retry_after:
            most = _fewest(report.max_attempts, run.pipeline.options.max_attempts)
            return Suspended(pipeline, report.message, _seconds(report.retry_after), said, most)
        if run.action == "configure":
            problem = await self._works.take_over(_owner(workflow, subject), run.type, pipeline)
            if problem:
                return Failure("JobFailed", problem).within(pipeline)
        return Kept(pipeline, said)

    async def _stay(
        self, step: ContainerPipeline, workflow: Workflow, subject: Subject, record: StepRecord
    ) -> StepOutcome:
        """What a step that failed or is suspended has said, unless it is time for another run."""
        if record.phase == "Failed":
            failure = _recorded_failure(workflow, record)
            if failure.reason == "JobRefused":  # the API server may accept it now
                return await self._observe(step, workflow, subject, record)
            return failure
        report = read_step_report(workflow.status, workflow.action, step.name)
        left = None
        if report.retry_after and record.retry_at:
            left = parse_time(record.retry_at).timestamp() - self._platform.clock()
        if names.WORKFLOW_SUSPENDED not in subject.labels or (left is not None and left <= 0):
            return self._begin(step, workflow, subject, record)
        most = _fewest(report.max_attempts, step.options.max_attempts)
        return Suspended(step.name, record.message, left, reported_status(workflow.status, report), most)

    async def _prune(self, workflow: Workflow, subject: Subject) -> None:
        """Deletes the Jobs that are too many, so that the newest of each pipeline are left for people to look at."""
        jobs = self._jobs_of(workflow, subject)
        for name in find_spare_jobs([job.state for job in jobs.values()], self._platform.settings.jobs_kept):
            await delete_job(self._platform, jobs[name])

    def _jobs_of(self, workflow: Workflow, subject: Subject) -> dict[str, Job]:
        """The Jobs of a workflow, by their names."""
        found = jobs_of(self._platform.caches, subject.promise, workflow.key, workflow.action)
        return {job.metadata.name: job for job in found}

    def _remember(self, uid: str, failure: ContainerEnd) -> None:
        """Remembers how a container failed, since the Job controller removes the Pod of a Job that has failed."""
        if uid not in self._seen and len(self._seen) >= _MOST_SEEN:
            self._seen.pop(next(iter(self._seen)))
        self._seen[uid] = failure


def _run_of(step: ContainerPipeline, workflow: Workflow, subject: Subject, attempt: int) -> PipelineRun:
    key, selectors = workflow.key, workflow.selectors
    traces = (names.TRACE_PARENT, names.TRACE_STATE)
    return PipelineRun(
        pipeline=step,
        type=subject.type,
        action=workflow.action,
        promise=subject.promise,
        version=subject.version,
        resource=subject.resource,
        name=key.name,
        uid=subject.uid,
        object_namespace=key.namespace,
        namespace=subject.namespace,
        hash=workflow.hash,
        attempt=attempt,
        separate=subject.separate,
        last=workflow.names[-1] == step.name,
        selectors=(Selector(selectors, "promise"),) if selectors else (),
        trace={name: subject.annotations[name] for name in traces if name in subject.annotations},
    )


def _owner(workflow: Workflow, subject: Subject) -> WorkOwner:
    key = workflow.key
    name = key.name if subject.type == "resource" else ""
    return WorkOwner(
        promise=subject.promise,
        name=name,
        namespace=key.namespace,
        work_namespace=subject.namespace,
        index=owner_index(subject.promise, key.namespace, name),
        uid=subject.uid,
    )


def _recorded_failure(workflow: Workflow, record: StepRecord) -> Failure:
    """The failure that the status has recorded for a step."""
    said = Failure.from_status(read_map(read_own(workflow.status).fields.get("failure")))
    if said is None or said.pipeline != record.name:
        return Failure("JobFailed", record.message.removeprefix(f"{record.name}: ")).within(record.name)
    return replace(said, attempts=record.attempts) if said.reason == "AttemptsExhausted" else said


def _fewest(asked: int, declared: int | None) -> int:
    """The limit of attempts that the pipeline asks for and the one that its Promise declares, whichever is lower."""
    return min((most for most in (asked, declared) if most), default=0)


def _seconds(duration: str) -> float | None:
    """How long to wait before the next run; None when nobody asked for one, or it cannot be read."""
    try:
        return parse_duration(duration) if duration else None
    except ValueError:
        return None
