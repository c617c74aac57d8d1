"""Resource requests: from what somebody asked for to Works, and back to a status that tells the story.

Kratix's order (kratix-compatibility.md#requests, #deleting-a-request) without its detours: one pass does everything
that can be done, where
Kratix ends a pass after each write and waits for its own watch event. The Promise's spec that a request is
rendered with comes from one function, `promise_spec_for`, so that revisions can answer it.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from troth.api import InvalidObject, Key, Resource
from troth.api import labels as names
from troth.api.objects import Promise, PromiseSpec, Request
from troth.api.pipelines import JinjaPipeline, parse_pipelines
from troth.controllers.caches import BY_OWNER, BY_WORK, RequestApi
from troth.controllers.components import Components
from troth.controllers.handover import is_leaving, is_retired
from troth.controllers.owners import owner_index
from troth.controllers.placement_state import placement_facts
from troth.controllers.platform import Platform
from troth.controllers.relaxing import relax, remedy
from troth.controllers.result import DONE, After, Result, Retry, Terminal, Waits
from troth.controllers.turn_waiting import Overtaken
from troth.controllers.workflow import (
    ContentsForgotten,
    NameTaken,
    Run,
    Workflows,
    WorkOwner,
    after_failure,
    after_refusal,
    retry_seconds,
    why_refused,
)
from troth.engine import render_context
from troth.engine.components import Parent
from troth.engine.definitions import declared_status
from troth.engine.outputs import workflow_facts
from troth.engine.status import (
    PAUSED,
    RequestFacts,
    WorkFacts,
    WorkflowFacts,
    deletion_status,
    read_work,
    refusal_status,
    request_status,
    waiting_status,
    why_paused,
    why_unavailable,
)
from troth.engine.status.request import parse_time
from troth.kube import REFUSALS, Conflict, Forbidden, Invalid, TooLarge

logger = logging.getLogger(__name__)

_NOTHING = WorkflowFacts()
_WAITS_FOR_PROMISE = Waits("its Promise")
_WAS_OVERTAKEN = Waits("it was changed while it waited for its turn")
_COMPONENTS_AGAIN = 10.0
_COMPONENTS_LISTED = "the requests that it has as components are being listed"
_RELAXED_AGAIN = 2.0  # a changed schema is served a moment after it was accepted
_SKEW = 10.0
_NAME_TAKEN_AGAIN = 60.0
_KEPT_AGAIN = 10.0
FINALIZERS = (names.WORK_CLEANUP, names.WORKFLOWS_CLEANUP, names.DELETE_WORKFLOWS)
REMOVED_FINALIZERS = (*FINALIZERS, names.RESOURCE_BINDING_CLEANUP)


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

    def __init__(self, platform: Platform, workflows: Workflows) -> None:
        self.platform = self._platform = platform
        self._workflows = workflows
        self._components = Components(platform)
        self._parsed: dict[tuple[str, str], tuple[JinjaPipeline, ...]] = {}

    async def reconcile(self, key: Key) -> Result:
        """Brings the Works and the status of one request to what it and its Promise say."""
        try:
            return await self._reconcile(key)
        except Overtaken:
            self._platform.queue.add(key)
            return _WAS_OVERTAKEN
        except Invalid as error:
            # Whatever else is refused was told in the status. This is the status.
            api = self._platform.caches.requests.get(key.kind)
            request = api.informer.get(key.namespace, key.name) if api else None
            if api and request:
                message = f"the API server does not take its status: {error.message}. {remedy(api, error)}"
                self._record(api, request, "Warning", "StatusRefused", message, "Reconcile")
            return after_refusal(error)

    async def _reconcile(self, key: Key) -> Result:
        api = self._platform.caches.requests.get(key.kind)
        if api is None:
            return DONE  # the Promise's reconciler queues all requests once it follows the API
        request = api.informer.get(key.namespace, key.name)
        promise = self._platform.caches.promises.get("", api.promise)
        if request is None:
            return await self._clean_up_after(key, api, promise)
        if promise is None:
            return DONE
        if self._is_paused(promise, request):
            return await self._report_paused(key, api, promise, request)
        if request.metadata.deleting:
            return await self._delete(key, api, promise, request)
        if promise.metadata.deleting:
            if request.status.get("observedGeneration") == request.metadata.generation:
                return _WAITS_FOR_PROMISE  # it goes in a moment, and what it says is so until then
            return await self._report_unavailable(key, api, promise, request)
        if promise.status.get("observedGeneration") != promise.metadata.generation:
            return _WAITS_FOR_PROMISE  # its reconciler looks at the new spec first, and then queues its requests
        if promise.status.get("status") != "Available":
            request = await self._label(key, api, request)
            return await self._report_unavailable(key, api, promise, request)
        return await self._configure(key, api, promise, request)

    async def _configure(self, key: Key, api: RequestApi, promise: Promise, request: Request) -> Result:
        if request.metadata.unread:
            message = (
                f"it cannot be read: {request.metadata.unread}; what was written for it before stays as it is"
            )
            await self._report_refusal(key, api, request, "Unreadable", message, stalled=True)
            return Terminal("Unreadable", message)
        bound = promise_spec_for(promise, request)
        try:
            request = await self._claim(key, api, request)
            pipelines = self._pipelines(bound, "configure")
        except Conflict:
            return Retry("the request changed while it was looked at")
        except (Forbidden, Invalid) as error:
            message = f"the API server does not let the operator put its finalizers on this: {error.message}"
            await self._report_refusal(key, api, request, "FinalizersRefused", message)
            return after_refusal(error)
        except InvalidObject as error:
            return Terminal("InvalidPromise", str(error))
        owner = self._owner(promise, bound, request)
        run = await self._run(key, api, promise, request, bound, pipelines)
        request = await self._announce_components(key, api, request, run)
        try:
            try:
                await self._workflows.keep_works(owner, names.WORK_TYPE_RESOURCE, run)
            except ContentsForgotten:
                run = await self._run(key, api, promise, request, bound, pipelines, fresh=True)
                await self._workflows.keep_works(owner, names.WORK_TYPE_RESOURCE, run)
        except REFUSALS as error:
            reason, message = why_refused(error, owner.work_namespace)
            await self._report_refusal(key, api, request, reason, message, stalled=isinstance(error, TooLarge))
            return after_refusal(error)
        except NameTaken as error:
            await self._report_refusal(key, api, request, "NameTaken", str(error))
            return Retry(str(error), longest=_NAME_TAKEN_AGAIN)
        reported = await self._report(key, api, request, bound, owner, run)
        if run.failure is not None:
            return after_failure(run.failure)
        seconds = retry_seconds(run)
        if seconds is not None:
            return After(seconds, "its pipeline asked for it")
        if self._obstacles(owner, run):
            return After(_KEPT_AGAIN, "others keep what has the name of its Work")
        return DONE if reported else After(_COMPONENTS_AGAIN, _COMPONENTS_LISTED)

    async def _run(
        self,
        key: Key,
        api: RequestApi,
        promise: Promise,
        request: Request,
        bound: BoundPromise,
        pipelines: Sequence[JinjaPipeline],
        *,
        fresh: bool = False,
    ) -> Run:
        return await self._workflows.run(
            key,
            pipelines,
            render_context(promise, request, version=bound.version),
            revision=bound.revision,
            selectors=bound.spec.destination_selectors,
            source="resource-workflow",
            declared_status=declared_status(bound.spec.api or {}, api.resource.version),
            fresh=fresh,
            attendant=_Attendant(self, key, api, promise, request),
        )

    async def tell_waiting(self, key: Key, api: RequestApi, request: Request, before: int) -> None:
        """Says that a request, or its deletion, waits for its turn to be rendered."""
        if request.metadata.deleting:
            waiting_for = f"its delete pipeline, which waits for its turn, {before} before it"
            await self._report_deletion(key, api, request, waiting_for)
        elif request.status.get("observedGeneration") != request.metadata.generation:
            status = waiting_status(request.status, before=before, now=self._platform.now())
            await self._platform.write_status(api.informer, api.resource, key, request.status, status)

    async def _announce_components(self, key: Key, api: RequestApi, request: Request, run: Run) -> Request:
        """Names new components in the status before they are written, so that a deletion always knows of them."""
        entries = self._components.announce(run.components, request.status)
        if entries is None:
            return request
        status = {"troth": {**(request.status.get("troth") or {}), "components": entries}}
        await self._platform.write_status(api.informer, api.resource, key, request.status, status)
        return api.informer.get(key.namespace, key.name) or request

    async def _label(self, key: Key, api: RequestApi, request: Request) -> Request:
        """Puts the Promise's label on a request that waits for its Promise, so that whoever looks for it finds it."""
        if request.metadata.labels.get(names.PROMISE_NAME) == api.promise:
            return request
        with contextlib.suppress(Conflict, *REFUSALS):  # no reason to say nothing of the Promise
            await self._platform.set_finalizers(
                api.informer,
                api.resource,
                key,
                finalizers=request.metadata.finalizers,
                resource_version=request.metadata.resource_version,
                labels={names.PROMISE_NAME: api.promise},
            )
        return api.informer.get(key.namespace, key.name) or request

    async def _claim(self, key: Key, api: RequestApi, request: Request) -> Request:
        """Puts our finalizers and the Promise's label on the request, before the first effect."""
        meta = request.metadata
        missing = [name for name in FINALIZERS if name not in meta.finalizers]
        labels: dict[str, str | None] = {}
        if meta.labels.get(names.PROMISE_NAME) != api.promise:
            labels[names.PROMISE_NAME] = api.promise
        if names.MANUAL_RECONCILIATION in meta.labels:
            self._workflows.forget(key)
            labels[names.MANUAL_RECONCILIATION] = None
        if not missing and not labels:
            return request
        await self._platform.set_finalizers(
            api.informer,
            api.resource,
            key,
            finalizers=[*meta.finalizers, *missing],
            resource_version=meta.resource_version,
            labels=labels,
        )
        return api.informer.get(key.namespace, key.name) or request

    def _pipelines(self, bound: BoundPromise, action: str) -> tuple[JinjaPipeline, ...]:
        known = self._parsed.get((bound.revision, action))
        if known is None:
            workflows = bound.spec.resource_workflows
            chosen = workflows.configure if action == "configure" else workflows.delete
            known = parse_pipelines(chosen, f"spec.workflows.resource.{action}", action=action)  # type: ignore[arg-type]
            if len(self._parsed) > 500:
                self._parsed.clear()
            self._parsed[bound.revision, action] = known
        return known

    def _owner(self, promise: Promise, bound: BoundPromise, request: Request) -> WorkOwner:
        meta = request.metadata
        return WorkOwner(
            promise=promise.name,
            name=meta.name,
            namespace=meta.namespace,
            work_namespace=bound.spec.pipeline_namespace or meta.namespace,
            index=owner_index(promise.name, meta.namespace, meta.name),
            uid=meta.uid,
        )

    # ---- deletion

    async def _delete(self, key: Key, api: RequestApi, promise: Promise, request: Request) -> Result:
        """A resumable state machine: delete pipelines, Works, finalizers.

        See kratix-compatibility.md#deleting-a-request.
        """
        ours = set(REMOVED_FINALIZERS)
        if not ours & set(request.metadata.finalizers):
            self._workflows.forget(key)
            return DONE
        bound = promise_spec_for(promise, request)
        owner = self._owner(promise, bound, request)
        if names.DELETE_WORKFLOWS in request.metadata.finalizers:
            try:
                pipelines = self._pipelines(bound, "delete")
            except InvalidObject as error:
                return await self._report_deletion(key, api, request, "its delete pipeline", failure=str(error))
            if pipelines and request.metadata.unread:
                failure = (
                    f"its delete pipelines cannot be run: {request.metadata.unread}; or, to let it go without them, "
                    f"take the finalizer {names.DELETE_WORKFLOWS} off"
                )
                return await self._report_deletion(
                    key, api, request, "its delete pipeline", failure=failure, stalled=True
                )
            context = render_context(promise, request, version=bound.version)
            blocked = await self._workflows.finish(
                key,
                pipelines,
                context,
                source="resource-workflow",
                attendant=_Attendant(self, key, api, promise, request),
            )
            if blocked is not None:
                await self._report_deletion(
                    key,
                    api,
                    request,
                    "its delete pipeline",
                    failure=blocked.failure,
                    suspended=blocked.suspended,
                    stalled=isinstance(blocked.result, Terminal),
                )
                return blocked.result
        if left := await self._workflows.remove_works(owner):
            return await self._report_deletion(key, api, request, self._waiting_for(left))
        parent = Parent(api.promise, key.namespace, key.name)
        components = self._components.remaining(key, parent, request.status)
        if components:
            # Their files are gone, so whoever applied them is taking them away: what they made goes before we do.
            return await self._report_deletion(key, api, request, f"{', '.join(components)} to be removed")
        try:
            await self._platform.set_finalizers(
                api.informer,
                api.resource,
                key,
                finalizers=[name for name in request.metadata.finalizers if name not in ours],
                resource_version=request.metadata.resource_version,
            )
        except Conflict:
            return Retry("the request changed while its finalizers were taken off")
        except (Forbidden, Invalid) as error:
            return await self._report_held(key, api, promise, request, error)
        self._workflows.forget(key)
        return DONE

    async def _report_held(
        self, key: Key, api: RequestApi, promise: Promise, request: Request, error: Forbidden | Invalid
    ) -> Result:
        """Everything of it is gone, and the API server does not let it go."""
        if isinstance(error, Invalid) and await relax(self._platform, api, promise):
            return Retry("its API goes as well, and refuses nothing any more", longest=_RELAXED_AGAIN)
        message = (
            f"the API server does not let the operator take its finalizers off: {error.message}. "
            f"{remedy(api, error)}"
        )
        self._record(api, request, "Warning", "DeletionRefused", message, "Delete")
        status = deletion_status(request.status, waiting_for="", now=self._platform.now(), refusal=message)
        await self._platform.write_status(api.informer, api.resource, key, request.status, status)
        return after_refusal(error)

    def _waiting_for(self, works: Sequence[Any]) -> str:
        destinations = sorted(
            {
                placement.destination
                for work in works
                for placement in self._platform.caches.placements.by_index(
                    BY_WORK, f"{work.metadata.namespace}/{work.metadata.name}"
                )
            }
        )
        noun = "1 work" if len(works) == 1 else f"{len(works)} works"
        place = f" from {', '.join(destinations)}" if destinations else ""
        return f"{noun} to be removed{place}{self._workflows.obstacle(works)}"

    async def _report_deletion(
        self,
        key: Key,
        api: RequestApi,
        request: Request,
        waiting_for: str,
        *,
        failure: str = "",
        suspended: bool = False,
        stalled: bool = False,
    ) -> Result:
        # Most deletions take less than a commit: only one that lasts, or has failed, is worth a write.
        lasts = failure or suspended or not _younger_than(request, 2.0, self._platform.clock())
        if lasts:
            status = deletion_status(
                request.status,
                waiting_for=waiting_for,
                now=self._platform.now(),
                failure=failure,
                suspended=suspended,
                stalled=stalled,
            )
            wrote = await self._platform.write_status(api.informer, api.resource, key, request.status, status)
            if wrote and failure:
                self._record(api, request, "Warning", "DeleteWorkflowFailed", failure, "Delete")
            return Terminal("DeleteWorkflowFailed", failure) if failure else DONE
        return After(2.5, f"waiting for {waiting_for}")

    async def _clean_up_after(self, key: Key, api: RequestApi, promise: Promise | None) -> Result:
        """A request that went away without us (its finalizers were taken) leaves Works behind."""
        self._workflows.forget(key)
        self._platform.settling.forget(owner_index(api.promise, key.namespace, key.name))
        if not api.informer.synced.is_set() or promise is None:
            return DONE
        for work in self._platform.caches.works.by_index(
            BY_OWNER, owner_index(api.promise, key.namespace, key.name)
        ):
            await self._workflows.delete_work(work)
        return DONE

    # ---- status

    def _is_paused(self, promise: Promise, request: Request) -> bool:
        return "true" in (
            promise.metadata.labels.get(names.PAUSED),
            request.metadata.labels.get(names.PAUSED),
        )

    async def _report_paused(self, key: Key, api: RequestApi, promise: Promise, request: Request) -> Result:
        facts = RequestFacts(
            generation=request.metadata.generation,
            promise_version="",
            workflow=_NOTHING,
            paused=True,
            obstacle=why_paused(
                promise.name,
                names.PAUSED,
                by_promise=promise.metadata.labels.get(names.PAUSED) == "true",
                deleting=request.metadata.deleting,
            ),
        )
        status = request_status(request.status, facts, now=self._platform.now())
        if await self._platform.write_status(api.informer, api.resource, key, request.status, status):
            self._record(api, request, "Warning", PAUSED, facts.obstacle.message, "Reconcile")
        return Waits("it is paused")

    async def _report_unavailable(self, key: Key, api: RequestApi, promise: Promise, request: Request) -> Result:
        """What was carried out stands; what was asked for since then waits, and says for what."""
        if not promise.status.get("status"):
            return _WAITS_FOR_PROMISE  # it was not looked at yet; its first status queues this request
        if _condition(promise.status, "Ready").get("reason") == PAUSED:
            return _WAITS_FOR_PROMISE  # it is no longer paused, and looks at itself first
        parent = Parent(api.promise, key.namespace, key.name)
        components = self._components.facts(key, parent, (), request.status, complete=False)
        if components is None:
            return After(_COMPONENTS_AGAIN, _COMPONENTS_LISTED)
        owner = self._owner(promise, promise_spec_for(promise, request), request)
        facts = RequestFacts(
            generation=request.metadata.generation,
            promise_version="",
            workflow=_NOTHING,
            works=self._works_of(owner),
            promise_available=False,
            components=components,
            obstacle=why_unavailable(promise.name, promise.status, deleting=promise.metadata.deleting),
        )
        before = request.status
        status = request_status(before, facts, now=self._platform.now())
        if await self._platform.write_status(api.informer, api.resource, key, before, status):
            self._record_outcome(key, api, request, before, status)
        return _WAITS_FOR_PROMISE

    async def _report_refusal(
        self, key: Key, api: RequestApi, request: Request, reason: str, message: str, *, stalled: bool = False
    ) -> None:
        """The API server takes no Work, or no finalizer, without which nothing may be made."""
        status = refusal_status(
            request.status,
            generation=request.metadata.generation,
            reason=reason,
            message=message,
            now=self._platform.now(),
            stalled=stalled,
        )
        if await self._platform.write_status(api.informer, api.resource, key, request.status, status):
            self._record(api, request, "Warning", reason, message, "Reconcile")

    async def _report(
        self,
        key: Key,
        api: RequestApi,
        request: Request,
        bound: BoundPromise,
        owner: WorkOwner,
        run: Run,
    ) -> bool:
        """Writes the status if it differs; False when it cannot be known yet how the components fare."""
        now = self._platform.now()
        workflow = workflow_facts(run, request.status, generation=request.metadata.generation, now=now)
        parent = Parent(api.promise, key.namespace, key.name)
        components = self._components.facts(
            key, parent, run.components, request.status, complete=workflow.state == "Succeeded"
        )
        if components is None:
            return False
        facts = RequestFacts(
            generation=request.metadata.generation,
            promise_version=bound.version,
            workflow=workflow,
            works=(*self._works_of(owner), *self._obstacles(owner, run)),
            components=components,
            former=self._workflows.former_pipelines(owner),
        )
        before = request.status
        status = request_status(before, facts, now=now)
        if await self._platform.write_status(api.informer, api.resource, key, before, status):
            self._record_outcome(key, api, request, before, status)
        return True

    def _works_of(self, owner: WorkOwner) -> tuple[WorkFacts, ...]:
        works = self._workflows.works_of(owner)
        return tuple(
            self.work_facts(work) for work in works if not work.metadata.deleting and not is_retired(work)
        )

    def _obstacles(self, owner: WorkOwner, run: Run) -> tuple[WorkFacts, ...]:
        return self._workflows.obstacles(owner, names.WORK_TYPE_RESOURCE, run.pipelines)

    def work_facts(self, work: Any) -> WorkFacts:
        """What is reported of one Work, from the caches."""
        return read_work(
            work,
            (
                placement_facts(self._platform, placement)
                for placement in self._platform.caches.placements.by_index(
                    BY_WORK, f"{work.metadata.namespace}/{work.metadata.name}"
                )
                if not is_leaving(work, placement)
            ),
        )

    def _record_outcome(
        self,
        key: Key,
        api: RequestApi,
        request: Request,
        before: Mapping[str, Any],
        status: Mapping[str, Any],
    ) -> None:
        ready = _condition(status, "Ready")
        was = _condition(before, "Ready")
        if (ready.get("status"), ready.get("reason"), ready.get("message")) == (
            was.get("status"),
            was.get("reason"),
            was.get("message"),
        ) and _versions(before) == _versions(status):
            return
        reason = str(ready.get("reason") or "")
        if ready.get("status") == "True":
            versions = ", ".join(sorted(_versions(status)))
            message = f"{ready.get('message')}" + (f" ({versions})" if versions else "")
            logger.info(
                "%s: %s", key, message, extra={"kind": key.kind, "namespace": key.namespace, "object": key.name}
            )
            self._record(api, request, "Normal", "ReconcileSucceeded", message, "Reconcile")
        elif reason not in ("WorksPending", "WorkflowPending", "ComponentsPending"):
            self._record(api, request, "Warning", reason, str(ready.get("message")), "Reconcile")

    def _record(
        self, api: RequestApi, request: Request, event_type: str, reason: str, message: str, action: str
    ) -> None:
        self._platform.events.record(
            request_reference(api.resource, request),
            type=event_type,
            reason=reason,
            message=message,
            action=action,
        )


@dataclass(frozen=True, slots=True)
class _Attendant:
    """Knows a request that waits for its turn."""

    reconciler: RequestReconciler
    key: Key
    api: RequestApi
    promise: Promise
    request: Request

    def is_overtaken(self) -> bool:
        caches = self.reconciler.platform.caches
        now, promise = caches.get_request(self.key), caches.promises.get("", self.promise.name)
        return now is None or promise is None or _meant(now, promise) != _meant(self.request, self.promise)

    async def tell(self, before: int) -> None:
        now = self.reconciler.platform.caches.get_request(self.key)
        if now is not None:
            await self.reconciler.tell_waiting(self.key, self.api, now, before)


def _meant(request: Request, promise: Promise) -> object:
    """What a rendering is made of, and whether there is to be one."""
    return [
        (meta.uid, meta.generation, meta.deleting, meta.labels, meta.annotations)
        for meta in (request.metadata, promise.metadata)
    ]


def request_reference(resource: Resource, request: Request) -> dict[str, Any]:
    """The object reference of a request, for Events."""
    meta = request.metadata
    return {
        "apiVersion": resource.api_version,
        "kind": resource.kind,
        "name": meta.name,
        "namespace": meta.namespace,
        "uid": meta.uid,
    }


def _condition(status: Mapping[str, Any], kind: str) -> Mapping[str, Any]:
    return next((item for item in status.get("conditions") or () if item.get("type") == kind), {})


def _versions(status: Mapping[str, Any]) -> set[str]:
    placements = (status.get("troth") or {}).get("placements") or ()
    return {str(placement["version"])[:12] for placement in placements if placement.get("version")}


def _younger_than(request: Request, seconds: float, now: float) -> bool:
    started = request.metadata.deletion_timestamp
    # From the API server's clock: one that is well ahead of ours tells nothing.
    return bool(started) and -_SKEW < now - parse_time(started).timestamp() < seconds
