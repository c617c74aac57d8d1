"""The ResourceBindings of requests: which version each request asks for, and what became of that.

See kratix-compatibility.md#revisions-and-bindings. `troth.engine.promises.bindings` decides; this module reads the
caches and writes. A binding is written while its request is reconciled, so it has one writer, and a binding that
somebody else changes queues its request.

It costs two writes for each request: the binding, and the record of what was applied. Kratix's Events about it are not
posted, since each would be one more write and would say what the binding says.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from typing import Any

from troth.api import Key, Promise
from troth.api import labels as names
from troth.api.resources import RESOURCE_BINDING
from troth.api.revisions import ResourceBinding, read_resource_binding
from troth.controllers.caches import BY_OWNER, BY_PROMISE
from troth.controllers.live_request import LiveRequest
from troth.controllers.object_writes import create_or_patch, delete_object, patch_object
from troth.controllers.owners import owner_index
from troth.controllers.platform import Platform
from troth.engine.judgement import BoundPromise
from troth.engine.promises.bindings import Versions, binding_patch, binding_status, new_binding
from troth.engine.status.facts import WorkflowState
from troth.kube import Conflict, Informer

Object = Mapping[str, Any]


class RequestBindings:
    """Reads, makes, reports on and removes the bindings of requests."""

    def __init__(self, platform: Platform) -> None:
        self._platform = platform

    @property
    def _bindings(self) -> Informer[ResourceBinding]:
        return self._platform.caches.bindings

    def versions_of(self, promise: str, key: Key) -> Versions:
        """What the version of a request depends on."""
        return Versions(
            self._usable(promise, key),
            tuple(self._platform.caches.revisions.by_index(BY_PROMISE, promise)),
            pinned=self._platform.settings.pins_requests,
        )

    def is_wanted(self, promise: Promise, key: Key) -> bool:
        """Whether a request has a binding, or is to get one: there are versions to choose from."""
        return bool(promise.version) or self._of(promise.name, key) is not None

    async def keep(self, live: LiveRequest, bound: BoundPromise) -> bool:
        """Makes the binding of a request, unless it has one, and gives it the labels of the request.

        Returns False when there was one that the cache did not have, and that asks for another version than ``bound``.

        Raises:
            Conflict: the binding has changed meanwhile.
            Forbidden, Invalid, NotFound, TooLarge: the API server refuses the binding.
        """
        promise = bound.promise
        if not self.is_wanted(promise, live.key):
            return True
        binding = self._of(promise.name, live.key)
        if binding is None:
            if self._all(promise.name, live.key):
                return True  # it is being deleted, and made again when it is gone
            return await self._create(live, promise, bound.asked) == bound.asked
        patch = binding_patch(promise.name, live.request, binding)
        if patch is not None:
            await patch_object(self._platform, self._bindings, RESOURCE_BINDING, binding.metadata, patch)
        return True

    async def report(self, live: LiveRequest, bound: BoundPromise, outcome: WorkflowState) -> None:
        """Writes into the binding what became of the version that its request was rendered with."""
        binding = self._of(bound.promise.name, live.key)
        if binding is None:
            return
        status = binding_status(binding, version=bound.version, outcome=outcome, now=self._platform.now())
        key = Key(RESOURCE_BINDING.name, binding.metadata.namespace, binding.name)
        await self._platform.write_status(self._bindings, RESOURCE_BINDING, key, binding.status, status)

    def asks_for_run(self, promise: str, key: Key) -> bool:
        """Whether the binding of a request has the label that asks for another run of the request."""
        binding = self._of(promise, key)
        return binding is not None and binding.asks_for_run

    async def hand_over_wish(self, live: LiveRequest, promise: str) -> None:
        """Takes that label off the binding. Its request must have it by now.

        Raises:
            Conflict: the binding has changed meanwhile.
        """
        binding = self._of(promise, live.key)
        if binding is None:
            return
        patch = {"metadata": {"labels": {names.MANUAL_RECONCILIATION: None}}}
        await patch_object(self._platform, self._bindings, RESOURCE_BINDING, binding.metadata, patch)
        message = f"Reconciliation requested for version {binding.version}"
        self._platform.events.record(
            live.reference, type="Normal", reason="ReconcileRequested", message=message, action="Reconcile"
        )

    async def remove(self, promise: str, key: Key) -> None:
        """Deletes the bindings of a request that is gone but for its finalizers."""
        for binding in self._all(promise, key):
            with contextlib.suppress(Conflict):  # another object has its name, or somebody else deletes it
                await delete_object(self._platform, self._bindings, RESOURCE_BINDING, binding.metadata)

    def _all(self, promise: str, key: Key) -> list[ResourceBinding]:
        return list(self._bindings.by_index(BY_OWNER, owner_index(promise, key.namespace, key.name)))

    def _usable(self, promise: str, key: Key) -> tuple[ResourceBinding, ...]:
        return tuple(each for each in self._all(promise, key) if not each.metadata.deleting)

    def _of(self, promise: str, key: Key) -> ResourceBinding | None:
        return Versions(self._usable(promise, key)).binding

    async def _create(self, live: LiveRequest, promise: Promise, asked: str) -> str:
        """Makes the binding, unless there is one. Returns the version that it asks for."""
        body = new_binding(promise.name, live.request, asked)

        def bring_up_to_date(live_binding: Object) -> Object | None:
            return binding_patch(promise.name, live.request, read_resource_binding(live_binding))

        found = await create_or_patch(self._platform, self._bindings, RESOURCE_BINDING, body, bring_up_to_date)
        return read_resource_binding(found).version
