"""The reasons of conditions on which code depends, each defined once.

A reason that is only shown is defined where its condition is made. As soon as other code asks for it (whether an object
still makes progress, whether it is worth an Event, whether a request counts as failing), it is named here, so that the
code that sets it and the code that asks for it cannot drift apart.
"""

from __future__ import annotations

from typing import Final

API_PENDING: Final = "APIPending"
COMPONENTS_NOT_READY: Final = "ComponentsNotReady"
COMPONENTS_PENDING: Final = "ComponentsPending"
DELETE_WORKFLOW_FAILED: Final = "DeleteWorkflowFailed"
DELETING: Final = "Deleting"
PAUSED: Final = "PausedReconciliation"
PROMISE_UNAVAILABLE: Final = "PromiseUnavailable"
RECONCILED: Final = "Reconciled"
REQUIREMENTS_NOT_FULFILLED: Final = "RequirementsNotFulfilled"
REQUIREMENTS_NOT_INSTALLED: Final = "PromiseRequirementsNotInstalled"
UNPAUSED: Final = "Unpaused"
UNSCHEDULED_WORKLOADS: Final = "UnscheduledWorkloads"
WORKFLOW_PENDING: Final = "WorkflowPending"
WORKFLOW_SUSPENDED: Final = "WorkflowSuspended"
WORKS_FAILING: Final = "WorksFailing"
WORKS_MISPLACED: Final = "WorksMisplaced"
WORKS_PENDING: Final = "WorksPending"

IN_PROGRESS: Final = frozenset({API_PENDING, COMPONENTS_PENDING, UNPAUSED, WORKFLOW_PENDING, WORKS_PENDING})
"""Reasons of Ready that pass by themselves within moments."""

PLACED: Final = frozenset(
    {
        RECONCILED,
        WORKS_PENDING,
        UNSCHEDULED_WORKLOADS,
        WORKS_FAILING,
        WORKS_MISPLACED,
        COMPONENTS_PENDING,
        COMPONENTS_NOT_READY,
    }
)
"""Reasons of Ready that are about Works and components, and can be judged without rendering anything."""
