"""When a step that asked to be run again runs, and when it has asked too often."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from troth.engine.failure import Failure
from troth.engine.status.facts import PipelinePhase
from troth.engine.workflow.progress import StepRecord
from troth.engine.workflow.retries import NextRun, judge_retry

MORNING, LATER, NOON = "2026-03-01T08:00:00Z", "2026-03-01T08:10:00Z", "2026-03-01T12:00:00Z"


def record(phase: PipelinePhase, attempts: int, retry_at: str = "") -> StepRecord:
    return StepRecord("p", phase, "h", "", retry_at, attempts=attempts)


def judge(recorded: StepRecord | None, now: str = MORNING, most: int = 0) -> NextRun | Failure:
    return judge_retry("p", 600, message="no volume yet", max_attempts=most, record=recorded, now=now)


def test_the_first_wish_for_another_run_is_the_first_attempt() -> None:
    assert judge(None) == NextRun(LATER, 1)


def test_a_retry_is_neither_put_off_nor_counted_by_looking_again() -> None:
    waiting = record("Suspended", 1, LATER)
    assert judge(waiting, "2026-03-01T08:05:00Z") == NextRun(LATER, 1)
    assert judge(waiting, LATER) == NextRun("2026-03-01T08:20:00Z", 2)


def test_a_step_that_has_run_again_and_asks_once_more_has_made_one_more_attempt() -> None:
    assert judge(record("Running", 4)) == NextRun(LATER, 5)


@pytest.mark.parametrize("seconds", [0, 0.2, 1])
def test_a_retry_is_at_least_a_second_away_so_that_looking_again_at_once_does_not_count(seconds: float) -> None:
    assert judge_retry("p", seconds, now=MORNING) == NextRun("2026-03-01T08:00:01Z", 1)


def test_a_step_that_asks_after_its_last_attempt_says_how_many_there_were_and_what_the_last_one_said() -> None:
    failure = judge(record("Running", 2), most=3)
    assert isinstance(failure, Failure)
    assert (failure.reason, failure.attempts) == ("AttemptsExhausted", 3)
    for words in ("p:", "3 attempts", "maxAttempts", "no volume yet", "kratix.io/manual-reconciliation"):
        assert words in failure.sentence()
    once = judge(None, most=1)
    assert isinstance(once, Failure)
    assert "its only attempt" in once.sentence()


def test_templates_that_have_asked_too_often_are_not_counted_on_by_looking_again() -> None:
    failed = judge(record("Failed", 3), NOON, most=3)
    assert isinstance(failed, Failure)
    assert failed == judge(record("Suspended", 2, LATER), NOON, most=3)


@given(st.integers(1, 9), st.integers(0, 9))
def test_a_step_runs_as_often_as_it_is_allowed_and_fails_at_the_end_of_its_last_run(
    most: int, before: int
) -> None:
    runs = 0
    found: NextRun | Failure = NextRun("", 0)
    while isinstance(found, NextRun) and runs < 20:
        found = judge(record("Running", found.attempts) if runs else None, most=most)
        runs += 1
    assert runs == most
    assert isinstance(judge(record("Running", before)), NextRun), "without a limit it never fails"
