"""What is done with the Jobs that there are: one runs at a time, and what is not needed any more goes."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from troth.engine.jobs.observation import ContainerState, JobState, PodState, read_pod
from troth.engine.jobs.planning import JobPlan, find_spare_jobs, is_at_work, is_expired, plan_jobs

RUNNING = JobState("running", pipeline="a", created="2026-11-30T10:00:00Z")
DONE = replace(RUNNING, name="done", end="Complete")
FAILED = replace(RUNNING, name="failed", end="Failed")
OUTDATED = replace(RUNNING, name="outdated")
SUSPENDED = replace(RUNNING, name="suspended", suspended=True)


@pytest.mark.parametrize("jobs", [(), (DONE,), (FAILED,), (SUSPENDED,), (replace(OUTDATED, end="Failed"),)])
@pytest.mark.parametrize("current", ["running", "done", "next"])
def test_nothing_is_waited_for_when_nothing_runs(jobs: tuple[JobState, ...], current: str) -> None:
    assert plan_jobs(jobs, current) == JobPlan()


def test_the_job_of_the_current_run_is_left_alone() -> None:
    assert plan_jobs([DONE, RUNNING], "running") == JobPlan()


def test_a_job_that_runs_for_other_specs_is_deleted_at_once_whatever_it_waits_for() -> None:
    assert plan_jobs([OUTDATED], "next") == JobPlan(delete=("outdated",), waits_for="outdated")
    assert plan_jobs([OUTDATED, RUNNING], "running") == JobPlan(delete=("outdated",), waits_for="outdated")


def test_a_job_that_runs_for_the_same_specs_is_deleted_when_somebody_asks_for_a_new_run() -> None:
    assert plan_jobs([RUNNING], "next") == JobPlan(delete=("running",), waits_for="running")


def test_a_job_that_is_being_deleted_is_waited_for_and_not_deleted_again() -> None:
    assert plan_jobs([replace(OUTDATED, deleting=True)], "next") == JobPlan(waits_for="outdated")
    assert plan_jobs([replace(DONE, deleting=True)], "next") == JobPlan(waits_for="done")
    assert plan_jobs([replace(RUNNING, deleting=True)], "running") == JobPlan(waits_for="running")


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
    jobs = [replace(one, end="Failed"), replace(two, end="", suspended=True), three]
    assert find_spare_jobs(jobs, 1) == ("a-0", "a-1")


def test_the_newest_job_is_kept_even_when_none_is_to_be() -> None:
    assert find_spare_jobs(many(2), 0) == ("a-0",)


JOB = st.builds(
    JobState,
    name=st.uuids().map(str),
    pipeline=st.sampled_from(["a", "b"]),
    attempt=st.integers(0, 20),
    created=st.integers(0, 9).map(lambda second: f"2026-11-30T10:00:0{second}Z"),
    end=st.sampled_from(["", "Complete", "Failed"]),
    suspended=st.booleans(),
    deleting=st.booleans(),
)
JOBS = st.lists(JOB, max_size=12, unique_by=lambda job: job.name)


def carry_out(jobs: list[JobState], plan: JobPlan) -> list[JobState]:
    """The Jobs once everything that the plan says is done, and what is being deleted is gone."""
    return [job for job in jobs if job.name not in plan.delete and not job.deleting]


@st.composite
def jobs_and_current(draw: st.DrawFn) -> tuple[list[JobState], str]:
    """Jobs, and the name of the current run's: of one of them, or of one that does not exist yet."""
    jobs = draw(JOBS)
    return jobs, draw(st.sampled_from([*(job.name for job in jobs), "next"]))


@given(jobs_and_current())
def test_nothing_starts_while_anything_may_run(drawn: tuple[list[JobState], str]) -> None:
    jobs, current = drawn
    others = any(job.deleting or (job.is_running and job.name != current) for job in jobs)
    assert bool(plan_jobs(jobs, current).waits_for) == others


@given(jobs_and_current())
def test_a_plan_that_is_carried_out_leaves_only_the_current_job_running_and_nothing_to_do(
    drawn: tuple[list[JobState], str],
) -> None:
    jobs, current = drawn
    left = carry_out(jobs, plan_jobs(jobs, current))
    assert plan_jobs(left, current) == JobPlan()
    assert all(job.name == current for job in left if job.is_running)


@given(jobs_and_current())
def test_the_current_job_is_never_deleted_and_one_that_has_ended_is_never_touched(
    drawn: tuple[list[JobState], str],
) -> None:
    jobs, current = drawn
    touched = plan_jobs(jobs, current).delete
    assert current not in touched
    assert all(job.is_running and not job.deleting for job in jobs if job.name in touched)


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
    assert plan_jobs(jobs, "next") == plan_jobs(shuffled, "next")
    assert find_spare_jobs(jobs, keep) == find_spare_jobs(shuffled, keep)


@pytest.mark.parametrize(
    ("ended", "expired"),
    [
        ("2026-11-30T10:00:00Z", True),
        ("2026-11-30T10:00:01Z", False),
        ("", False),
        ("yesterday", False),
    ],
)
def test_the_pods_of_a_job_expire_when_it_ended_as_long_ago_as_they_are_kept(ended: str, expired: bool) -> None:
    now = datetime(2026, 11, 30, 10, 1, tzinfo=UTC).timestamp()
    assert is_expired(replace(DONE, ended=ended), now, 60) is expired


def with_containers(*containers: ContainerState) -> list[PodState]:
    return [PodState("pod", containers=containers)]


@pytest.mark.parametrize("name", ["reader", "status-writer"])
def test_a_job_that_has_only_started_our_own_containers_is_not_at_work(name: str) -> None:
    assert not is_at_work(RUNNING, with_containers(ContainerState(name, started=True), ContainerState("one")))


def test_a_job_is_at_work_from_the_first_container_of_its_author_until_its_end() -> None:
    pods = with_containers(ContainerState("reader", started=True), ContainerState("one", started=True))
    assert is_at_work(RUNNING, pods)
    assert not is_at_work(DONE, pods)
    assert not is_at_work(SUSPENDED, pods)
    assert not is_at_work(RUNNING, ())


@pytest.mark.parametrize(
    ("status", "started"),
    [
        ({"state": {"running": {}}}, True),
        ({"state": {"terminated": {"exitCode": 0, "reason": "Completed"}}}, True),
        ({"state": {"waiting": {}}, "lastState": {"terminated": {"exitCode": 1}}}, True),
        ({"state": {"waiting": {"reason": "ImagePullBackOff"}}}, False),
        ({}, False),
    ],
)
def test_a_container_has_started_if_it_runs_or_has_run(status: dict[str, object], started: bool) -> None:
    pod = {
        "metadata": {"name": "pod"},
        "spec": {"initContainers": [{"name": "one"}]},
        "status": {"initContainerStatuses": [{"name": "one", **status}]},
    }
    (container,) = read_pod(pod).containers
    assert container.started is started
