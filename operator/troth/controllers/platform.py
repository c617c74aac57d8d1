"""What every reconciler is given: the caches, the clients and the settings that it needs.

Nothing is decided here. The class exists so that the dependencies of a reconciler are one argument, and a test can
pass others.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Protocol

from troth.api import Key, Promise, Resource
from troth.api import labels as names
from troth.api.intervals import DEFAULT_INTERVAL
from troth.api.pipelines import JinjaPipeline
from troth.controllers.caches import Caches
from troth.controllers.contents import Contents
from troth.controllers.conversion import ConversionEndpoint
from troth.controllers.settling import Settling
from troth.controllers.slots import Slots
from troth.controllers.stores import OpenStores
from troth.controllers.triggers import Trigger, queue_all
from troth.controllers.writes import Writes
from troth.engine.admission.unfit import Unfit
from troth.engine.failure import Failure
from troth.engine.jobs.runs import PodSettings
from troth.engine.lint_report import LintReport
from troth.engine.promises.reach import Reach
from troth.engine.rendering.render import Outcome, RenderContext
from troth.engine.status.patch import status_patch
from troth.engine.workers.pool import Place
from troth.kube import Client, EventRecorder, Informer, NotFound, WorkQueue
from troth.stores import StateStoreWriter

Object = Mapping[str, Any]


class Renderer(Protocol):
    """Renders templates (implemented by `engine.workers.pool`)."""

    async def render(
        self, pipelines: Sequence[JinjaPipeline], context: RenderContext, place: Place | None = None
    ) -> tuple[Outcome, ...]:
        """Renders pipelines in order, up to the first failure. ``place`` tells meanwhile how many others come first."""

    async def check(self, pipelines: Sequence[JinjaPipeline]) -> Failure | None:
        """The failure of the first template that does not compile; None when all of them do."""


class Inspector(Protocol):
    """Inspects Promises, and what they mean for live requests (implemented by `engine.workers.inspection`)."""

    async def find_errors(self, promise: Promise) -> LintReport:
        """What lint reports as errors in a Promise."""

    async def find_unfit(
        self, edition: str, definition: Mapping[str, Any], requests: Iterable[Mapping[str, Any]]
    ) -> Sequence[Unfit]:
        """The live requests that do not fit their API. ``edition`` differs whenever the definition does."""


class OpenWriter(Protocol):
    """Opens the writer of a state store from its kind, its spec and the data of its Secret."""

    async def __call__(
        self, kind: str, name: str, spec: Object, secret: Mapping[str, bytes] | None
    ) -> StateStoreWriter:
        """Opens the writer. Raises StoreError when the spec or the Secret lacks something."""


@dataclass(frozen=True, slots=True)
class ControllerSettings:
    """The settings of the reconcilers. Each is read where it is used, since they may change while the operator runs.

    Attributes:
        system_namespace: the namespace with the Works of Promises.
        store_poll_seconds: how often a store is checked for lost files and for problems that have been solved.
        failing_store_poll_seconds: the same while the store is not ready.
        write_retry_seconds: how long a refused write waits at most before it is tried again.
        reach: the namespaces in which Promises may have their Works kept.
        flat_workflow_status: whether the configure workflow is written into statuses in Kratix's flat layout, too.
        pods: the settings of the Pods of container pipelines.
        jobs_kept: how many Jobs of each pipeline are kept for people to look at.
        pod_ttl_seconds: how long the Pods of a Job that has ended are kept; None for as long as the Job.
        reconciliation_interval: seconds after which a workflow runs again, where its Promise does not say.
        reconcile_after_failure: whether a workflow that has failed runs again after that interval, too.
        pins_requests: whether a new request stays on the version of its Promise that is the latest one then.
    """

    system_namespace: str = names.SYSTEM_NAMESPACE
    store_poll_seconds: float = 10.0
    failing_store_poll_seconds: float = 3.0
    write_retry_seconds: float = 15.0
    reach: Reach = field(default_factory=Reach)
    flat_workflow_status: bool = True
    pods: PodSettings = field(default_factory=lambda: PodSettings(""))
    jobs_kept: int = 5
    pod_ttl_seconds: float | None = None
    reconciliation_interval: float = DEFAULT_INTERVAL
    reconcile_after_failure: bool = True
    pins_requests: bool = False


@dataclass(slots=True)
class Platform:
    """What all reconcilers share."""

    client: Client
    caches: Caches
    queue: WorkQueue
    events: EventRecorder
    renderer: Renderer
    inspector: Inspector
    open_writer: OpenWriter
    open_stores: OpenStores
    writes: Writes
    settling: Settling
    contents: Contents
    slots: Slots
    settings: ControllerSettings
    clock: Callable[[], float]
    conversion: ConversionEndpoint = field(default_factory=ConversionEndpoint)

    def trigger(self, triggers: Iterable[Trigger]) -> None:
        """Queues the keys that `troth.controllers.triggers` returned."""
        queue_all(self.queue, triggers)

    def now(self) -> str:
        """The time as Kubernetes writes it: RFC 3339, in UTC, in whole seconds."""
        return datetime.fromtimestamp(self.clock(), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")

    async def write_status(
        self, informer: Informer[Any], resource: Resource, key: Key, old: Object, new: Object
    ) -> bool:
        """Writes the status of an object if ``new`` differs from ``old``. Returns whether it was written."""
        patch = status_patch(old, new)
        if patch is None:
            return False
        try:
            answer = await self.client.merge_patch(
                resource, key.name, {"status": patch}, namespace=key.namespace, subresource="status"
            )
        except NotFound:
            return False  # the object was deleted meanwhile
        informer.observe(answer)
        return True

    async def set_finalizers(
        self,
        informer: Informer[Any],
        resource: Resource,
        key: Key,
        *,
        finalizers: Sequence[str],
        resource_version: str,
        labels: Mapping[str, str | None] | None = None,
        annotations: Mapping[str, str] | None = None,
    ) -> dict[str, Any] | None:
        """Writes the whole list of finalizers, and labels and annotations; None removes a label.

        The API server refuses it when the object has changed.

        Returns the object as it was written, or None if it is gone.
        """
        metadata: dict[str, Any] = {"finalizers": list(finalizers)}
        if labels:
            metadata["labels"] = dict(labels)
        if annotations:
            metadata["annotations"] = dict(annotations)
        try:
            answer = await self.client.merge_patch(
                resource,
                key.name,
                {"metadata": metadata},
                namespace=key.namespace,
                resource_version=resource_version,
            )
        except NotFound:
            return None
        if answer.get("kind") == "Status":
            return None
        informer.observe(answer)
        return answer
