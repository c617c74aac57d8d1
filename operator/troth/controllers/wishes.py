"""The labels with which people ask for a run of a workflow, or suspend it or set it going again.

A wish stays on the object until its status says what became of it, so that it is not lost with the operator
(`troth.engine.workflow.wishes`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from troth.api import labels as names
from troth.controllers.workflow import Run
from troth.engine.workflow.outputs import is_suspended
from troth.engine.workflow.wishes import Asked


def suspension_label(labels: Mapping[str, str], run: Run) -> dict[str, str | None]:
    """Returns the change of the label of a suspended workflow that follows from a run, as a patch of labels.

    While a Job runs, the label stays in any case, because its Pod may have just set it; when a run begins that ends the
    suspension, the record of the run names the label (`run_notes`). A pipeline of templates has no
    Pod, so the label is set here when such a pipeline suspends its workflow.

    Args:
        labels: of the object, as they were when the workflow ran.
        run: how far the workflow is; the status of the object says so already.
    """
    ended = run.progress.running is None and (run.failure is None or not run.failure.passes)
    suspended = [output for output in run.outputs if is_suspended(output.control)]
    if names.WORKFLOW_SUSPENDED in labels:
        return {names.WORKFLOW_SUSPENDED: None} if ended and not suspended else {}
    return {names.WORKFLOW_SUSPENDED: "true"} if any(output.rendered for output in suspended) else {}


def run_notes(labels: Mapping[str, str], run: Run, asked: Asked) -> dict[str, Any]:
    """Returns what ``status.troth`` notes with a run: who asked for it, and before which step the label stops it.

    Args:
        labels: of the object, as they were when the workflow ran.
        run: how far the workflow is.
        asked: who asked for it.
    """
    begins = run.progress.running is not None and run.progress.running.begins > 0
    resumes = begins and names.WORKFLOW_SUSPENDED in labels
    return {**replace(asked, resumes=resumes).notes(), "halted": run.progress.halted or None}
