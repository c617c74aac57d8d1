"""The deletion of a Promise, in Kratix's order (kratix-compatibility.md#deleting-a-promise).

It can be resumed at any point: each pass looks at what still exists and does the next step, so a crash between two
steps does no harm. Only what the delete pipelines have done is remembered, in the status. Their finalizer is removed
when pipelines of containers have succeeded, and the others last, all at once. A condition says what the deletion waits
for.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from troth.api import InvalidObject, Key, find_condition, reasons
from troth.api import labels as names
from troth.api.conditions import READY
from troth.api.objects import Promise, Request
from troth.api.pipelines import has_containers
from troth.api.resources import CUSTOM_RESOURCE_DEFINITION, JOB, PROMISE
from troth.controllers.caches import BY_PROMISE
from troth.controllers.delete_workflows import answered_labels, end_configuring
from troth.controllers.object_writes import delete_object, object_reference
from troth.controllers.obstacles import after_refusal
from troth.controllers.pipeline_leftovers import remove_all, remove_jobs
from troth.controllers.platform import Platform
from troth.controllers.promise_revisions import PromiseRevisions
from troth.controllers.result import DONE, After, Result, Retry, Terminal
from troth.controllers.steps import Workflow, promise_subject
from troth.controllers.workflow import Run, Workflows
from troth.controllers.workflow_events import record_workflow
from troth.controllers.workflow_works import WorkOwner, Works
from troth.engine.judgement import why_not_deleted
from troth.engine.promises.definitions import request_resource
from troth.engine.promises.offers import read_pipelines
from troth.engine.rendering.render import render_context
from troth.engine.status.deletion import deletion_status
from troth.engine.status.facts import WorkflowFacts
from troth.engine.status.promise import promise_deletion_status
from troth.engine.workflow.announcements import announce
from troth.engine.workflow.outputs import workflow_facts
from troth.engine.workflow.progress import workflow_hash
from troth.kube import PRIORITY_DEPENDENT, Conflict, Forbidden, Invalid

OURS = frozenset(
    {
        names.RESOURCE_REQUEST_CLEANUP,
        names.DYNAMIC_CONTROLLER_CLEANUP,
        names.API_CRD_CLEANUP,
        names.DEPENDENCIES_CLEANUP,
        names.WORKFLOWS_CLEANUP,
        names.REVISION_CLEANUP,
        names.DELETE_WORKFLOWS,
    }
)
_LOOK_AGAIN = 5.0
_OBSTACLES: Final = frozenset({reasons.DELETING, reasons.DELETE_WORKFLOW_FAILED, reasons.PAUSED})


class PromiseDeletion:
    """The steps of a Promise's deletion."""

    def __init__(
        self,
        platform: Platform,
        workflows: Workflows,
        works: Works,
        revisions: PromiseRevisions,
        owner_of: Callable[[Promise], WorkOwner],
        *,
        runs_containers: bool = False,
    ) -> None:
        """``owner_of`` returns the owner of a Promise's Works; ``runs_containers`` as for `PromiseReconciler`."""
        self._runs_containers = runs_containers
        self._platform = platform
        self._workflows = workflows
        self._works = works
        self._revisions = revisions
        self._owner_of = owner_of

    async def proceed(self, key: Key, promise: Promise) -> Result:
        """Does the next step, or says what the deletion waits for."""
        if not OURS & set(promise.metadata.finalizers):
            return DONE
        run: Run | None = None
        if names.DELETE_WORKFLOWS in promise.metadata.finalizers:
            workflow = await self._workflow(key, promise)
            if isinstance(workflow, str):
                await self._report(key, promise, "", failure=workflow)
                return Terminal(reasons.DELETE_WORKFLOW_FAILED, workflow)
            if waiting := await end_configuring(self._platform, promise.name, key, promise.status):
                return await self._wait(key, promise, waiting, None)
            ending = await self._workflows.finish(workflow)
            run = ending.run
            if ending.result is not None:
                await self._report(key, promise, "its delete pipeline", run=run)
                labels = answered_labels(promise.metadata.labels, run)
                if labels:
                    refused = await self._set_metadata(key, promise, (), labels)
                    return refused or ending.result
                return ending.result
            if has_containers(workflow.pipelines):
                # As for a request: nothing may make them run again from here on.
                await self._report(key, promise, "what it made to be removed", run=run)
                refused = await self._set_metadata(key, promise, (names.DELETE_WORKFLOWS,))
                if refused is not None:
                    return refused
                promise, run = self._platform.caches.reread(promise), None
        if jobs := await remove_jobs(self._platform, promise.name, key, promise.status):
            # Before the Works, since a Pod that still runs would write its Work again.
            return await self._wait(key, promise, f"the Jobs of its pipelines to be removed ({jobs})", run)
        if waiting := await self._remove_requests(promise):
            return await self._wait(key, promise, waiting, run)
        if waiting := await self._revisions.remove_all(promise):
            return await self._wait(key, promise, waiting, run)
        await self._platform.caches.request_apis.unfollow(promise.name)
        if JOB.name in self._platform.caches.informers:
            try:
                await remove_all(self._platform.client, promise.name)
            except (Forbidden, Invalid) as error:
                message = (
                    f"the API server does not let the operator remove what its pipelines had: {error.message}"
                )
                await self._report(key, promise, "", refusal=message)
                return after_refusal(error)
        if waiting := await self._remove_works(promise):
            return await self._wait(key, promise, waiting, run)
        if waiting := await self._remove_definitions(promise):
            return await self._wait(key, promise, waiting, run)
        if (refused := await self._set_metadata(key, promise, OURS)) is not None:
            return refused
        self._workflows.forget(key)
        return DONE

    async def _workflow(self, key: Key, promise: Promise) -> Workflow | str:
        """Its delete workflow, or why that cannot be run. The rest of its spec is not checked any more."""
        meta = promise.metadata
        try:
            problem = meta.unread
            pipelines = read_pipelines(
                promise.spec.promise_workflows.delete,
                "spec.workflows.promise.delete",
                action="delete",
                runs_containers=self._runs_containers,
            )
        except InvalidObject as error:
            problem, pipelines = str(error), ()
        if problem:
            return why_not_deleted(problem)
        return Workflow(
            key=key,
            pipelines=pipelines,
            context=render_context(promise, None),
            source="promise-workflow",
            action="delete",
            status=promise.status,
            hash=workflow_hash((await self._workflows.hash_of(promise),)),
            subject=promise_subject(promise, self._owner_of(promise).work_namespace),
            retries=names.MANUAL_RECONCILIATION in meta.labels,
        )

    async def _set_metadata(
        self,
        key: Key,
        promise: Promise,
        done: Collection[str],
        labels: Mapping[str, str | None] | None = None,
    ) -> Result | None:
        """Takes finalizers off and writes labels. Returns None, or the result when the API server refuses that."""
        meta = self._platform.caches.reread(promise).metadata
        try:
            await self._platform.set_finalizers(
                self._platform.caches.promises,
                PROMISE,
                key,
                finalizers=[name for name in meta.finalizers if name not in done],
                resource_version=meta.resource_version,
                labels=labels,
            )
        except Conflict:
            return Retry("the Promise changed while it was being deleted")
        except (Forbidden, Invalid) as error:
            message = f"the API server does not let the operator remove its finalizers: {error.message}"
            await self._report(key, promise, "", refusal=message)
            return after_refusal(error)
        return None

    async def _remove_requests(self, promise: Promise) -> str:
        """Deletes the requests in all namespaces. Returns what is waited for, or an empty text when none is left."""
        caches = self._platform.caches
        for live in caches.definitions.by_index(BY_PROMISE, promise.name):
            if not live.established:
                continue
            resource = request_resource({"spec": live.spec})
            informer = caches.request_apis.follow(promise.name, resource, live.metadata, reread=False)
            if not informer.synced.is_set():
                return f"the list of {resource.plural}"
            left = list(informer.items())
            for request in left:
                meta = request.metadata
                if not meta.deleting:
                    with contextlib.suppress(Conflict):  # the others come first; this is called until none is left
                        await delete_object(self._platform, informer, resource, meta)
                else:
                    self._platform.queue.add(
                        Key(resource.name, meta.namespace, meta.name), priority=PRIORITY_DEPENDENT
                    )
            if left:
                noun = "request" if len(left) == 1 else "requests"
                return f"{len(left)} {noun} of {resource.kind} to be deleted{_obstacle(left)}"
        return ""

    async def _remove_works(self, promise: Promise) -> str:
        await self._works.remove_all(self._owner_of(promise), promise.status)
        for work in self._platform.caches.works.by_index(BY_PROMISE, promise.name):
            await self._works.delete(work)
        left = [
            work
            for work in self._platform.caches.works.by_index(BY_PROMISE, promise.name)
            if names.WORK_CLEANUP in work.metadata.finalizers
        ]
        if not left:
            return ""
        noun = "1 work" if len(left) == 1 else f"{len(left)} works"
        return f"{noun} to be removed from their destinations{self._works.obstacle(left)}"

    async def _remove_definitions(self, promise: Promise) -> str:
        left = self._platform.caches.definitions.by_index(BY_PROMISE, promise.name)
        for live in left:
            await delete_object(
                self._platform, self._platform.caches.definitions, CUSTOM_RESOURCE_DEFINITION, live.metadata
            )
        return f"the API {left[0].metadata.name} to be deleted" if left else ""

    async def _wait(self, key: Key, promise: Promise, waiting_for: str, run: Run | None) -> Result:
        await self._report(key, promise, waiting_for, run=run)
        return After(_LOOK_AGAIN, f"waiting for {waiting_for}")

    async def _report(
        self,
        key: Key,
        promise: Promise,
        waiting_for: str,
        *,
        run: Run | None = None,
        failure: str = "",
        refusal: str = "",
    ) -> None:
        now, generation = self._platform.now(), promise.metadata.generation
        workflow = WorkflowFacts()
        if run is not None:
            workflow = workflow_facts(
                run, promise.status, generation=generation, progress=run.progress, action="delete"
            )
        told = deletion_status(
            promise.status,
            waiting_for=waiting_for,
            now=now,
            workflow=workflow,
            generation=generation,
            failure=failure,
            refusal=refusal,
        )
        status = promise_deletion_status(promise.status, told, now=now)
        promises = self._platform.caches.promises
        if await self._platform.write_status(promises, PROMISE, key, promise.status, status):
            about = object_reference(PROMISE, promise.metadata)
            record_workflow(self._platform, about, announce(promise.status, status, "promise"))


@dataclass(frozen=True, slots=True)
class UntilDeleted:
    """Attends a Promise whose own pipelines wait for their turn, and gives the turn up when the Promise is deleted.

    A Promise that was edited keeps its turn, and takes another one afterwards. If it gave its turn up, it would have
    to wait for all others again.
    """

    platform: Platform
    promise: Promise

    def is_overtaken(self) -> bool:
        """Whether the Promise is being deleted, so that it need not be rendered any more."""
        now = self.platform.caches.promises.get("", self.promise.name)
        return now is None or now.metadata.deleting or now.metadata.uid != self.promise.metadata.uid

    async def tell(self, before: int) -> None:
        """Does nothing: the status of a Promise says what was found, and not how long that takes."""


def _obstacle(requests: Iterable[Request]) -> str:
    """What keeps the first of the requests that give a reason: ``: team/orders says: Paused: …``, or an empty text."""
    for request in sorted(requests, key=lambda each: (each.metadata.namespace, each.metadata.name)):
        ready = find_condition(request.status.get("conditions"), READY) or {}
        if request.metadata.deleting and ready.get("reason") in _OBSTACLES:
            said = str(ready.get("message") or "").removeprefix("Deleting: ")
            return f": {request.metadata.namespace}/{request.metadata.name} says: {said}"
    return ""
