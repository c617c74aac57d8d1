"""The pipelines of containers that a Promise declares, each with its place and its workflow.

Commands that work without a cluster look at all workflows of a Promise at once, in the order in which they are written.
The operator does not use this: it reads one workflow at a time, when it is needed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from troth.api.container_pipelines import ContainerPipeline
from troth.api.pipelines import CONTAINER_PIPELINE, Action, parse_pipeline
from troth.engine.jobs.runs import WorkflowType
from troth.engine.rendering.sources import value_at

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
