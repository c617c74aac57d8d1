"""A request as the caches have it at one moment; every step of its reconciliation works on this value."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from troth.api import Key
from troth.api.objects import ObjectMeta, Request
from troth.controllers.object_writes import object_reference
from troth.controllers.platform import Platform
from troth.controllers.request_apis import RequestApi
from troth.engine.rendering.components import Parent


@dataclass(frozen=True, slots=True)
class LiveRequest:
    """A request, with the API that it belongs to.

    Attributes:
        key: the key under which it is queued.
        api: the Promise's API, with the informer that knows the request.
        request: the request as it was when this value was read.
    """

    key: Key
    api: RequestApi
    request: Request

    @property
    def metadata(self) -> ObjectMeta:
        """Its metadata."""
        return self.request.metadata

    @property
    def status(self) -> Mapping[str, Any]:
        """Its status as the API server has it."""
        return self.request.status

    @property
    def parent(self) -> Parent:
        """What its components name as their parent."""
        return Parent(self.api.promise, self.key.namespace, self.key.name)

    @property
    def reference(self) -> dict[str, Any]:
        """The reference that its Events have."""
        return object_reference(self.api.resource, self.metadata)

    def reread(self) -> LiveRequest:
        """The request as the cache has it now, for example after a write. This same value when the request is gone."""
        now = self.api.informer.get(self.key.namespace, self.key.name)
        return self if now is None else replace(self, request=now)


async def write_metadata(
    platform: Platform,
    live: LiveRequest,
    finalizers: Sequence[str],
    labels: Mapping[str, str | None] | None = None,
    annotations: Mapping[str, str] | None = None,
) -> None:
    """Writes the whole list of a request's finalizers, and labels and annotations; None removes a label.

    Raises:
        Conflict: the request has changed since ``live`` was read.
        Forbidden: the operator may not write it.
        Invalid: the request does not fit its own API any more.
    """
    await platform.set_finalizers(
        live.api.informer,
        live.api.resource,
        live.key,
        finalizers=finalizers,
        resource_version=live.metadata.resource_version,
        labels=labels,
        annotations=annotations,
    )
