"""A run of a pipeline that has everything, and what its objects are held against."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from troth.api.container_pipelines import Container, ContainerPipeline, Permission
from troth.api.objects import Selector
from troth.api.resources import PROMISE, Resource
from troth.engine.jobs.objects import make_objects
from troth.engine.jobs.runs import PipelineRun, PodSettings
from troth.engine.kinds.kubernetes import Kubernetes

REDIS = Resource("marketplace.kratix.io", "v1alpha1", "redises", "Redis")
SETTINGS = PodSettings(image="registry.example.com/troth:1")
KUBERNETES = Kubernetes()

PIPELINE = ContainerPipeline(
    name="instance",
    containers=(
        Container(name="first", image="registry.example.com/first:1", env=({"name": "A", "value": "b"},)),
        Container(name="second", image="registry.example.com/second:1"),
    ),
)
RUN = PipelineRun(
    pipeline=PIPELINE,
    type="resource",
    action="configure",
    promise="redis",
    version="",
    resource=REDIS,
    name="cache",
    uid="11111111-2222-3333-4444-555555555555",
    object_namespace="team-a",
    namespace="team-a",
    hash="d41d8cd98f00b204e9800998ecf8427e",
    selectors=(Selector({"environment": "dev"}, "promise"),),
)
PROMISE_RUN = replace(
    RUN,
    type="promise",
    resource=PROMISE,
    name="redis",
    object_namespace="",
    namespace="kratix-platform-system",
)
SEPARATE_RUN = replace(RUN, namespace="pipelines", separate=True)

Object = Mapping[str, Any]


def with_pipeline(run: PipelineRun, **changes: Any) -> PipelineRun:
    """The run with a pipeline that has something else in some of its fields."""
    return replace(run, pipeline=replace(run.pipeline, **changes))


def asking(run: PipelineRun, **namespaces: str) -> PipelineRun:
    """The run of a pipeline that asks for one rule in each of the namespaces; the keys say on which resource."""
    return with_pipeline(
        run,
        permissions=tuple(
            Permission({"apiGroups": [""], "resources": [resource], "verbs": ["get"]}, namespace)
            for resource, namespace in namespaces.items()
        ),
    )


def job_of(run: PipelineRun, settings: PodSettings = SETTINGS) -> Any:
    """The Job of a run."""
    return make_objects(run, settings).job[1]


def pod_of(run: PipelineRun, settings: PodSettings = SETTINGS) -> Any:
    """The spec of a run's Pod."""
    return job_of(run, settings)["spec"]["template"]["spec"]


def container_of(run: PipelineRun, name: str, settings: PodSettings = SETTINGS) -> Any:
    """A container of a run's Pod."""
    pod = pod_of(run, settings)
    return next(each for each in [*pod["initContainers"], *pod["containers"]] if each["name"] == name)


def of_kind(run: PipelineRun, kind: str) -> dict[tuple[str, str], Any]:
    """The objects of a kind that a run needs, by namespace and name."""
    return {
        (obj["metadata"].get("namespace", ""), obj["metadata"]["name"]): obj
        for resource, obj in make_objects(run, SETTINGS).in_order
        if resource.kind == kind
    }


def problems_of(run: PipelineRun, settings: PodSettings = SETTINGS) -> list[tuple[str, str, str]]:
    """What Kubernetes' schemas say against the objects of a run."""
    return [
        (resource.kind, *problem)
        for resource, obj in make_objects(run, settings).in_order
        for problem in KUBERNETES.problems(obj) or ()
    ]
