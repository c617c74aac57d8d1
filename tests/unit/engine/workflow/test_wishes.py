"""Whether somebody has asked for a new run, and whether that run is recorded already."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from troth.api.objects import ObjectMeta
from troth.engine.status.patch import apply_patch
from troth.engine.workflow.repeats import Schedule
from troth.engine.workflow.wishes import (
    PROMISE_LABELS,
    RUN_LABELS,
    Asked,
    judge_run,
    next_round,
    read_round,
    read_wishes,
)

MANUAL, FROM_START, RECONCILE = PROMISE_LABELS
SUSPENDED = "kratix.io/workflow-suspended"
NOTE = "troth.dev/wishes"
NOW = "2026-11-30T10:00:00Z"
SCHEDULE = Schedule(3600)


def metadata(*labels: str, number: int | None = None) -> ObjectMeta:
    annotations = {} if number is None else {NOTE: str(number)}
    return ObjectMeta("a", uid="u", labels=dict.fromkeys(labels, "true"), annotations=annotations)


def recorded(number: int, *labels: str) -> dict[str, Any]:
    return {"troth": {"wishes": {"number": number, "labels": list(labels)}}}


def judge(meta: ObjectMeta, status: dict[str, Any], wish: str = "") -> Asked:
    return judge_run(meta, status, SCHEDULE, now=0.0, promise_round=wish)


@pytest.mark.parametrize("label", RUN_LABELS)
def test_a_label_asks_for_a_run_until_it_is_recorded_and_is_then_only_removed(label: str) -> None:
    asked = judge(metadata(label), {})
    assert asked.from_start
    status = apply_patch({}, {"troth": asked.notes()})
    again = judge(metadata(label), status)
    assert not again.from_start
    assert again.wishes.answered == {label}


def test_a_label_that_is_set_again_after_its_removal_is_a_new_wish() -> None:
    asked = judge(metadata(MANUAL, number=1), recorded(1, MANUAL))
    assert asked.from_start
    assert asked.notes()["wishes"]["number"] == 2


def test_a_label_that_came_after_the_record_is_a_wish_of_its_own() -> None:
    asked = judge(metadata(MANUAL, FROM_START), recorded(1, MANUAL))
    assert asked.wishes.answered == {MANUAL}
    assert asked.wishes.fresh == {FROM_START}


def test_a_run_that_ends_a_suspension_is_recorded_so_that_its_label_is_removed_although_the_operator_is_killed() -> (
    None
):
    notes = replace(judge(metadata(), {}), resumes=True).notes()
    wishes = read_wishes(metadata(SUSPENDED), apply_patch({}, {"troth": notes}))
    assert wishes.answered == {SUSPENDED}
    assert wishes.removals() == ({SUSPENDED: None}, {NOTE: "1"})
    assert read_wishes(metadata(SUSPENDED, number=1), apply_patch({}, {"troth": notes})).answered == set()


def test_a_label_with_another_value_than_true_asks_for_nothing() -> None:
    assert not judge(replace(metadata(), labels={MANUAL: "false"}), {}).from_start


def test_what_asks_a_promise_s_requests_does_not_run_the_promise_itself() -> None:
    asked = judge_run(metadata(RECONCILE), {}, SCHEDULE, now=0.0, asking=PROMISE_LABELS)
    assert not asked.from_start
    assert asked.wishes.fresh == {RECONCILE}
    assert read_wishes(metadata(RECONCILE), {}).fresh == set(), "a request is not asked by that label"


def test_a_request_runs_once_for_each_wish_of_its_promise() -> None:
    asked = judge(metadata(), {}, wish=NOW)
    assert asked.from_start
    assert not judge(metadata(), {"troth": asked.notes()}, wish=NOW).from_start
    assert not judge(metadata(), {"troth": asked.notes()}).from_start, "its Promise lost its status"


def test_an_object_that_was_paused_runs_once_whatever_its_conditions_say_meanwhile() -> None:
    status = {"troth": {"paused": True}, "conditions": [{"type": "Reconciled", "reason": "WorkflowPending"}]}
    asked = judge(metadata(), status)
    assert asked.unpaused
    assert not judge(metadata(), apply_patch(status, {"troth": asked.notes()})).from_start


def test_a_pause_of_an_earlier_release_is_known_by_its_condition() -> None:
    assert judge(metadata(), {"conditions": [{"type": "Reconciled", "reason": "PausedReconciliation"}]}).unpaused


@pytest.mark.parametrize("last", ["", "2026-11-30T09:00:00Z", NOW, "2026-11-30T10:00:07Z", "soon"])
def test_each_wish_of_a_promise_differs_from_the_last_one(last: str) -> None:
    assert next_round({"troth": {"round": last}}, NOW) != last


def test_a_wish_of_a_promise_is_read_where_it_is_written() -> None:
    assert read_round({"troth": {"round": NOW}}) == NOW


# ---- kill -9 between any two writes


@given(st.lists(st.sampled_from(["label", "record", "remove", "crash"]), max_size=30))
def test_no_wish_is_lost_and_none_is_fulfilled_twice_wherever_the_operator_is_killed(moves: list[str]) -> None:
    """The operator reads, records, and removes; between any two of these it may be killed, and people set labels."""
    meta, fulfilled, wished = metadata(), 0, 0
    status: dict[str, Any] = {}
    for move in moves:
        if move == "label":
            wished += MANUAL not in meta.labels
            # While the label of a recorded wish is still there, setting it again is not a change of the object.
            meta = replace(meta, labels={MANUAL: "true"})
        elif move == "record":
            asked = judge(meta, status)
            if asked.from_start:
                status = apply_patch(status, {"troth": asked.notes()})
                fulfilled += 1
        elif move == "remove" and (wishes := read_wishes(meta, status)).answered:
            left = {name: value for name, value in meta.labels.items() if name not in wishes.answered}
            meta = replace(meta, labels=left, annotations={NOTE: str(wishes.number)})
        assert fulfilled == wished - bool(read_wishes(meta, status).fresh)
