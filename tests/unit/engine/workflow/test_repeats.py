"""When a workflow runs again because its reconciliation interval has passed."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from troth.api.intervals import DEFAULT_INTERVAL
from troth.api.objects import read_promise
from troth.engine.workflow.repeats import Schedule, next_repeat, read_interval

ANNOTATION = "kratix.io/reconciliation-interval"
FIELD = "spec.workflows.config.reconciliationInterval"
HOUR = 3600.0


def interval_of(annotation: Any = None, field: Any = None, default: float = DEFAULT_INTERVAL) -> Any:
    annotations = {} if annotation is None else {ANNOTATION: annotation}
    config = {} if field is None else {"reconciliationInterval": field}
    obj = {"metadata": {"name": "p", "annotations": annotations}, "spec": {"workflows": {"config": config}}}
    return read_interval(read_promise(obj), default)


def text(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def status(*phases: str, completed: float = 0, moved: float = 0) -> dict[str, Any]:
    """The status of a workflow whose condition and whose pipelines changed at these times."""
    return {
        "conditions": [{"type": "ConfigureWorkflowCompleted", "lastTransitionTime": text(completed)}],
        "kratix": {
            "workflows": {
                "pipelines": [
                    {"name": f"p{number}", "phase": phase, "lastTransitionTime": text(moved)}
                    for number, phase in enumerate(phases)
                ]
            }
        },
    }


@pytest.mark.parametrize(
    ("annotation", "field", "seconds"),
    [
        (None, None, 10 * HOUR),
        (None, "2h", 2 * HOUR),
        ("1h30m", "2h", 1.5 * HOUR),
        ("1m", None, 60),
    ],
)
def test_the_annotation_counts_before_the_field_and_the_field_before_the_setting(
    annotation: str | None, field: str | None, seconds: float
) -> None:
    assert (interval_of(annotation, field).seconds, interval_of(annotation, field).problems) == (seconds, ())


@pytest.mark.parametrize("wrong", ["soon", "59s", "", "-1h", "1d"])
def test_an_interval_that_is_not_valid_is_named_and_the_next_one_counts(wrong: str) -> None:
    found = interval_of(wrong, "2h")
    assert found.seconds == 2 * HOUR
    assert len(found.problems) == 1
    assert ANNOTATION in found.problems[0].message
    found = interval_of(wrong, wrong, default=7200)
    assert found.seconds == 7200
    assert found.problems[1].field == FIELD


@pytest.mark.parametrize(
    ("phases", "after_failure", "repeats"),
    [
        (("Succeeded", "Succeeded"), True, True),
        (("Succeeded", "Suspended"), True, True),
        (("Suspended", "Pending"), True, True),
        (("Failed", "Pending"), True, True),
        (("Failed", "Pending"), False, False),
        (("Succeeded", "Running"), True, False),
        (("Succeeded", "Pending"), True, False),
        ((), True, False),
    ],
)
def test_only_a_workflow_that_does_not_go_on_by_itself_is_repeated(
    phases: tuple[str, ...], after_failure: bool, repeats: bool
) -> None:
    found = next_repeat(status(*phases), Schedule(HOUR, after_failure=after_failure), uid="u")
    assert (found is not None) is repeats


def test_a_workflow_that_never_ran_has_no_interval() -> None:
    assert next_repeat({}, Schedule(HOUR), uid="u") is None


TIMES = st.integers(0, 4_000_000_000)
INTERVALS = st.floats(60, 400_000)


@given(TIMES, TIMES, TIMES, INTERVALS, st.text(max_size=8))
def test_it_runs_within_a_window_after_its_interval_and_after_the_start_of_the_operator(
    completed: int, moved: int, started: int, interval: float, uid: str
) -> None:
    recorded = status("Succeeded", completed=completed, moved=moved)
    due = next_repeat(recorded, Schedule(interval, started=started), uid=uid)
    assert due is not None
    earliest = max(max(completed, moved) + interval, started)
    assert earliest - 0.001 <= due <= earliest + min(interval / 10, HOUR) + 0.001


@given(TIMES, INTERVALS, st.text(max_size=8), st.lists(st.floats(0, 50_000), max_size=20))
def test_restarts_never_put_a_run_off_that_was_due_while_the_operator_ran(
    completed: int, interval: float, uid: str, pauses: list[float]
) -> None:
    recorded = status("Succeeded", completed=completed, moved=completed)
    due = next_repeat(recorded, Schedule(interval), uid=uid)
    assert due is not None
    started = 0.0
    for pause in pauses:
        started = min(started + pause, due - 0.01)
        again = next_repeat(recorded, Schedule(interval, started=started), uid=uid)
        assert again == pytest.approx(due, abs=0.01)


def test_after_an_outage_ten_thousand_requests_do_not_run_in_the_same_second() -> None:
    recorded = status("Succeeded", completed=0, moved=0)
    schedule = Schedule(DEFAULT_INTERVAL, started=1_000_000.0)
    seconds = [int(next_repeat(recorded, schedule, uid=f"uid-{number}") or 0) for number in range(10_000)]
    assert max(seconds) - min(seconds) <= HOUR
    assert max(map(seconds.count, set(seconds))) < 20


ANYTHING: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.integers() | st.text(max_size=4) | st.just("0001-01-01T00:00:00"),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["type", "lastTransitionTime", "workflows", "pipelines", "phase"]), inner
        )
    ),
    max_leaves=10,
)


@given(st.fixed_dictionaries({"conditions": ANYTHING, "kratix": ANYTHING}))
def test_whatever_stands_in_a_status_is_read(found: dict[str, Any]) -> None:
    next_repeat(found, Schedule(HOUR), uid="u")
