"""Resource requests: from what somebody asked for to Works, and back to a status that tells the story.

Kratix's order (kratix-compatibility.md#requests, #deleting-a-request) without its detours: one pass does everything
that can be done, where
Kratix ends a pass after each write and waits for its own watch event. The Promise's spec that a request is
rendered with comes from one function, `promise_spec_for`, so that revisions can answer it.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from troth.api import InvalidObject, Key
from troth.api import labels as names
from troth.api.conditions import READY, find_condition
from troth.api.objects import Promise, PromiseSpec, Request
from troth.api.pipelines import Action, Pipeline
from troth.controllers.components import Components
from troth.controllers.live_request import LiveRequest
from troth.controllers.obstacles import after_refusal, why_refused
from troth.controllers.owners import owner_index
from troth.controllers.platform import Platform
from troth.controllers.request_deletion import RequestDeletion
from troth.controllers.request_reports import RequestReports
from troth.controllers.result import DONE, After, Result, Retry, Terminal, Waits
from troth.controllers.steps import Workflow
from troth.controllers.turn_waiting import Overtaken
from troth.controllers.workflow import Workflows, after_run
from troth.controllers.workflow_works import NameTaken, WorkOwner, Works, keep_or_make_again
from troth.engine.promises.definitions import declared_status
from troth.engine.promises.offers import read_pipelines
from troth.engine.rendering.render import render_context
from troth.engine.status import PAUSED
from troth.engine.workflow.progress import spec_hash, workflow_hash
from troth.kube import REFUSALS, Conflict, Forbidden, Invalid, TooLarge

_WAITS_FOR_PROMISE = Waits("its Promise")
_WAS_OVERTAKEN = Waits("it was changed while it waited for its turn")
_COMPONENTS_AGAIN = 10.0
_COMPONENTS_LISTED = "the requests that it has as components are being listed"
_NAME_TAKEN_AGAIN = 60.0
_KEPT_AGAIN = 10.0
_MOST_REMEMBERED = 500
FINALIZERS = (names.WORK_CLEANUP, names.WORKFLOWS_CLEANUP, names.DELETE_WORKFLOWS)


@dataclass(frozen=True, slots=True)
class BoundPromise:
    """The Promise's spec that a request uses.

    Attributes:
        spec: the spec.
        version: the version that the spec belongs to.
        revision: changes whenever the spec does.
    """

    spec: PromiseSpec
    version: str
    revision: str


def promise_spec_for(promise: Promise, request: Request) -> BoundPromise:
    """The spec that a request is rendered with: today the newest, later the one its revision says."""
    del request
    meta = promise.metadata
    version = promise.version or names.VERSION_NOT_SET
    return BoundPromise(promise.spec, version, f"{meta.uid}/{meta.generation}/{version}")


class RequestReconciler:
    """Renders requests and keeps their Works."""

    def __init__(self, platform: Platform, workflows: Workflows, works: Works) -> None:
        self._platform = platform
        self._workflows = workflows
        self._works = works
        components = Components(platform)
        self._reports = RequestReports(platform, works, components)
        self._deletion = RequestDeletion(platform, workflows, works, components, self._reports)
        self._parsed: dict[tuple[str, str], tuple[Pipeline, ...]] = {}
        self._hashes: dict[str, str] = {}

    async def reconcile(self, key: Key) -> Result:
        """Brings the Works and the status of one request to what it and its Promise say."""
        try:
            return await self._reconcile(key)
        except Overtaken:
            self._platform.queue.add(key)
            return _WAS_OVERTAKEN
        except Invalid as error:
            # Whatever else is refused was told in the status. This is the status.
            api = self._platform.caches.request_apis.get(key.kind)
            request = api.informer.get(key.namespace, key.name) if api else None
            if api and request:
                self._reports.status_refused(LiveRequest(key, api, request), error)
            return after_refusal(error)

    async def _reconcile(self, key: Key) -> Result:
        api = self._platform.caches.request_apis.get(key.kind)
        if api is None:
            return DONE  # the Promise's reconciler queues all requests once it follows the API
        request = api.informer.get(key.namespace, key.name)
        promise = self._platform.caches.promises.get("", api.promise)
        if request is None:
            return await self._deletion.clean_up_after(key, api, promise)
        if promise is None:
            return DONE
        live = LiveRequest(key, api, request)
        if self._is_paused(promise, request):
            await self._reports.paused(live, promise)
            return Waits("it is paused")
        if request.metadata.deleting:
            return await self._delete(live, promise)
        if promise.metadata.deleting:
            if request.status.get("observedGeneration") == request.metadata.generation:
                return _WAITS_FOR_PROMISE  # it goes in a moment, and what it says is so until then
            return await self._report_unavailable(live, promise)
        if promise.status.get("observedGeneration") != promise.metadata.generation:
            return _WAITS_FOR_PROMISE  # its reconciler looks at the new spec first, and then queues its requests
        if promise.status.get("status") != "Available":
            return await self._report_unavailable(await self._label(live), promise)
        return await self._configure(live, promise)

    async def _configure(self, live: LiveRequest, promise: Promise) -> Result:
        if live.metadata.unread:
            message = f"it cannot be read: {live.metadata.unread}; what was written for it before stays as it is"
            await self._reports.refused(live, "Unreadable", message, stalled=True)
            return Terminal("Unreadable", message)
        bound = promise_spec_for(promise, live.request)
        try:
            live = await self._claim(live)
            workflow = await self._workflow(live, promise, bound, "configure")
        except Conflict:
            return Retry("the request changed while it was being reconciled")
        except (Forbidden, Invalid) as error:
            message = f"the API server does not let the operator put its finalizers on this: {error.message}"
            await self._reports.refused(live, "FinalizersRefused", message)
            return after_refusal(error)
        except InvalidObject as error:
            return Terminal("InvalidPromise", str(error))
        owner = _owner(promise, bound, live.request)
        run = await self._workflows.run(workflow)
        live = await self._reports.announce_components(live, run)
        try:
            run = await keep_or_make_again(
                run,
                lambda run: self._works.keep_all(owner, names.WORK_TYPE_RESOURCE, run),
                lambda: self._workflows.run(workflow, fresh=True),
            )
        except REFUSALS as error:
            reason, message = why_refused(error, owner.work_namespace)
            await self._reports.refused(live, reason, message, stalled=isinstance(error, TooLarge))
            return after_refusal(error)
        except NameTaken as error:
            await self._reports.refused(live, "NameTaken", str(error))
            return Retry(str(error), longest=_NAME_TAKEN_AGAIN)
        reported = await self._reports.carried_out(live, bound.version, owner, run)
        if (follows := after_run(run)) is not None:
            return follows
        if self._reports.obstacles(owner, run):
            return After(_KEPT_AGAIN, "finalizers of others keep an object with the name of its Work")
        return DONE if reported else After(_COMPONENTS_AGAIN, _COMPONENTS_LISTED)

    async def _delete(self, live: LiveRequest, promise: Promise) -> Result:
        bound = promise_spec_for(promise, live.request)
        return await self._deletion.proceed(
            live,
            promise,
            _owner(promise, bound, live.request),
            lambda: self._workflow(live, promise, bound, "delete"),
        )

    async def _workflow(
        self, live: LiveRequest, promise: Promise, bound: BoundPromise, action: Action
    ) -> Workflow:
        """A workflow of a request. Raises InvalidObject when its pipelines cannot be read."""
        pipelines = self._pipelines(bound, action)
        of_promise = self._hashes.get(bound.revision)
        if of_promise is None:
            # A Promise may have megabytes of dependencies, which would hold the loop.
            of_promise = await asyncio.to_thread(spec_hash, promise.raw.get("spec"))
            if len(self._hashes) > _MOST_REMEMBERED:
                self._hashes.clear()
            self._hashes[bound.revision] = of_promise
        return Workflow(
            key=live.key,
            pipelines=pipelines,
            context=render_context(promise, live.request, version=bound.version),
            source="resource-workflow",
            action=action,
            status=live.status,
            hash=workflow_hash((of_promise, spec_hash(live.request.raw.get("spec")))),
            revision=bound.revision,
            selectors=bound.spec.destination_selectors,
            declared_status=declared_status(bound.spec.api or {}, live.api.resource.version),
            attendant=_Attendant(self._platform, self._reports, live, promise),
        )

    async def _report_unavailable(self, live: LiveRequest, promise: Promise) -> Result:
        """What was carried out stands; what was asked for since then waits, and says for what."""
        if not promise.status.get("status"):
            return _WAITS_FOR_PROMISE  # it has not been checked yet; its first status queues this request
        if (find_condition(promise.status.get("conditions"), READY) or {}).get("reason") == PAUSED:
            return _WAITS_FOR_PROMISE  # it is no longer paused, and looks at itself first
        owner = _owner(promise, promise_spec_for(promise, live.request), live.request)
        if not await self._reports.unavailable(live, promise, owner):
            return After(_COMPONENTS_AGAIN, _COMPONENTS_LISTED)
        return _WAITS_FOR_PROMISE

    async def _label(self, live: LiveRequest) -> LiveRequest:
        """Puts the Promise's label on a request that waits for its Promise, so that whoever looks for it finds it."""
        if live.metadata.labels.get(names.PROMISE_NAME) == live.api.promise:
            return live
        with contextlib.suppress(Conflict, *REFUSALS):  # no reason to say nothing of the Promise
            await self._set_metadata(live, live.metadata.finalizers, {names.PROMISE_NAME: live.api.promise})
        return live.reread()

    async def _claim(self, live: LiveRequest) -> LiveRequest:
        """Puts our finalizers and the Promise's label on the request, before the first effect."""
        meta = live.metadata
        missing = [name for name in FINALIZERS if name not in meta.finalizers]
        labels: dict[str, str | None] = {}
        if meta.labels.get(names.PROMISE_NAME) != live.api.promise:
            labels[names.PROMISE_NAME] = live.api.promise
        if names.MANUAL_RECONCILIATION in meta.labels:
            self._workflows.forget(live.key)
            labels[names.MANUAL_RECONCILIATION] = None
        if not missing and not labels:
            return live
        await self._set_metadata(live, [*meta.finalizers, *missing], labels)
        return live.reread()

    async def _set_metadata(
        self, live: LiveRequest, finalizers: Sequence[str], labels: Mapping[str, str | None]
    ) -> None:
        await self._platform.set_finalizers(
            live.api.informer,
            live.api.resource,
            live.key,
            finalizers=finalizers,
            resource_version=live.metadata.resource_version,
            labels=labels,
        )

    def _pipelines(self, bound: BoundPromise, action: Action) -> tuple[Pipeline, ...]:
        known = self._parsed.get((bound.revision, action))
        if known is None:
            workflows = bound.spec.resource_workflows
            chosen = workflows.configure if action == "configure" else workflows.delete
            known = read_pipelines(chosen, f"spec.workflows.resource.{action}", action=action)
            if len(self._parsed) > _MOST_REMEMBERED:
                self._parsed.clear()
            self._parsed[bound.revision, action] = known
        return known

    def _is_paused(self, promise: Promise, request: Request) -> bool:
        return "true" in (
            promise.metadata.labels.get(names.PAUSED),
            request.metadata.labels.get(names.PAUSED),
        )


@dataclass(frozen=True, slots=True)
class _Attendant:
    """Knows a request that waits for its turn."""

    platform: Platform
    reports: RequestReports
    live: LiveRequest
    promise: Promise

    def is_overtaken(self) -> bool:
        caches = self.platform.caches
        now, promise = caches.request_apis.get_request(self.live.key), caches.promises.get("", self.promise.name)
        if now is None or promise is None:
            return True
        return _meant(now, promise) != _meant(self.live.request, self.promise)

    async def tell(self, before: int) -> None:
        now = self.platform.caches.request_apis.get_request(self.live.key)
        if now is not None:
            await self.reports.waiting(replace(self.live, request=now), before)


def _meant(request: Request, promise: Promise) -> object:
    """What a rendering is made of, and whether there is to be one."""
    return [
        (meta.uid, meta.generation, meta.deleting, meta.labels, meta.annotations)
        for meta in (request.metadata, promise.metadata)
    ]


def _owner(promise: Promise, bound: BoundPromise, request: Request) -> WorkOwner:
    meta = request.metadata
    return WorkOwner(
        promise=promise.name,
        name=meta.name,
        namespace=meta.namespace,
        work_namespace=bound.spec.pipeline_namespace or meta.namespace,
        index=owner_index(promise.name, meta.namespace, meta.name),
        uid=meta.uid,
    )
