"""The kinds that are followed: how each is read, how it is indexed, and which keys a change of it queues.

A new kind is one more row here. Its cache is `Caches.of`, and the start, the probes and the metrics take it from the
table. The APIs of Promises come and go, so they share one row (`request_kind`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Generic, TypeVar

from troth.api import Resource
from troth.api import labels as names
from troth.api.objects import (
    Request,
    read_destination,
    read_promise,
    read_request,
    read_state_store,
)
from troth.api.resources import (
    CUSTOM_RESOURCE_DEFINITION,
    DESTINATION,
    JOB,
    POD,
    PROMISE,
    PROMISE_REVISION,
    RESOURCE_BINDING,
    WORK,
    WORK_PLACEMENT,
)
from troth.api.revisions import read_promise_revision, read_resource_binding
from troth.api.store_kinds import STORE_KINDS
from troth.controllers import triggers
from troth.controllers.caches import (
    BY_CLAIM,
    BY_DESTINATION,
    BY_JOB,
    BY_OWNER,
    BY_PROMISE,
    BY_REQUIREMENT,
    BY_STORE,
    BY_UNWRITTEN,
    BY_VERSION,
    BY_WORK,
    Caches,
)
from troth.controllers.differences import failing, was_ever_written
from troth.controllers.job_views import follow_job, follow_pod
from troth.controllers.owners import (
    binding_owner,
    claim_of_owner,
    claims_of,
    is_of_old,
    promise_of,
    version_index,
    work_of,
    work_owner,
)
from troth.controllers.request_apis import BY_FAILING
from troth.controllers.triggers import Change, Trigger
from troth.engine.placement.seals import Seals
from troth.engine.placement.work import ContentDigests
from troth.engine.promises.definitions import read_definition
from troth.kube.informer import HasMetadata

T = TypeVar("T", bound=HasMetadata)


@dataclass(frozen=True, slots=True)
class Kind(Generic[T]):
    """How the objects of a kind are followed.

    Attributes:
        resource: the kind.
        read: makes the view that is kept of an object.
        changed: which keys are queued when an object changes.
        indexes: for each index, the values under which a view is found.
        label_selector: which objects are followed; all when empty.
        is_heavy: whether reading an object takes so long that it has to be done in a thread.
        has_ready: whether our reconcilers write its ``Ready`` condition. If so, the metrics count its objects by that
            condition, and a status that somebody else has written queues the object.
        is_indispensable: whether the operator gives up when the API server refuses the kind for too long.
    """

    resource: Resource
    read: Callable[[dict[str, Any]], T]
    changed: Callable[[Change[T], Caches], Iterable[Trigger]]
    indexes: Mapping[str, Callable[[T], Iterable[str]]] = field(default_factory=dict)
    label_selector: str = ""
    is_heavy: Callable[[dict[str, Any]], bool] | None = None
    has_ready: bool = True
    is_indispensable: bool = False


def fixed_kinds(seals: Seals, digests: ContentDigests) -> tuple[Kind[Any], ...]:
    """The kinds that are followed from start to end."""
    return (
        *(Kind(kind.resource, read_state_store, triggers.store_changed) for kind in STORE_KINDS.values()),
        Kind(
            DESTINATION,
            read_destination,
            triggers.destination_changed,
            {BY_STORE: lambda destination: [str(destination.store)]},
        ),
        Kind(
            CUSTOM_RESOURCE_DEFINITION,
            read_definition,
            triggers.definition_changed,
            {BY_PROMISE: lambda definition: [promise_of(definition.metadata)]},
            label_selector=names.PROMISE_NAME,
            has_ready=False,
        ),
        Kind(
            PROMISE,
            read_promise,
            triggers.promise_changed,
            {BY_REQUIREMENT: lambda promise: [entry.name for entry in promise.spec.required_promises]},
            is_indispensable=True,
        ),
        Kind(
            PROMISE_REVISION,
            read_promise_revision,
            triggers.revision_changed,
            {BY_PROMISE: lambda revision: [revision.promise]},
            has_ready=False,
        ),
        Kind(
            RESOURCE_BINDING,
            read_resource_binding,
            triggers.binding_changed,
            {
                BY_OWNER: lambda binding: [binding_owner(binding)],
                BY_VERSION: lambda binding: [version_index(binding.promise, binding.version)],
            },
            has_ready=False,
        ),
        Kind(
            WORK_PLACEMENT,
            partial(seals.read_work_placement, digest=digests),
            triggers.placement_changed,
            {
                BY_WORK: lambda placement: [work_of(placement)] if placement.sealed_for else (),
                BY_DESTINATION: lambda placement: [placement.destination] if placement.sealed_for else (),
                BY_UNWRITTEN: lambda placement: (
                    (BY_UNWRITTEN,) if placement.sealed_for and not was_ever_written(placement) else ()
                ),
                BY_CLAIM: lambda placement: claims_of(placement) if is_of_old(placement) else (),
            },
            is_heavy=digests.is_heavy,
        ),
        Kind(
            WORK,
            partial(seals.read_work, digest=digests),
            triggers.work_changed,
            {
                BY_OWNER: lambda work: [work_owner(work)] if work.sealed_for else (),
                BY_PROMISE: lambda work: [promise_of(work.metadata)] if work.sealed_for else (),
                BY_CLAIM: lambda work: () if work.sealed_for else [claim_of_owner(work)],
            },
            is_heavy=digests.is_heavy,
        ),
    )


def pipeline_kinds() -> tuple[Kind[Any], ...]:
    """The kinds that are followed as well where pipelines of containers can be run: their Jobs and Pods."""
    selector = f"{names.MANAGED_BY}={names.MANAGED_BY_KRATIX}"
    return (
        Kind(
            JOB,
            follow_job,
            triggers.job_changed,
            {BY_OWNER: lambda job: [job.owner]},
            label_selector=selector,
            has_ready=False,
        ),
        Kind(
            POD,
            follow_pod,
            triggers.pod_changed,
            {BY_JOB: lambda pod: [f"{pod.metadata.namespace}/{pod.job}"] if pod.job else ()},
            label_selector=selector,
            has_ready=False,
        ),
    )


def request_kind(resource: Resource) -> Kind[Request]:
    """How the requests of a Promise's API are followed."""
    return Kind(resource, read_request, triggers.request_changed, {BY_FAILING: failing})
