"""What a Promise offers, read whole and found sound, or the first thing that is wrong with it.

The one judgement of a Promise: the operator makes it when a Promise is applied, and whoever works on a Promise
without a cluster gets the same words. Whether templates compile is asked separately (`check_pipeline`), because their
sources may be hostile and belong into a worker.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from troth.api import InvalidObject, Promise, Resource
from troth.api.objects import Object
from troth.api.pipelines import JinjaPipeline, check_built, parse_pipelines
from troth.api.typed import require_map
from troth.engine.promises.definitions import build_definition, declared_status, request_resource
from troth.engine.status.schema import derived_fields


@dataclass(frozen=True, slots=True)
class Offer:
    """A Promise whose spec is sound.

    Attributes:
        definition: the CustomResourceDefinition to install; None without an API.
        resource: where its requests live; None without an API.
        resource_configure: the pipelines of a request.
        resource_delete: the pipelines of a request that is deleted.
        promise_configure: the Promise's own pipelines.
        promise_delete: its pipelines when it is taken back.
    """

    definition: Mapping[str, Any] | None
    resource: Resource | None
    resource_configure: tuple[JinjaPipeline, ...]
    resource_delete: tuple[JinjaPipeline, ...]
    promise_configure: tuple[JinjaPipeline, ...]
    promise_delete: tuple[JinjaPipeline, ...]

    @property
    def status(self) -> Mapping[str, Any]:
        """The schema of the status that pipelines of a request write; nothing without an API."""
        if self.definition is None or self.resource is None:
            return {}
        return declared_status(self.definition, self.resource.version)

    @property
    def pipelines(self) -> tuple[JinjaPipeline, ...]:
        """All pipelines, in the order of the spec."""
        return (*self.resource_configure, *self.resource_delete, *self.promise_configure, *self.promise_delete)


def read_offer(promise: Promise) -> Offer:
    """Reads the whole spec of a Promise.

    Raises:
        InvalidObject: something in it cannot be carried out; names the field and the remedy.
    """
    spec = promise.spec
    resource, own = spec.resource_workflows, spec.promise_workflows
    configure = _parse(resource.configure, "spec.workflows.resource.configure")
    definition = build_definition(promise.name, spec.api, derived_fields(configure)) if spec.api else None
    offer = Offer(
        definition=definition,
        resource=request_resource(definition) if definition else None,
        resource_configure=configure,
        resource_delete=parse_pipelines(resource.delete, "spec.workflows.resource.delete", action="delete"),
        promise_configure=_parse(own.configure, "spec.workflows.promise.configure"),
        promise_delete=parse_pipelines(own.delete, "spec.workflows.promise.delete", action="delete"),
    )
    _check_dependencies(spec.dependencies)
    return offer


def _parse(pipelines: Sequence[Object], field: str) -> tuple[JinjaPipeline, ...]:
    return parse_pipelines(pipelines, field, action="configure")


def _check_dependencies(dependencies: Sequence[Object]) -> None:
    for index, manifest in enumerate(dependencies):
        field = f"spec.dependencies[{index}]"
        check_built(manifest, field)
        manifest = require_map(manifest, field)  # null lacks all that follows
        for required in ("apiVersion", "kind"):
            if not isinstance(manifest.get(required), str) or not manifest[required]:
                raise InvalidObject(f"{field}.{required}", "is missing", "a dependency is a whole manifest")
        if not require_map(manifest.get("metadata"), f"{field}.metadata").get("name"):
            raise InvalidObject(f"{field}.metadata.name", "is missing", "a dependency needs a name")
