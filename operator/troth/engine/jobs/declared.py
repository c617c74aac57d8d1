"""The pipelines of containers that a Promise declares, each with its place and its workflow.

Commands that work without a cluster look at all workflows of a Promise at once, in the order in which they are written.
The operator does not use this: it reads one workflow at a time, when it is needed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from troth.api import labels as names
from troth.api.container_pipelines import ContainerPipeline
from troth.api.objects import Promise, Selector
from troth.api.pipelines import CONTAINER_PIPELINE, Action, parse_pipeline
from troth.api.resources import Resource
from troth.api.typed import read_map, read_text, read_texts
from troth.engine.jobs.runs import PipelineRun, WorkflowType
from troth.engine.rendering.sources import value_at

_TRACES: Final = (names.TRACE_PARENT, names.TRACE_STATE)
_WORKFLOWS: Final[tuple[tuple[WorkflowType, Action], ...]] = (
    ("resource", "configure"),
    ("resource", "delete"),
    ("promise", "configure"),
    ("promise", "delete"),
)


@dataclass(frozen=True, slots=True)
class ContainerStep:
    """One pipeline of containers in a workflow of a Promise.

    Attributes:
        field: its path in the Promise, such as ``spec.workflows.resource.configure[0]``.
        type: whose workflow it belongs to.
        action: when that workflow runs.
        pipeline: the pipeline.
        last: whether it is the last pipeline of its workflow.
    """

    field: str
    type: WorkflowType
    action: Action
    pipeline: ContainerPipeline
    last: bool

    def run_for(
        self,
        resource: Resource,
        obj: Mapping[str, Any],
        promise: Promise,
        *,
        namespace: str,
        specs: str,
    ) -> PipelineRun:
        """Returns the first run of the pipeline for an object, as the operator would make it.

        Args:
            resource: the kind of the object: of the request, or of Promises.
            obj: the request, or the Promise.
            promise: the Promise.
            namespace: where Jobs run if the Promise does not say: that of the request, or the operator's.
            specs: the hash of the specs for which it runs (`troth.engine.workflow.progress.workflow_hash`).
        """
        metadata = read_map(obj.get("metadata"))
        annotations = read_texts(metadata.get("annotations"))
        selectors = promise.spec.destination_selectors
        return PipelineRun(
            pipeline=self.pipeline,
            type=self.type,
            action=self.action,
            promise=promise.name,
            version=promise.version or names.VERSION_NOT_SET,
            resource=resource,
            name=read_text(metadata.get("name")),
            uid=read_text(metadata.get("uid")),
            object_namespace=read_text(metadata.get("namespace")),
            namespace=promise.spec.pipeline_namespace or namespace,
            hash=specs,
            separate=self.type == "resource" and bool(promise.spec.pipeline_namespace),
            last=self.last,
            selectors=(Selector(selectors, "promise"),) if selectors else (),
            trace={name: annotations[name] for name in _TRACES if name in annotations},
        )

    @property
    def label(self) -> str:
        """``workflow/pipeline``, as people are told about it, such as ``resource.configure/instance``."""
        return f"{self.type}.{self.action}/{self.pipeline.name}"


def container_steps(promise: Mapping[str, Any]) -> tuple[ContainerStep, ...]:
    """Returns all pipelines of containers of a Promise that the operator accepts.

    Raises:
        InvalidObject: one of them is invalid.
    """
    return tuple(step for type_, action in _WORKFLOWS for step in _steps_of(promise, type_, action))


def describe_unknown(labels: Sequence[str]) -> str:
    """Says which pipelines run in containers, and what is not known about them, in a sentence without a full stop."""
    if len(labels) == 1:
        who, writes, have = f"the pipeline {labels[0]} runs", "it writes", "it has run"
    else:
        who, writes, have = f"the pipelines {', '.join(labels)} run", "they write", "they have run"
    return (
        f"{who} in containers: the files, the status and the destinations that {writes} are only known when {have}"
    )


def _steps_of(promise: Mapping[str, Any], type_: WorkflowType, action: Action) -> Iterator[ContainerStep]:
    field = f"spec.workflows.{type_}.{action}"
    pipelines = value_at(promise, field) or ()
    for index, obj in enumerate(pipelines):
        if obj.get("kind") != CONTAINER_PIPELINE:
            continue
        where = f"{field}[{index}]"
        pipeline = parse_pipeline(obj, where, action=action)
        if isinstance(pipeline, ContainerPipeline):
            yield ContainerStep(where, type_, action, pipeline, index == len(pipelines) - 1)
