"""A Promise says how many of its requests need somebody, and nothing while none does."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.engine.status.test_status import MORNING, promise, reason_of
from troth.api import find_condition
from troth.engine.status.facts import PromiseFacts, RequestsFacts
from troth.engine.status.patch import status_patch
from troth.engine.status.promise import promise_status
from troth.engine.status.requests import is_failing


def of(ready: str, reason: str, *, available: str = "True") -> dict[str, Any]:
    return {
        "conditions": [
            {"type": "PromiseAvailable", "status": available},
            {"type": "Ready", "status": ready, "reason": reason},
        ]
    }


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        ({}, False),
        (of("True", "Reconciled"), False),
        *[
            (of("False", reason), False)
            for reason in (
                "WorkflowPending",
                "WorksPending",
                "ComponentsPending",
                "WorkflowSuspended",
                "PausedReconciliation",
                "Deleting",
            )
        ],
        *[
            (of("False", reason), True)
            for reason in (
                "ConfigureWorkflowFailed",
                "WorksFailing",
                "WorksMisplaced",
                "UnscheduledWorkloads",
                "ComponentsNotReady",
                "WorksRefused",
                "FinalizersRefused",
                "DeleteWorkflowFailed",
            )
        ],
        (of("False", "InvalidPromise", available="False"), False),
    ],
)
def test_only_what_needs_somebody_counts(status: dict[str, Any], expected: bool) -> None:
    assert is_failing(status) == expected


def test_the_promise_counts_and_names_the_first_and_is_ready_all_the_same() -> None:
    facts = PromiseFacts(1, requests=RequestsFacts(20, 5, ("a/x", "a/y", "b/x")))
    status = promise(facts)
    assert reason_of(status, "RequestsReady") == (
        "False",
        "RequestsFailing",
        "5 of 20 requests failing: a/x, a/y, b/x and 2 more",
    )
    assert reason_of(status, "Ready")[0] == "True"
    unknown = promise(PromiseFacts(1), status)
    assert find_condition(unknown["conditions"], "RequestsReady"), "while they are listed, what was said stays"
    well = promise(PromiseFacts(1, requests=RequestsFacts(20, 0)), status)
    assert not find_condition(well["conditions"], "RequestsReady")
    unfit = promise(PromiseFacts(1, problem="spec.api: is missing", requests=facts.requests), status)
    assert not find_condition(unfit["conditions"], "RequestsReady")


def test_requests_that_go_well_cost_the_promise_no_write() -> None:
    status = promise(PromiseFacts(1, requests=RequestsFacts(0, 0)))
    for total in (1, 7, 1000):
        facts = PromiseFacts(1, requests=RequestsFacts(total, 0))
        assert status_patch(status, promise_status(status, facts, now=MORNING)) is None
