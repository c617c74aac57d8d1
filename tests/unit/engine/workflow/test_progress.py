"""Which step of a workflow is next, from what the status records."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from troth.engine.status.facts import PipelinePhase
from troth.engine.workflow.progress import (
    Step,
    StepAction,
    StepRecord,
    held_records,
    plan_steps,
    read_progress,
    spec_hash,
    started_records,
    workflow_hash,
)

PHASES: tuple[PipelinePhase, ...] = ("Pending", "Running", "Succeeded", "Failed", "Suspended")
NOW, BEFORE = "hash-of-now", "hash-of-before"


def steps(*names: str, repeatable: bool = False) -> list[Step]:
    return [Step(name, NOW, repeatable) for name in names]


def record(name: str, phase: PipelinePhase, hash_: str = NOW) -> StepRecord:
    return StepRecord(name, phase, "" if phase == "Pending" else hash_)


@pytest.mark.parametrize(
    ("phase", "action"),
    [("Pending", "run"), ("Running", "observe"), ("Succeeded", "keep"), ("Failed", "stay"), ("Suspended", "stay")],
)
def test_each_step_goes_on_from_where_it_is(phase: PipelinePhase, action: StepAction) -> None:
    assert plan_steps(steps("a"), [record("a", phase)]) == (action,)


def test_without_a_record_everything_runs() -> None:
    assert plan_steps(steps("a", "b"), []) == ("run", "run")


@pytest.mark.parametrize("phase", PHASES[1:])
def test_a_started_step_with_the_hash_of_something_else_restarts_the_workflow(phase: PipelinePhase) -> None:
    assert plan_steps(steps("a", "b"), [record("a", "Succeeded"), record("b", phase, BEFORE)]) == ("run", "run")


def test_a_pending_step_with_the_hash_of_something_else_restarts_nothing() -> None:
    recorded = [record("a", "Succeeded"), StepRecord("b", "Pending", BEFORE)]
    assert plan_steps(steps("a", "b"), recorded) == ("keep", "run")


@pytest.mark.parametrize("names", [("a",), ("b", "a"), ("a", "c"), ("a", "b", "c"), ()])
def test_other_pipelines_than_those_of_the_record_restart_the_workflow(names: tuple[str, ...]) -> None:
    recorded = [record("a", "Succeeded"), record("b", "Succeeded")]
    assert plan_steps(steps(*names), recorded) == ("run",) * len(names)


def test_whoever_asks_for_a_new_run_restarts_a_workflow_that_is_suspended() -> None:
    recorded = [record("a", "Succeeded"), record("b", "Suspended")]
    assert plan_steps(steps("a", "b"), recorded, from_start=True) == ("run", "run")
    assert held_records(steps("a", "b"), recorded, from_start=True) == {}


@pytest.mark.parametrize("phase", ["Running", "Failed", "Suspended"])
def test_whoever_asks_for_the_rest_again_has_what_has_not_succeeded_run_again_and_nothing_else(
    phase: PipelinePhase,
) -> None:
    recorded = [record("a", "Succeeded"), record("b", phase), record("c", "Pending")]
    assert plan_steps(steps("a", "b", "c"), recorded, retries=True) == ("keep", "run", "run")


def test_templates_run_whatever_is_recorded_and_containers_behind_them_do_not_run_twice() -> None:
    mixed = [Step("a", NOW, True), Step("b", NOW, False), Step("c", NOW, True)]
    recorded = [StepRecord("a", "Failed", BEFORE), record("b", "Succeeded"), record("c", "Pending")]
    assert plan_steps(mixed, recorded) == ("run", "keep", "run")
    assert held_records(mixed, recorded) == {"b": record("b", "Succeeded")}


def test_a_restart_and_a_manual_run_clear_the_attempts() -> None:
    asked = StepRecord("b", "Suspended", NOW, attempts=3)
    recorded = [record("a", "Succeeded"), asked]
    assert started_records(steps("a", "b"), recorded)["b"] == asked
    assert started_records(steps("a", "b"), recorded, from_start=True) == {}
    assert "b" not in started_records(steps("a", "b"), recorded, retries=True)
    assert started_records(steps("a", "c"), recorded) == {}
    outdated = [record("a", "Succeeded"), StepRecord("b", "Suspended", BEFORE, attempts=3)]
    for repeatable in (False, True):
        assert "b" not in started_records(steps("a", "b", repeatable=repeatable), outdated)


def test_the_attempts_of_templates_from_a_release_without_hashes_count() -> None:
    asked = StepRecord("a", "Suspended", "", attempts=3)
    assert started_records(steps("a", repeatable=True), [asked]) == {"a": asked}
    assert started_records(steps("a"), [asked]) == {}


STEPS = st.lists(
    st.builds(Step, st.sampled_from("abc"), st.just(NOW), st.booleans()),
    max_size=3,
    unique_by=lambda step: step.name,
)
RECORDS = st.lists(
    st.builds(StepRecord, st.sampled_from("abc"), st.sampled_from(PHASES), st.sampled_from([NOW, BEFORE, ""])),
    max_size=4,
)


@given(STEPS, RECORDS)
def test_nothing_is_kept_or_observed_that_did_not_run_for_the_same(
    given_steps: list[Step], recorded: list[StepRecord]
) -> None:
    actions = plan_steps(given_steps, recorded)
    assert len(actions) == len(given_steps)
    by_name = {entry.name: entry for entry in recorded}
    for step, action in zip(given_steps, actions, strict=True):
        if action != "run":
            assert by_name[step.name].hash == step.hash
            assert not step.repeatable


@given(STEPS, st.data())
def test_a_step_that_ended_for_the_same_never_runs_again_unless_asked(
    given_steps: list[Step], data: st.DataObject
) -> None:
    recorded = [record(step.name, data.draw(st.sampled_from(PHASES))) for step in given_steps]
    for step, entry, action in zip(given_steps, recorded, plan_steps(given_steps, recorded), strict=True):
        if not step.repeatable and entry.phase == "Succeeded":
            assert action == "keep"
            assert held_records(given_steps, recorded)[step.name] == entry


@given(STEPS, RECORDS)
def test_a_restart_holds_no_record_and_a_record_that_is_held_decides(
    given_steps: list[Step], recorded: list[StepRecord]
) -> None:
    held = held_records(given_steps, recorded)
    for step, action in zip(given_steps, plan_steps(given_steps, recorded), strict=True):
        assert (step.name in held) == (action != "run")


# ---- the label that suspends a workflow


def test_the_label_stops_a_workflow_before_its_next_step_and_keeps_what_has_ended() -> None:
    mixed = [Step("a", NOW, False), Step("b", NOW, True), Step("c", NOW, False)]
    recorded = [record("a", "Succeeded"), record("b", "Pending"), record("c", "Pending")]
    assert plan_steps(mixed, recorded, suspended=True) == ("keep", "halt", "halt")
    halted = [record("a", "Succeeded"), record("b", "Suspended"), record("c", "Pending")]
    assert plan_steps(mixed, halted, suspended=True, halted="b") == ("keep", "halt", "halt")
    assert plan_steps(mixed, halted, halted="b") == ("keep", "run", "run"), "somebody has taken it off"


def test_the_label_of_a_step_that_suspended_itself_stops_nothing_else() -> None:
    two = steps("a", "b", repeatable=True)
    assert plan_steps(two, [record("a", "Suspended"), record("b", "Pending")], suspended=True) == ("run", "run")


@given(STEPS, RECORDS, st.booleans())
def test_the_label_neither_stops_a_restart_nor_what_runs_already(
    given_steps: list[Step], recorded: list[StepRecord], from_start: bool
) -> None:
    plain = plan_steps(given_steps, recorded, from_start=from_start)
    suspended = plan_steps(given_steps, recorded, from_start=from_start, suspended=True)
    phases = {entry.name: entry.phase for entry in recorded}
    for step, action, other in zip(given_steps, plain, suspended, strict=True):
        assert other == action or (other == "halt" and phases[step.name] == "Pending" and not from_start)


# ---- reading the record

ENTRY = {"name": "a", "phase": "Succeeded", "hash": "h", "lastTransitionTime": "2026-01-01T00:00:00Z"}


def test_both_of_kratixs_layouts_are_read() -> None:
    read = (StepRecord("a", "Succeeded", "h"),)
    assert read_progress({"kratix": {"workflows": {"pipelines": [ENTRY]}}}) == read
    assert read_progress({"kratix": {"workflows": {"configure": {"pipelines": [ENTRY]}}}}) == read


def test_the_record_of_a_deletion_is_not_that_of_the_configure_workflow() -> None:
    flat = {"kratix": {"workflows": {"pipelines": [ENTRY]}}}
    assert read_progress(flat, "delete") == ()
    keyed = {"kratix": {"workflows": {"pipelines": [ENTRY], "delete": {"pipelines": [{**ENTRY, "name": "d"}]}}}}
    assert read_progress(keyed, "delete") == (StepRecord("d", "Succeeded", "h"),)


ANYTHING: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.integers() | st.text(max_size=4),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["kratix", "workflows", "pipelines", "configure", "name", "phase", "hash"]), inner
        )
    ),
    max_leaves=10,
)


@given(st.dictionaries(st.just("kratix"), ANYTHING))
def test_whatever_somebody_wrote_into_a_status_is_read_as_a_record(status: dict[str, Any]) -> None:
    for entry in read_progress(status):
        assert entry.phase in PHASES


# ---- hashes


def test_a_hash_does_not_depend_on_the_order_of_keys() -> None:
    assert spec_hash({"a": 1, "b": {"c": 2, "d": 3}}) == spec_hash({"b": {"d": 3, "c": 2}, "a": 1})
    assert spec_hash({"a": 1}) != spec_hash({"a": 2})


def test_the_hash_of_a_request_changes_with_its_promise() -> None:
    request = spec_hash({"size": "small"})
    one, other = spec_hash({"api": 1}), spec_hash({"api": 2})
    assert workflow_hash((one, request)) != workflow_hash((other, request))
    assert workflow_hash((one,)) == one
