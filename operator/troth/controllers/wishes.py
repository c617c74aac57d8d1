"""The labels with which people ask for a run of a workflow, or set the one that is suspended going again.

A wish stays on the object until its status says what became of it, so that it is not lost with the operator.
"""

from __future__ import annotations

from collections.abc import Mapping

from troth.api import labels as names
from troth.controllers.workflow import Run
from troth.engine.workflow.outputs import is_suspended


def labels_to_take_off(labels: Mapping[str, str], run: Run) -> dict[str, str | None]:
    """Returns the labels of an object that have had their effect, as a merge patch of its labels.

    While a Job runs, the label of a suspended workflow stays in any case, because its Pod may have just set it.

    Args:
        labels: of the object, as they were when the workflow ran.
        run: how far the workflow is; the status of the object says so already.
    """
    begins = run.progress.running is not None and run.progress.running.begins > 0
    ended = run.progress.running is None and run.failure is None
    suspended = any(is_suspended(output.control) for output in run.outputs)
    found: dict[str, str | None] = {}
    if names.MANUAL_RECONCILIATION in labels:
        found[names.MANUAL_RECONCILIATION] = None
    if names.WORKFLOW_SUSPENDED in labels and (begins or (ended and not suspended)):
        found[names.WORKFLOW_SUSPENDED] = None
    return found
