"""The labels with which people ask for a run of a workflow, or suspend it or set it going again.

A wish stays on the object until its status says what became of it, so that it is not lost with the operator
(`troth.engine.workflow.wishes`).
"""

from __future__ import annotations

from collections.abc import Mapping

from troth.api import labels as names
from troth.controllers.workflow import Run
from troth.engine.workflow.outputs import is_suspended


def suspension_label(labels: Mapping[str, str], run: Run) -> dict[str, str | None]:
    """Returns the change of the label of a suspended workflow that follows from a run, as a patch of labels.

    While a Job runs, the label stays in any case, because its Pod may have just set it. A pipeline of templates has no
    Pod, so the label is set here when such a pipeline suspends its workflow.

    Args:
        labels: of the object, as they were when the workflow ran.
        run: how far the workflow is; the status of the object says so already.
    """
    begins = run.progress.running is not None and run.progress.running.begins > 0
    ended = run.progress.running is None and run.failure is None
    suspended = [output for output in run.outputs if is_suspended(output.control)]
    if names.WORKFLOW_SUSPENDED in labels:
        return {names.WORKFLOW_SUSPENDED: None} if begins or (ended and not suspended) else {}
    return {names.WORKFLOW_SUSPENDED: "true"} if any(output.rendered for output in suspended) else {}
