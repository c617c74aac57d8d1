"""Reconciles resource requests: renders them into Works, and reports in their status what became of them.

Kratix's order (kratix-compatibility.md#requests, #deleting-a-request) without its detours: one pass does everything
that can be done, where Kratix ends a pass after each write and waits for its own watch event. A pure function
(`troth.engine.judgement`) decides what is to be done, and it is carried out here.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, replace

from troth.api import InvalidObject, Key
from troth.api import labels as names
from troth.api.objects import Promise, Request
from troth.controllers.components import Components
from troth.controllers.live_request import LiveRequest, write_metadata
from troth.controllers.obstacles import after_refusal, why_refused
from troth.controllers.owners import owner_index
from troth.controllers.platform import Platform
from troth.controllers.repeats import Repeats
from troth.controllers.request_bindings import RequestBindings
from troth.controllers.request_deletion import RequestDeletion
from troth.controllers.request_reports import RequestReports
from troth.controllers.result import DONE, After, Result, Retry, Terminal, Waits
from troth.controllers.steps import Subject, Workflow
from troth.controllers.turn_waiting import Overtaken
from troth.controllers.wishes import suspension_label
from troth.controllers.workflow import Run, Workflows, after_run
from troth.controllers.workflow_works import NameTaken, WorkOwner, Works, keep_or_make_again
from troth.engine.judgement import (
    SOURCE,
    BoundPromise,
    Leaving,
    Paused,
    PipelineMemory,
    Refused,
    Renders,
    Waiting,
    judge_request,
)
from troth.engine.promises.reach import check_pipeline_namespace
from troth.engine.workflow.progress import spec_hash, workflow_hash
from troth.engine.workflow.repeats import Schedule
from troth.engine.workflow.wishes import Wishes, judge_run, read_round, read_wishes
from troth.kube import REFUSALS, Conflict, Forbidden, Invalid, TooLarge

_WAITS_FOR_PROMISE = Waits("its Promise")
_WAS_OVERTAKEN = Waits("it was changed while it waited for its turn")
_COMPONENTS_AGAIN = 10.0
_COMPONENTS_LISTED = "the requests that it has as components are being listed"
_NAME_TAKEN_AGAIN = 60.0
_KEPT_AGAIN = 10.0
FINALIZERS = (names.WORK_CLEANUP, names.WORKFLOWS_CLEANUP, names.DELETE_WORKFLOWS)


class RequestReconciler:
    """Renders requests and keeps their Works."""

    def __init__(
        self, platform: Platform, workflows: Workflows, works: Works, *, runs_containers: bool = False
    ) -> None:
        self._platform = platform
        self._workflows = workflows
        self._works = works
        components = Components(platform)
        self._reports = RequestReports(platform, works, components)
        self._bindings = RequestBindings(platform)
        self._deletion = RequestDeletion(platform, workflows, works, components, self._reports, self._bindings)
        self._repeats = Repeats(platform)
        self._pipelines = PipelineMemory(runs_containers=runs_containers)

    async def reconcile(self, key: Key) -> Result:
        """Makes the Works and the status of one request what the request and its Promise say."""
        try:
            return await self._reconcile(key)
        except Overtaken:
            self._platform.queue.add(key)
            return _WAS_OVERTAKEN
        except Invalid as error:
            # Every other refusal is reported in the status; here the status itself was refused.
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
        found = judge_request(
            promise,
            request,
            api_version=api.resource.version,
            read=self._pipelines.read,
            versions=self._bindings.versions_of(promise.name, key),
        )
        match found:
            case Paused():
                await self._reports.paused(live, found.obstacle)
                return Waits("it is paused")
            case Leaving():
                owner = _owner(found.bound, request)
                return await self._deletion.proceed(live, found, owner, lambda: self._workflow(live, found))
            case Waiting():
                return await self._wait(live, found)
            case Refused():
                if not found.by_promise:
                    await self._reports.refused(live, found.reason, found.why, stalled=not found.passes)
                return Terminal(found.reason, found.why)
            case Renders():
                schedule = self._repeats.schedule_of(found.bound.used)
                result = await self._configure(live, found, schedule)
                self._repeats.plan(key, live.reread().request, schedule)
                return result

    async def _configure(self, live: LiveRequest, found: Renders, schedule: Schedule) -> Result:
        owner = _owner(found.bound, live.request)
        if (outside := self._outside(found.bound, owner)) is not None:
            await self._reports.refused(live, outside.reason, outside.message, stalled=True)
            return outside
        try:
            live = await self._take_wish(live, found.bound)
        except Conflict:
            return Retry("the request or its binding changed while it was being reconciled")
        except (Forbidden, Invalid) as error:
            return after_refusal(error)
        asked = judge_run(
            live.metadata,
            live.status,
            schedule,
            now=self._platform.clock(),
            promise_round=read_round(found.bound.promise.status),
        )
        try:
            live = await self._claim(live, asked.wishes, found.bound)
            if asked.unpaused:
                live = await self._reports.unpaused(live)
            workflow = replace(await self._workflow(live, found), from_start=asked.from_start)
        except Conflict:
            return Retry("the request changed while it was being reconciled")
        except (Forbidden, Invalid) as error:
            message = f"the API server does not let the operator put its finalizers on this: {error.message}"
            await self._reports.refused(live, "FinalizersRefused", message)
            return after_refusal(error)
        if (refused := await self._keep_binding(live, found.bound)) is not None:
            return refused
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
        binding_version = found.bound.asked if self._bindings.is_wanted(found.bound.promise, live.key) else ""
        reported = await self._reports.carried_out(live, found.bound.version, binding_version, owner, run, asked)
        if reported:
            try:
                await self._bindings.report(live, found.bound, reported)
                await self._settle_labels(live, run)
            except Conflict:
                return Retry("the request changed while it was being reconciled")
        if (follows := after_run(run, now=self._platform.clock())) is not None:
            return follows
        if self._reports.obstacles(owner, run):
            return After(_KEPT_AGAIN, "finalizers of others keep an object with the name of its Work")
        return DONE if reported else After(_COMPONENTS_AGAIN, _COMPONENTS_LISTED)

    async def _workflow(self, live: LiveRequest, found: Renders | Leaving) -> Workflow:
        """The workflow with which a request is carried out or deleted."""
        bound = found.bound
        of_promise = await self._workflows.hash_of(bound.used)
        asked = names.MANUAL_RECONCILIATION in live.metadata.labels
        return Workflow(
            key=live.key,
            pipelines=found.pipelines,
            context=bound.context(live.request),
            source=SOURCE,
            action="configure" if isinstance(found, Renders) else "delete",
            status=live.status,
            hash=workflow_hash((of_promise, spec_hash(live.request.raw.get("spec")))),
            revision=bound.revision,
            selectors=bound.spec.destination_selectors,
            declared_status=bound.declared_status(live.api.resource.version),
            suspended=isinstance(found, Renders) and names.WORKFLOW_SUSPENDED in live.metadata.labels,
            attendant=_Attendant(self._platform, self._reports, live, bound.promise),
            subject=Subject(
                resource=live.api.resource,
                uid=live.metadata.uid,
                promise=bound.promise.name,
                version=bound.version,
                namespace=bound.spec.pipeline_namespace or live.key.namespace,
                separate=bool(bound.spec.pipeline_namespace),
                labels=live.metadata.labels,
                annotations=live.metadata.annotations,
            ),
            retries=asked and isinstance(found, Leaving),
        )

    async def _settle_labels(self, live: LiveRequest, run: Run) -> None:
        """Takes the labels off that asked for a run, or for a stop, once the status says what became of that."""
        now = live.reread()
        labels, annotations = read_wishes(now.metadata, now.status).removals()
        labels |= suspension_label(live.metadata.labels, run)
        if labels or annotations:
            await write_metadata(self._platform, now, now.metadata.finalizers, labels, annotations)

    async def _wait(self, live: LiveRequest, found: Waiting) -> Result:
        """Leaves what was carried out as it is, and reports what the newer version of the request waits for."""
        if found.obstacle is None:
            return _WAITS_FOR_PROMISE
        if not found.bound.promise.metadata.deleting:
            live = await self._label(live)
        if not await self._reports.unavailable(live, found.obstacle, _owner(found.bound, live.request)):
            return After(_COMPONENTS_AGAIN, _COMPONENTS_LISTED)
        return _WAITS_FOR_PROMISE

    async def _label(self, live: LiveRequest) -> LiveRequest:
        """Puts the Promise's label on a request that waits for its Promise, so that it can be found by the label."""
        if live.metadata.labels.get(names.PROMISE_NAME) == live.api.promise:
            return live
        with contextlib.suppress(Conflict, *REFUSALS):  # even then the status about the Promise is written
            await write_metadata(
                self._platform, live, live.metadata.finalizers, {names.PROMISE_NAME: live.api.promise}
            )
        return live.reread()

    def _outside(self, bound: BoundPromise, owner: WorkOwner) -> Terminal | None:
        """Why a revision may not be used: anybody may have written it, and only Promises are checked as a whole."""
        if not bound.is_kept:
            return None
        kept_in = frozenset(work.metadata.namespace for work in self._works.of(owner))
        try:
            check_pipeline_namespace(bound.spec, self._platform.settings.reach, kept_in=kept_in)
        except InvalidObject as error:
            return Terminal("InvalidPromise", f"the version {bound.version} of its Promise: {error}")
        return None

    async def _take_wish(self, live: LiveRequest, bound: BoundPromise) -> LiveRequest:
        """Moves the label that asks for another run from the binding to the request, which knows what comes of it."""
        if not self._bindings.asks_for_run(bound.promise.name, live.key):
            return live
        if names.MANUAL_RECONCILIATION not in live.metadata.labels:
            wished = {names.MANUAL_RECONCILIATION: "true"}
            await write_metadata(self._platform, live, live.metadata.finalizers, wished)
        await self._bindings.hand_over_wish(live, bound.promise.name)
        return live.reread()

    async def _keep_binding(self, live: LiveRequest, bound: BoundPromise) -> Result | None:
        """Makes the binding. Returns None, or the result when the request cannot be carried out with that spec."""
        try:
            if not await self._bindings.keep(live, bound):
                return Retry("it has a binding already, which asks for another version")
        except Conflict:
            return Retry("the binding changed while its request was being reconciled")
        except REFUSALS as error:
            reason, message = why_refused(error, live.key.namespace)
            if not isinstance(error, Forbidden) or not error.namespace_terminating:
                reason = "BindingRefused"
                message = f"the API server does not let the operator keep its ResourceBinding: {error.message}"
            await self._reports.refused(live, reason, message)
            return after_refusal(error)
        return None

    async def _claim(self, live: LiveRequest, wishes: Wishes, bound: BoundPromise) -> LiveRequest:
        """Puts our finalizers and the Promise's label on the request, before the first effect.

        Labels whose wish the status has recorded are taken off, in case the operator was ended before it did that.
        """
        meta = live.metadata
        binds = self._bindings.is_wanted(bound.promise, live.key)
        wanted = (*FINALIZERS, names.RESOURCE_BINDING_CLEANUP) if binds else FINALIZERS
        missing = [name for name in wanted if name not in meta.finalizers]
        labels, annotations = wishes.removals()
        if meta.labels.get(names.PROMISE_NAME) != live.api.promise:
            labels[names.PROMISE_NAME] = live.api.promise
        if not missing and not labels and not annotations:
            return live
        await write_metadata(self._platform, live, [*meta.finalizers, *missing], labels, annotations)
        return live.reread()


@dataclass(frozen=True, slots=True)
class _Attendant:
    """Attends a request that waits for its turn to be rendered."""

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
    """Everything that a rendering depends on, and whether the request is to be rendered at all."""
    return [
        (meta.uid, meta.generation, meta.deleting, meta.labels, meta.annotations)
        for meta in (request.metadata, promise.metadata)
    ]


def _owner(bound: BoundPromise, request: Request) -> WorkOwner:
    promise, meta = bound.promise, request.metadata
    return WorkOwner(
        promise=promise.name,
        name=meta.name,
        namespace=meta.namespace,
        work_namespace=bound.spec.pipeline_namespace or meta.namespace,
        index=owner_index(promise.name, meta.namespace, meta.name),
        uid=meta.uid,
    )
