"""What is done with the Jobs that there are: one runs at a time, and what is not needed any more goes."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from troth.engine.jobs.observation import JobState
from troth.engine.jobs.planning import JobPlan, find_spare_jobs, plan_jobs

RUNNING = JobState("running", pipeline="a", hash="now", created="2026-11-30T10:00:00Z")
DONE = replace(RUNNING, name="done", end="Complete")
FAILED = replace(RUNNING, name="failed", end="Failed")
OUTDATED = replace(RUNNING, name="outdated", hash="before")
SUSPENDED = replace(RUNNING, name="suspended", to_suspend=True, suspended=True)


@pytest.mark.parametrize("jobs", [(), (DONE,), (FAILED,), (SUSPENDED,), (replace(OUTDATED, end="Failed"),)])
def test_nothing_is_waited_for_when_nothing_runs(jobs: tuple[JobState, ...]) -> None:
    assert plan_jobs(jobs, "now") == JobPlan()


def test_a_job_that_runs_for_the_current_specs_is_waited_for() -> None:
    assert plan_jobs([DONE, RUNNING], "now") == JobPlan(waits_for="running")


def test_a_job_that_runs_for_other_specs_is_deleted_at_once_whatever_it_waits_for() -> None:
    assert plan_jobs([OUTDATED], "now") == JobPlan(delete=("outdated",), waits_for="outdated")
    assert plan_jobs([OUTDATED], "now", anew=True) == JobPlan(delete=("outdated",), waits_for="outdated")


def test_a_job_that_is_being_deleted_is_waited_for_and_not_deleted_again() -> None:
    assert plan_jobs([replace(OUTDATED, deleting=True)], "now") == JobPlan(waits_for="outdated")
    assert plan_jobs([replace(DONE, deleting=True)], "now") == JobPlan(waits_for="done")


def test_a_job_is_suspended_when_somebody_asks_for_a_new_run() -> None:
    assert plan_jobs([RUNNING], "now", anew=True) == JobPlan(suspend=("running",), waits_for="running")


def test_a_job_is_suspended_once_and_waited_for_until_it_is() -> None:
    told = replace(RUNNING, to_suspend=True)
    assert plan_jobs([told], "now", anew=True) == JobPlan(waits_for="running")
    assert plan_jobs([replace(told, suspended=True)], "now", anew=True) == JobPlan()


def many(count: int, pipeline: str = "a", first: int = 0) -> list[JobState]:
    """Jobs that are done, the oldest first."""
    return [
        replace(DONE, name=f"{pipeline}-{number}", pipeline=pipeline, created=f"2026-11-30T10:00:{number:02}Z")
        for number in range(first, first + count)
    ]


def test_the_newest_jobs_of_each_pipeline_are_kept() -> None:
    jobs = [*many(7), *many(3, "b", 40)]
    assert find_spare_jobs(jobs, 5) == ("a-0", "a-1")
    assert find_spare_jobs(jobs, 2) == ("a-0", "a-1", "a-2", "a-3", "a-4", "b-40")


def test_of_two_jobs_of_one_second_the_later_attempt_is_kept() -> None:
    jobs = [replace(DONE, name=name, attempt=attempt) for name, attempt in (("a", 10), ("b", 9))]
    assert find_spare_jobs(jobs, 1) == ("b",)


def test_a_job_that_runs_is_kept_however_old_it_is_and_however_many_there_are() -> None:
    oldest, *rest = many(4)
    assert find_spare_jobs([replace(oldest, end=""), *rest], 1) == ("a-1", "a-2")


def test_failed_and_suspended_jobs_are_pruned_like_others() -> None:
    one, two, three = many(3)
    jobs = [replace(one, end="Failed"), replace(two, end="", to_suspend=True, suspended=True), three]
    assert find_spare_jobs(jobs, 1) == ("a-0", "a-1")


def test_the_newest_job_is_kept_even_when_none_is_to_be() -> None:
    assert find_spare_jobs(many(2), 0) == ("a-0",)


JOB = st.builds(
    JobState,
    name=st.uuids().map(str),
    pipeline=st.sampled_from(["a", "b"]),
    hash=st.sampled_from(["now", "before"]),
    attempt=st.integers(0, 20),
    created=st.integers(0, 9).map(lambda second: f"2026-11-30T10:00:0{second}Z"),
    end=st.sampled_from(["", "Complete", "Failed"]),
    to_suspend=st.booleans(),
    suspended=st.booleans(),
    deleting=st.booleans(),
)
JOBS = st.lists(JOB, max_size=12, unique_by=lambda job: job.name)


def carry_out(jobs: list[JobState], plan: JobPlan) -> list[JobState]:
    """The Jobs once everything that the plan says is done, and what is being deleted is gone."""
    left = [job for job in jobs if job.name not in plan.delete and not job.deleting]
    return [replace(job, to_suspend=True, suspended=True) if job.name in plan.suspend else job for job in left]


@given(JOBS, st.booleans())
def test_nothing_starts_while_anything_may_run(jobs: list[JobState], anew: bool) -> None:
    plan = plan_jobs(jobs, "now", anew=anew)
    assert bool(plan.waits_for) == any(job.is_running or job.deleting for job in jobs)


@given(JOBS, st.booleans())
def test_a_plan_that_is_carried_out_leaves_only_current_jobs_running_and_nothing_to_do(
    jobs: list[JobState], anew: bool
) -> None:
    left = carry_out(jobs, plan_jobs(jobs, "now", anew=anew))
    again = plan_jobs(left, "now", anew=anew)
    assert (again.delete, again.suspend) == ((), ())
    running = [job for job in left if job.is_running]
    assert all(job.hash == "now" for job in running)
    assert not anew or all(job.to_suspend for job in running)


@given(JOBS)
def test_a_current_job_is_never_deleted_and_one_that_has_ended_is_never_touched(jobs: list[JobState]) -> None:
    plan = plan_jobs(jobs, "now", anew=True)
    touched = {*plan.delete, *plan.suspend}
    assert all(job.is_running and not job.deleting for job in jobs if job.name in touched)
    assert all(job.hash != "now" for job in jobs if job.name in plan.delete)


@given(JOBS, st.integers(-1, 6))
def test_pruning_takes_no_job_that_runs_and_leaves_as_many_as_are_to_be_kept(
    jobs: list[JobState], keep: int
) -> None:
    spare = find_spare_jobs(jobs, keep)
    assert not any(job.is_running or job.deleting for job in jobs if job.name in spare)
    for pipeline in ("a", "b"):
        of_it = [job for job in jobs if job.pipeline == pipeline and not job.deleting]
        left = [job for job in of_it if job.name not in spare]
        assert len(left) >= min(len(of_it), max(keep, 1))
        assert len([job for job in left if not job.is_running]) <= max(keep, 1)
        newest = max(of_it, key=lambda job: (job.created, job.attempt, job.name), default=None)
        assert newest is None or newest in left


@given(JOBS, st.integers(0, 6))
def test_plans_do_not_depend_on_the_order_of_a_list(jobs: list[JobState], keep: int) -> None:
    shuffled = sorted(jobs, key=lambda job: job.name)
    assert plan_jobs(jobs, "now") == plan_jobs(shuffled, "now")
    assert find_spare_jobs(jobs, keep) == find_spare_jobs(shuffled, keep)
