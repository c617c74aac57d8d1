"""Reads a whole Promise into an offer, or reports the first thing that is wrong with it.

There is only this one check of a Promise: the operator makes it when a Promise is applied, and people who work on a
Promise without a cluster get the same messages. Whether templates compile is checked separately (`check_pipeline`),
because their sources may be hostile and are only handled in a worker.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from troth.api import InvalidObject, Promise, Resource
from troth.api.container_pipelines import ContainerPipeline
from troth.api.objects import Object
from troth.api.pipelines import JINJA_PIPELINE, Action, JinjaPipeline, Pipeline, check_built, parse_pipelines
from troth.api.resources import TROTH_API_VERSION
from troth.api.typed import require_map, require_text
from troth.engine.promises.definitions import build_definition, declared_status, request_resource
from troth.engine.status.schema import derived_fields


@dataclass(frozen=True, slots=True)
class Offer:
    """A Promise whose spec is valid.

    Attributes:
        definition: the CustomResourceDefinition to install; None without an API.
        resource: where its requests live; None without an API.
        resource_configure: the pipelines of templates that carry out a request.
        resource_delete: the pipelines of templates that run when a request is deleted.
        promise_configure: the Promise's own pipelines of templates.
        promise_delete: the pipelines of templates that run when the Promise is deleted.
        containers: the pipelines of containers that carry out a request or run when it is deleted; there are none
            unless these can be run.
        promise_steps: all of the Promise's own pipelines, those of containers among them.
        has_promise_delete: whether pipelines of either kind run when the Promise is deleted.
    """

    definition: Mapping[str, Any] | None
    resource: Resource | None
    resource_configure: tuple[JinjaPipeline, ...]
    resource_delete: tuple[JinjaPipeline, ...]
    promise_configure: tuple[JinjaPipeline, ...]
    promise_delete: tuple[JinjaPipeline, ...]
    containers: tuple[ContainerPipeline, ...] = ()
    promise_steps: tuple[Pipeline, ...] = ()
    has_promise_delete: bool = False

    @property
    def status(self) -> Mapping[str, Any]:
        """The schema of the status that a request's pipelines write; empty without an API."""
        if self.definition is None or self.resource is None:
            return {}
        return declared_status(self.definition, self.resource.version)

    @property
    def pipelines(self) -> tuple[JinjaPipeline, ...]:
        """All pipelines of templates, in the order of the spec."""
        return (*self.resource_configure, *self.resource_delete, *self.promise_configure, *self.promise_delete)


def read_offer(promise: Promise, *, runs_containers: bool = False) -> Offer:
    """Reads the whole spec of a Promise.

    Args:
        promise: the Promise.
        runs_containers: whether pipelines of containers can be run.

    Raises:
        InvalidObject: something in it cannot be carried out; the error names the field and the remedy.
    """
    spec = promise.spec
    resource, own = spec.resource_workflows, spec.promise_workflows
    mixed = read_pipelines(
        resource.configure,
        "spec.workflows.resource.configure",
        action="configure",
        runs_containers=runs_containers,
    )
    last = read_pipelines(
        resource.delete, "spec.workflows.resource.delete", action="delete", runs_containers=runs_containers
    )
    steps = read_pipelines(
        own.configure, "spec.workflows.promise.configure", action="configure", runs_containers=runs_containers
    )
    own_last = read_pipelines(
        own.delete, "spec.workflows.promise.delete", action="delete", runs_containers=runs_containers
    )
    configure = templates_of(mixed)
    definition = build_definition(promise.name, spec.api, derived_fields(configure)) if spec.api else None
    offer = Offer(
        definition=definition,
        resource=request_resource(definition) if definition else None,
        resource_configure=configure,
        resource_delete=templates_of(last),
        promise_configure=templates_of(steps),
        promise_delete=templates_of(own_last),
        containers=tuple(pipeline for pipeline in (*mixed, *last) if isinstance(pipeline, ContainerPipeline)),
        promise_steps=steps,
        has_promise_delete=bool(own_last),
    )
    _check_dependencies(spec.dependencies)
    return offer


def read_pipelines(
    pipelines: Sequence[Object], field: str, *, action: Action, runs_containers: bool = False
) -> tuple[Pipeline, ...]:
    """Reads the pipelines of one workflow, all of which can be run.

    Args:
        pipelines: as they were written.
        field: their path.
        action: what they are for.
        runs_containers: whether pipelines of containers can be run in this workflow.

    Raises:
        InvalidObject: a pipeline is invalid, or it is one of containers, and these cannot be run.
    """
    found = parse_pipelines(pipelines, field, action=action)
    for index, pipeline in enumerate(found):
        if isinstance(pipeline, ContainerPipeline) and not runs_containers:
            raise InvalidObject(
                f"{field}[{index}].kind",
                "container pipelines are not supported yet",
                f"write the pipeline as a {JINJA_PIPELINE} of {TROTH_API_VERSION}",
            )
    return found


def templates_of(pipelines: Sequence[Pipeline]) -> tuple[JinjaPipeline, ...]:
    """Returns those of the pipelines that are of templates."""
    return tuple(pipeline for pipeline in pipelines if isinstance(pipeline, JinjaPipeline))


def _check_dependencies(dependencies: Sequence[Object]) -> None:
    for index, manifest in enumerate(dependencies):
        field = f"spec.dependencies[{index}]"
        check_built(manifest, field)
        manifest = require_map(manifest, field)  # null counts as an empty map
        for required in ("apiVersion", "kind"):
            if not isinstance(manifest.get(required), str) or not manifest[required]:
                raise InvalidObject(f"{field}.{required}", "is missing", "a dependency is a whole manifest")
        metadata = require_map(manifest.get("metadata"), f"{field}.metadata")
        if not require_text(metadata.get("name"), f"{field}.metadata.name"):
            raise InvalidObject(f"{field}.metadata.name", "is missing", "a dependency needs a name")
