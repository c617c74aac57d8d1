"""The record of workflows in a status, in Kratix's two layouts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from troth.engine.status.facts import PipelineFacts, PromiseFacts, RequestFacts, WorkflowFacts
from troth.engine.status.patch import apply_patch, status_patch
from troth.engine.status.promise import promise_status
from troth.engine.status.request import request_status
from troth.engine.status.workflows import kratix_block, recorded_pipelines, recorded_success

MORNING, NOON = "2026-03-01T08:00:00Z", "2026-03-01T12:00:00Z"
FLAT = ("pipelines", "suspendedGeneration", "lastSuccessfulConfigureWorkflowTime")
Compute = Callable[[Mapping[str, Any], WorkflowFacts, str, bool], dict[str, Any]]


def of_request(old: Mapping[str, Any], workflow: WorkflowFacts, now: str, flat: bool) -> dict[str, Any]:
    facts = RequestFacts(generation=1, promise_version="v1", workflow=workflow)
    return apply_patch(old, status_patch(old, request_status(old, facts, now=now, flat=flat)))


def of_promise(old: Mapping[str, Any], workflow: WorkflowFacts, now: str, flat: bool) -> dict[str, Any]:
    facts = PromiseFacts(generation=1, workflow=workflow)
    return apply_patch(old, status_patch(old, promise_status(old, facts, now=now, flat=flat)))


BOTH_KINDS = pytest.mark.parametrize("compute", [of_request, of_promise], ids=["request", "Promise"])
SUSPENDED = WorkflowFacts(
    (PipelineFacts("guard", "Suspended", "waits", NOON, 2, "h"), PipelineFacts("b", "Pending"))
)
SUCCEEDED = WorkflowFacts(
    (PipelineFacts("guard", "Succeeded", hash="h"), PipelineFacts("b", "Succeeded", hash="h"))
)
FAILED = WorkflowFacts((PipelineFacts("guard", "Failed", "broken", hash="h"), PipelineFacts("b", "Pending")))
WORKFLOWS = st.sampled_from([SUSPENDED, SUCCEEDED, FAILED])


def workflows(status: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = status["kratix"]["workflows"]
    return found


def only_flat(status: Mapping[str, Any]) -> dict[str, Any]:
    """The status as a release that only knew the flat layout wrote it."""
    record = {name: value for name, value in workflows(status).items() if name in FLAT}
    return {**status, "kratix": {**status["kratix"], "workflows": record}}


@BOTH_KINDS
def test_the_record_is_written_below_its_action_and_where_older_tools_look(compute: Compute) -> None:
    suspended = workflows(compute({}, SUSPENDED, MORNING, True))
    assert suspended["configure"] == {
        "pipelines": [
            {
                "name": "guard",
                "phase": "Suspended",
                "lastTransitionTime": MORNING,
                "hash": "h",
                "message": "waits",
                "nextRetryAt": NOON,
                "attempts": 2,
            },
            {"name": "b", "phase": "Pending", "lastTransitionTime": MORNING},
        ],
        "suspendedGeneration": 1,
    }
    assert {name: suspended[name] for name in FLAT if name in suspended} == suspended["configure"]
    succeeded = workflows(compute({}, SUCCEEDED, MORNING, True))
    assert succeeded["configure"]["lastSuccessfulTime"] == MORNING
    assert succeeded["lastSuccessfulConfigureWorkflowTime"] == MORNING


@BOTH_KINDS
def test_without_the_flat_layout_its_fields_go_with_the_next_write_and_not_before(compute: Compute) -> None:
    before = compute({}, SUSPENDED, MORNING, True)
    assert compute(before, SUSPENDED, NOON, False) == before, "nothing is written for the setting alone"
    after = workflows(compute(before, SUCCEEDED, NOON, False))
    assert set(after) == {"configure"}
    assert after["configure"]["lastSuccessfulTime"] == NOON
    assert set(workflows(compute({"kratix": {"workflows": after}}, FAILED, NOON, True))) >= {
        "configure",
        "pipelines",
    }


@BOTH_KINDS
@given(workflow=WORKFLOWS, flat=st.booleans(), later=st.booleans())
def test_a_status_that_only_has_the_flat_layout_is_not_written_for_the_other_one(
    compute: Compute, workflow: WorkflowFacts, flat: bool, later: bool
) -> None:
    old = only_flat(compute({}, workflow, MORNING, True))
    assert compute(old, workflow, NOON if later else MORNING, flat) == old


@BOTH_KINDS
@given(first=WORKFLOWS, then=WORKFLOWS, was_flat=st.booleans(), flat=st.booleans())
def test_the_same_is_never_written_twice(
    compute: Compute, first: WorkflowFacts, then: WorkflowFacts, was_flat: bool, flat: bool
) -> None:
    written = compute(compute({}, first, MORNING, was_flat), then, MORNING, flat)
    assert compute(written, then, NOON, flat) == written


@BOTH_KINDS
def test_where_the_layouts_disagree_the_keyed_one_counts_and_the_other_is_corrected(compute: Compute) -> None:
    right = compute({}, SUCCEEDED, MORNING, True)
    edited = [{"name": "guard", "phase": "Suspended"}, {"name": "b", "phase": "Pending"}]
    wrong = {**right, "kratix": {**right["kratix"], "workflows": {**workflows(right), "pipelines": edited}}}
    assert [entry["phase"] for entry in recorded_pipelines(wrong)] == ["Succeeded", "Succeeded"]
    assert compute(wrong, SUCCEEDED, NOON, True) == right
    assert compute(wrong, SUCCEEDED, NOON, False)["kratix"]["workflows"].keys() == {"configure"}


def test_a_record_of_either_layout_is_read() -> None:
    record = {"pipelines": [{"name": "a", "phase": "Running"}]}
    for found in ({**record, FLAT[2]: NOON}, {"configure": {**record, "lastSuccessfulTime": NOON}}):
        status = {"kratix": {"workflows": found}}
        assert recorded_pipelines(status) == record["pipelines"]
        assert recorded_success(status) == NOON
    assert recorded_success({"kratix": {"workflows": {"configure": {FLAT[2]: NOON}}}}) == NOON


def test_entries_of_unknown_pipelines_are_dropped_from_both_layouts() -> None:
    before = of_request({}, SUCCEEDED, MORNING, True)
    after = workflows(of_request(before, WorkflowFacts((PipelineFacts("b", "Succeeded", hash="h"),)), NOON, True))
    assert [entry["name"] for entry in after["pipelines"]] == ["b"]
    assert after["configure"]["pipelines"] == after["pipelines"]


def test_a_promise_without_pipelines_of_its_own_has_no_record_and_loses_a_former_one() -> None:
    assert workflows(of_promise({}, WorkflowFacts(), MORNING, True)) == {}
    former = of_promise({}, FAILED, MORNING, True)
    assert workflows(of_promise(former, WorkflowFacts(), NOON, True)) == {}


def test_the_record_of_a_deletion_leaves_that_of_the_configure_workflow_alone() -> None:
    old = of_request({}, SUCCEEDED, MORNING, True)
    farewell = WorkflowFacts((PipelineFacts("farewell", "Running", hash="d"),))
    block = kratix_block(old, farewell, generation=1, now=NOON, action="delete")
    assert block["workflows"].items() >= workflows(old).items()
    assert recorded_pipelines({"kratix": block}, "delete") == [
        {"name": "farewell", "phase": "Running", "lastTransitionTime": NOON, "hash": "d"}
    ]
