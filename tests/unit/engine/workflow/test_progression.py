"""Kratix's rules for the progress of a workflow, one test each (kratix-compatibility.md#progress-of-a-workflow)."""

from __future__ import annotations

from typing import Any

import pytest

from troth.engine.failure import Failure
from troth.engine.jobs.observation import JobState
from troth.engine.jobs.planning import find_spare_jobs
from troth.engine.status.facts import RequestFacts, WorkflowFacts
from troth.engine.status.patch import apply_patch, status_patch
from troth.engine.status.request import request_status
from troth.engine.workflow.outcomes import Kept, Running, StepOutcome
from troth.engine.workflow.outputs import WorkflowOutput, judge_outcomes, workflow_facts
from troth.engine.workflow.progress import (
    Progress,
    Step,
    StepAction,
    held_records,
    plan_steps,
    read_progress,
    started_records,
)

NAMES = ("a", "b", "c")
MORNING, NOON = "2026-03-01T08:00:00Z", "2026-03-01T12:00:00Z"
CURRENT, STALE = "hash-of-now", "hash-of-before"


class Ran:
    """A run of the three steps."""

    pipelines = NAMES

    def __init__(self, output: WorkflowOutput) -> None:
        self.outputs = output.outputs
        self.failure = output.failure
        self.author = output.author


def status(*phases: str, hash_: str = CURRENT, **more: Any) -> dict[str, Any]:
    """A status with these phases of the steps; ``more`` is added to each entry."""
    entries = [
        {"name": name, "phase": phase, **({} if phase == "Pending" else {"hash": hash_}), **more}
        for name, phase in zip(NAMES, phases, strict=False)
    ]
    return {"kratix": {"workflows": {"configure": {"pipelines": entries}}}}


def plan(recorded: dict[str, Any], *, from_start: bool = False) -> tuple[StepAction, ...]:
    """What is done with each step."""
    steps = [Step(name, CURRENT, repeatable=False) for name in NAMES]
    return plan_steps(steps, read_progress(recorded), from_start=from_start)


def facts(*outcomes: StepOutcome, progress: Progress | None = None) -> WorkflowFacts:
    """What is reported about a run with these outcomes."""
    output = judge_outcomes(outcomes, selectors={}, source="resource-workflow", now=MORNING)
    return workflow_facts(
        Ran(output), {}, generation=1, progress=progress or Progress(CURRENT, running=output.running)
    )


RESTART: tuple[StepAction, ...] = ("run", "run", "run")


def test_a_status_without_a_record_restarts_from_the_first_pipeline() -> None:
    assert plan({}) == RESTART


@pytest.mark.parametrize("phase", ["", "Done", "succeeded"])
def test_a_malformed_record_restarts_from_the_first_pipeline(phase: str) -> None:
    assert plan(status("Succeeded", phase, "Succeeded")) == RESTART
    recorded = status("Succeeded", "Succeeded", "Succeeded")
    del recorded["kratix"]["workflows"]["configure"]["pipelines"][1]["phase"]
    assert plan(recorded) == RESTART


@pytest.mark.parametrize("at", range(3))
def test_a_renamed_pipeline_restarts_from_the_first_pipeline(at: int) -> None:
    recorded = status("Succeeded", "Succeeded", "Succeeded")
    recorded["kratix"]["workflows"]["configure"]["pipelines"][at]["name"] = "another"
    assert plan(recorded) == RESTART


@pytest.mark.parametrize("phase", ["Running", "Succeeded", "Failed", "Suspended"])
def test_a_started_pipeline_with_a_stale_hash_restarts_from_the_first_pipeline(phase: str) -> None:
    assert plan(status("Succeeded", phase, "Pending", hash_=STALE)) == RESTART


def test_a_pending_pipeline_with_a_stale_hash_does_not_restart_the_workflow() -> None:
    recorded = status("Succeeded", "Pending", "Pending")
    recorded["kratix"]["workflows"]["configure"]["pipelines"][1]["hash"] = STALE
    assert plan(recorded) == ("keep", "run", "run")


def test_the_first_pipeline_that_has_not_succeeded_is_the_next() -> None:
    assert plan(status("Succeeded", "Pending", "Pending"))[:2] == ("keep", "run")
    stopped = judge_outcomes(
        [Kept("a"), Running("b"), Kept("c")], selectors={}, source="resource-workflow", now=MORNING
    )
    assert stopped.running == Running("b")
    assert [output.pipeline for output in stopped.outputs] == ["a"]


def test_a_running_pipeline_is_looked_at_and_begins_again_only_when_its_job_has_vanished() -> None:
    assert plan(status("Succeeded", "Running", "Pending")) == ("keep", "observe", "run")


def test_a_running_pipeline_whose_job_has_finished_is_recorded() -> None:
    ended = facts(Kept("a"), Kept("b"), Running("c"))
    assert [entry.phase for entry in ended.pipelines] == ["Succeeded", "Succeeded", "Running"]


def test_a_failed_pipeline_is_reported_and_not_started() -> None:
    assert plan(status("Succeeded", "Failed", "Pending")) == ("keep", "stay", "run")
    failed = facts(Kept("a"), Failure("ContainerFailed", "broken", pipeline="b"))
    assert [entry.phase for entry in failed.pipelines] == ["Succeeded", "Failed", "Pending"]


def test_a_suspended_pipeline_stays_suspended() -> None:
    assert plan(status("Succeeded", "Suspended", "Pending")) == ("keep", "stay", "run")


def test_a_workflow_of_which_all_pipelines_have_succeeded_does_nothing() -> None:
    assert plan(status("Succeeded", "Succeeded", "Succeeded")) == ("keep", "keep", "keep")


def test_a_run_from_the_start_wins_over_a_suspended_pipeline() -> None:
    assert plan(status("Succeeded", "Suspended", "Pending"), from_start=True) == RESTART


def test_a_restart_returns_the_later_entries_to_pending_without_a_hash() -> None:
    steps = [Step(name, CURRENT, repeatable=False) for name in NAMES]
    recorded = read_progress(status("Succeeded", "Suspended", "Failed", attempts=3, nextRetryAt=NOON))
    held = held_records(steps, recorded, from_start=True)
    started = started_records(steps, recorded, from_start=True)
    assert (held, started) == ({}, {})
    again = facts(Running("a", begins=2), progress=Progress(CURRENT, running=Running("a", begins=2), held=held))
    assert [(entry.phase, entry.hash) for entry in again.pipelines] == [
        ("Running", CURRENT),
        ("Pending", ""),
        ("Pending", ""),
    ]
    assert not any(entry.attempts or entry.retry_at or entry.message for entry in again.pipelines)


def test_a_pipeline_that_has_ended_keeps_its_phase_when_its_jobs_are_deleted() -> None:
    """The Jobs are not an argument of the plan; in Kratix a hash is corrected by that of its Job."""
    assert plan(status("Succeeded", "Succeeded", "Failed")) == ("keep", "keep", "stay")


def test_a_failure_is_recorded_once() -> None:
    failed = facts(Kept("a"), Failure("ContainerFailed", "broken", pipeline="b"))
    told = RequestFacts(generation=1, promise_version="v1", workflow=failed)
    first = request_status({}, told, now=MORNING)
    written = apply_patch({}, status_patch({}, first))
    assert status_patch(written, request_status(written, told, now=NOON)) is None


def test_a_delete_pipeline_with_a_stale_hash_runs_again() -> None:
    steps = [Step("a", CURRENT, repeatable=False)]
    deleting = {
        "kratix": {"workflows": {"delete": {"pipelines": [{"name": "a", "phase": "Succeeded", "hash": STALE}]}}}
    }
    assert plan_steps(steps, read_progress(deleting, "delete")) == ("run",)


def test_a_job_that_runs_is_never_pruned() -> None:
    running = [JobState(f"job-{number}", "a", number) for number in range(1, 9)]
    assert find_spare_jobs(running, 1) == ()
