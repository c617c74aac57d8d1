"""The PromiseRevisions of Promises: writes them, reports on them, and removes them.

See kratix-compatibility.md#revisions-and-bindings. `troth.engine.promises.revisions` says what is to be written. All of
it is done while the Promise is reconciled, so a revision has one writer. Kratix has a controller for each of the two
kinds, which write the same objects in turn.

A revision that the API server refuses does not hold the Promise up: its newest version is rendered from the Promise
itself. An Event says so.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping, Sequence
from typing import Any

from troth.api import Key, Promise
from troth.api import labels as names
from troth.api.resources import PROMISE, PROMISE_REVISION, RESOURCE_BINDING
from troth.api.revisions import PromiseRevision, ResourceBinding, read_promise_revision, read_resource_binding
from troth.controllers.caches import BY_PROMISE, BY_VERSION
from troth.controllers.object_writes import (
    create_or_patch,
    delete_object,
    object_reference,
    patch_object,
    take_finalizers_off,
)
from troth.controllers.owners import version_index
from troth.controllers.platform import Platform
from troth.engine.promises.revisions import (
    RevisionPlan,
    find_revision,
    plan_removal,
    plan_revisions,
    revision_status,
    version_of,
)
from troth.engine.workflow.repeats import own_interval
from troth.kube import REFUSALS, Conflict, Informer, NotFound

Object = Mapping[str, Any]


class PromiseRevisions:
    """Keeps the revisions of Promises."""

    def __init__(self, platform: Platform) -> None:
        self._platform = platform
        self._settled: dict[str, object] = {}

    @property
    def _revisions(self) -> Informer[PromiseRevision]:
        return self._platform.caches.revisions

    def of(self, promise: str) -> Sequence[PromiseRevision]:
        """The revisions of a Promise."""
        return list(self._revisions.by_index(BY_PROMISE, promise))

    async def keep(self, promise: Promise) -> None:
        """Writes the revision of the version that a Promise has now. Its spec must be sound, and its API installed.

        The former latest revision loses its label after the new one has it, so there is always one.
        """
        seen = self._seen(promise)
        if self._settled.get(promise.name) == seen:
            return
        interval = "" if names.PROMISE_RELEASE_NAME in promise.metadata.labels else own_interval(promise)
        # In a thread, because a spec with the manifests of an operator's release would block the event loop.
        plan = await asyncio.to_thread(plan_revisions, promise, tuple(self.of(promise.name)), interval=interval)
        try:
            await self._carry_out(promise, plan, interval)
        except REFUSALS as error:
            message = f"the API server refuses the PromiseRevision of this version: {error.message}"
            self._record(promise, "Warning", "RevisionRefused", message)
            return
        if plan.is_done:
            self._settled[promise.name] = seen

    def forget(self, promise: str) -> None:
        """Forgets a Promise that is gone."""
        self._settled.pop(promise, None)

    async def _carry_out(self, promise: Promise, plan: RevisionPlan, interval: str) -> None:
        await self._write(promise, plan, interval)
        for former in plan.demoted:
            await self._patch(former, {"metadata": {"labels": {names.LATEST_REVISION: None}}})
        for replaced in plan.replaced:
            if names.SKIP_REQUEST_CLEANUP not in replaced.metadata.annotations:
                await self._patch(replaced, {"metadata": {"annotations": {names.SKIP_REQUEST_CLEANUP: "true"}}})
            await self._delete(replaced)

    async def report(self, promise: Promise, *, available: bool) -> None:
        """Writes the status of the revisions, where it is not what it should be.

        ``available`` says whether the Promise can fulfil requests at the version that it has now.
        """
        revisions = self.of(promise.name)
        current = find_revision(revisions, version_of(promise))
        for revision in revisions:
            if revision.metadata.deleting:
                continue
            status = revision_status(
                revision, available=available and revision is current, now=self._platform.now()
            )
            key = Key(PROMISE_REVISION.name, "", revision.name)
            with contextlib.suppress(*REFUSALS):
                await self._platform.write_status(self._revisions, PROMISE_REVISION, key, revision.status, status)

    async def let_go(self, name: str, promise: Promise | None) -> None:
        """Carries on with the deletion of those revisions of a Promise that somebody has deleted.

        Raises:
            Conflict: one of them has changed meanwhile.
        """
        revisions = self.of(name)
        for revision in revisions:
            if revision.metadata.deleting and names.RESOURCE_REQUEST_CLEANUP in revision.metadata.finalizers:
                others = [each for each in revisions if each is not revision]
                if await self._take_along(revision, promise, others):
                    await self._release(revision)

    async def remove_all(self, promise: Promise) -> str:
        """Deletes the revisions of a Promise that is being deleted. Returns what is waited for, or an empty text."""
        for revision in self.of(promise.name):
            await self._delete(revision)
        with contextlib.suppress(Conflict):  # whatever changed queues the Promise
            await self.let_go(promise.name, promise)
        left = self.of(promise.name)
        noun = "revision" if len(left) == 1 else "revisions"
        return f"{len(left)} {noun} to be deleted" if left else ""

    # ---- writing

    def _seen(self, promise: Promise) -> object:
        """What decides about the revisions of a Promise: as long as it is the same, there is nothing to write."""
        meta = promise.metadata
        found = sorted((each.metadata.uid, each.metadata.resource_version) for each in self.of(promise.name))
        return (meta.uid, meta.generation, dict(meta.labels), dict(meta.annotations), found)

    async def _write(self, promise: Promise, plan: RevisionPlan, interval: str) -> None:
        if plan.existing is not None:
            if plan.patch is not None:
                await self._patch(plan.existing, plan.patch)
            return
        wanted = plan.body

        def bring_up_to_date(live: Object) -> Object | None:
            return plan_revisions(promise, [read_promise_revision(live)], interval=interval).patch

        await create_or_patch(self._platform, self._revisions, PROMISE_REVISION, wanted, bring_up_to_date)
        message = f"PromiseRevision {wanted['metadata']['name']} holds version {wanted['spec']['version']}"
        self._record(promise, "Normal", "RevisionCreated", message)

    async def _patch(self, revision: PromiseRevision, patch: Object) -> None:
        await patch_object(self._platform, self._revisions, PROMISE_REVISION, revision.metadata, patch)

    async def _delete(self, revision: PromiseRevision) -> None:
        with contextlib.suppress(Conflict):  # this is called again until it is gone
            await delete_object(self._platform, self._revisions, PROMISE_REVISION, revision.metadata)

    async def _release(self, revision: PromiseRevision) -> None:
        now = self._revisions.get("", revision.name) or revision
        await take_finalizers_off(
            self._platform,
            self._revisions,
            PROMISE_REVISION,
            Key(PROMISE_REVISION.name, "", revision.name),
            now.metadata,
            (names.RESOURCE_REQUEST_CLEANUP,),
        )

    async def _take_along(
        self, revision: PromiseRevision, promise: Promise | None, others: Sequence[PromiseRevision]
    ) -> bool:
        """Deletes what goes with a revision. Returns whether nothing is left."""
        caches = self._platform.caches
        bindings = list(caches.bindings.by_index(BY_VERSION, version_index(revision.promise, revision.version)))
        api = caches.request_apis.of_promise(revision.promise)
        named = [(each.metadata.namespace, each.resource) for each in bindings]
        found = [each for each in named if api and api.informer.get(*each)]
        removal = plan_removal(revision, promise, others, bindings, has_request=found)
        if removal.is_done:
            return True
        if api is None or not api.informer.synced.is_set():
            return False  # which requests exist is not known; the Promise is queued when they have been listed
        for binding in removal.requests:
            request = api.informer.get(binding.metadata.namespace, binding.resource)
            if request is not None and await self._is_still_bound(binding):
                with contextlib.suppress(Conflict):
                    await delete_object(self._platform, api.informer, api.resource, request.metadata)
        for orphan in removal.orphans:
            await self._delete_binding(orphan)
        bindings = list(caches.bindings.by_index(BY_VERSION, version_index(revision.promise, revision.version)))
        return not bindings

    async def _is_still_bound(self, binding: ResourceBinding) -> bool:
        """Whether a binding names its version on the API server, too: a deleted request cannot be brought back.

        Otherwise the watch is about to report what became of the binding, which queues the Promise.
        """
        try:
            live = await self._platform.client.get(RESOURCE_BINDING, binding.name, binding.metadata.namespace)
        except NotFound:
            return False
        return read_resource_binding(live).version == binding.version

    async def _delete_binding(self, binding: ResourceBinding) -> None:
        with contextlib.suppress(Conflict):
            await delete_object(self._platform, self._platform.caches.bindings, RESOURCE_BINDING, binding.metadata)

    def _record(self, promise: Promise, event_type: str, reason: str, message: str) -> None:
        self._platform.events.record(
            object_reference(PROMISE, promise.metadata),
            type=event_type,
            reason=reason,
            message=message,
            action="Reconcile",
        )
