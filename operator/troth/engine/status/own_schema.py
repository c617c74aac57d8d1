"""The schema of what Troth itself writes into a request's status: Kratix's fields and ``status.troth``.

``kubectl explain`` shows the descriptions. Unknown fields are let through at every level, since Kratix's tools and
later releases write more. The schema of a Promise's status, in ``crds/``, says the same of the fields that both have.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

OPEN: Final[Mapping[str, Any]] = {"x-kubernetes-preserve-unknown-fields": True}


def own_schema() -> dict[str, Any]:
    """Returns the schema of Kratix's fields (kratix-compatibility.md#a-promises-api) and ours, with descriptions."""
    condition = {
        "type": "object",
        "properties": {
            "lastTransitionTime": _time("When the status changed."),
            "message": _text("The state in words."),
            "reason": _text("The state in one word."),
            "status": _text("True, False or Unknown."),
            "type": _text("What it is about; Ready sums up the others."),
        },
    }
    return {
        "description": "What became of the request. The operator and the pipelines of the Promise write it.",
        "type": "object",
        **OPEN,
        "properties": {
            "message": _text("The state in words, or what the Promise has to say."),
            "observedGeneration": _number("The generation of the request that this is about."),
            "workflows": _number("How many pipelines the request has."),
            "workflowsSucceeded": _number("How many of them succeeded."),
            "workflowsFailed": _number("How many of them failed."),
            "promiseVersion": _text("The version of the Promise that the request was rendered with."),
            "conditions": {
                "description": "The state, by type; kubectl wait --for=condition=Ready waits for one.",
                "type": "array",
                "items": condition,
            },
            "kratix": _object("The state of the workflows, as Kratix writes it.", workflows=_workflows()),
            "troth": _object(
                "Where the manifests are (placements), and why a pipeline failed (failure).",
                phase=_text("How far it is: Pending, Failed, Suspended, Rendered or Committed."),
                failure=_failure(),
                placements={"description": "Where its files are, with one entry for each WorkPlacement.", **OPEN},
                components={"description": "The requests of other Promises that it renders.", **OPEN},
            ),
        },
    }


def _workflows() -> dict[str, Any]:
    entries = {
        "description": "Each pipeline, in the order in which they run.",
        "type": "array",
        "items": _pipeline(),
    }
    suspended = _number("The generation for which the workflow is suspended.")
    succeeded = "When all of its pipelines last succeeded."
    return _object(
        "The progress of the workflows. The fields beside configure and delete repeat configure for older tools.",
        configure=_object(
            "The progress of the configure workflow.",
            pipelines=entries,
            suspendedGeneration=suspended,
            lastSuccessfulTime=_text(succeeded),
        ),
        delete=_object(
            "The progress of the delete workflow, while the request is being deleted.",
            pipelines=entries,
            suspendedGeneration=suspended,
        ),
        pipelines={**entries, "description": "The same as configure.pipelines."},
        suspendedGeneration=_number("The same as configure.suspendedGeneration."),
        lastSuccessfulConfigureWorkflowTime=_text("The same as configure.lastSuccessfulTime."),
    )


def _pipeline() -> dict[str, Any]:
    return {
        "type": "object",
        **OPEN,
        "properties": {
            "name": _text("Name of the pipeline."),
            "phase": _text("Pending, Running, Succeeded, Failed or Suspended."),
            "hash": _text("The hash of the specs for which it came into this phase."),
            "message": _text("Why it is in this phase."),
            "nextRetryAt": _text("When it is run again, if it asked for that."),
            "attempts": _number("How many of its runs have asked to be run again; maxAttempts limits them."),
            "lastTransitionTime": _time("When the phase changed."),
        },
    }


def _failure() -> dict[str, Any]:
    return _object(
        "Why a pipeline failed, and where, as precisely as it is known. Absent when none did.",
        reason=_text("The kind of failure in one word, for example TemplateSyntax or ContainerFailed."),
        message=_text("What is wrong, as one sentence for people."),
        hint=_text("What to do about it."),
        pipeline=_text("The pipeline that failed."),
        container=_text("The container that failed."),
        exitCode=_number("The exit code of that container."),
        log=_text("The last lines of its log."),
        file=_text("The file whose template failed."),
        line=_number("The line of the template, counted from 1."),
        column=_number("The column of the template, counted from 1."),
        expression=_text("The expression that failed."),
        input=_text("The input that the expression read, as a path, for example spec.size."),
        value=_text("A short form of the value of that input."),
    )


def _object(description: str, **properties: Mapping[str, Any]) -> dict[str, Any]:
    return {"description": description, "type": "object", **OPEN, "properties": properties}


def _text(description: str) -> dict[str, Any]:
    return {"description": description, "type": "string"}


def _number(description: str) -> dict[str, Any]:
    return {"description": description, "type": "integer", "format": "int64"}


def _time(description: str) -> dict[str, Any]:
    return {"description": description, "type": "string", "format": "date-time"}
