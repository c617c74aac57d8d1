"""The deletion of a request, in Kratix's order (kratix-compatibility.md#deleting-a-request).

The order is: delete pipelines, Jobs, Works, components, binding, finalizers. The deletion can be resumed at any point:
each pass looks at what still exists and does the next step, so a crash between two steps does no harm. Only what the
delete pipelines have done is remembered, in the status, and by their finalizer, which goes when they have succeeded.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence

from troth.api import Key, reasons
from troth.api import labels as names
from troth.api.objects import Promise, Work
from troth.api.pipelines import has_containers
from troth.controllers.caches import BY_OWNER, BY_WORK
from troth.controllers.components import Components
from troth.controllers.delete_workflows import answered_labels, end_configuring
from troth.controllers.job_views import jobs_of
from troth.controllers.live_request import LiveRequest, write_metadata
from troth.controllers.object_writes import delete_job
from troth.controllers.obstacles import after_refusal
from troth.controllers.owners import owner_index
from troth.controllers.pipeline_leftovers import remove_jobs
from troth.controllers.platform import Platform
from troth.controllers.relaxing import relax
from troth.controllers.request_apis import RequestApi
from troth.controllers.request_bindings import RequestBindings
from troth.controllers.request_reports import RequestReports
from troth.controllers.result import DONE, After, Result, Retry, Terminal
from troth.controllers.steps import Workflow
from troth.controllers.workflow import Run, Workflows
from troth.controllers.workflow_works import WorkOwner, Works
from troth.engine.judgement import Leaving
from troth.kube import Conflict, Forbidden, Invalid

_RELAXED_AGAIN = 2.0  # a changed schema is served a moment after it was accepted
_LOOK_AGAIN = 2.5
FINALIZERS = (
    names.WORK_CLEANUP,
    names.WORKFLOWS_CLEANUP,
    names.DELETE_WORKFLOWS,
    names.RESOURCE_BINDING_CLEANUP,
)
"""The finalizers that are removed at the end: ours, and one more that Kratix puts on requests."""


class RequestDeletion:
    """The steps of a request's deletion."""

    def __init__(
        self,
        platform: Platform,
        workflows: Workflows,
        works: Works,
        components: Components,
        reports: RequestReports,
        bindings: RequestBindings,
    ) -> None:
        self._platform = platform
        self._workflows = workflows
        self._works = works
        self._components = components
        self._reports = reports
        self._bindings = bindings

    async def proceed(
        self,
        live: LiveRequest,
        found: Leaving,
        owner: WorkOwner,
        workflow: Callable[[], Awaitable[Workflow]],
    ) -> Result:
        """Does what can be done, and reports what the deletion waits for.

        Args:
            live: the request.
            found: the spec that it is bound to, and whether its delete pipelines can be run.
            owner: the owner of its Works.
            workflow: returns its delete workflow; called only when that has to run.

        Raises:
            Overtaken: the request changed while it waited for its turn.
        """
        meta = live.metadata
        if not set(FINALIZERS) & set(meta.finalizers):
            self._workflows.forget(live.key)
            return DONE
        run: Run | None = None
        if names.DELETE_WORKFLOWS in meta.finalizers:
            if found.failure:
                return await self._fail(live, found)
            if waiting_for := await end_configuring(self._platform, owner.promise, live.key, live.status):
                return await self._wait(live, waiting_for, None)
            steps = await workflow()
            ending = await self._workflows.finish(steps)
            run = ending.run
            if ending.result is not None:
                await self._reports.deleting(live, "its delete pipeline", run=run)
                return await self._answer_wishes(live, found, run) or ending.result
            if has_containers(steps.pipelines):
                # They have effects outside, so nothing may make them run again now: no edit and no lost status.
                await self._reports.deleting(live, "what it made to be removed", run=run)
                live = live.reread()
                left_on = [name for name in live.metadata.finalizers if name != names.DELETE_WORKFLOWS]
                if (refused := await self._set_metadata(live, found, left_on)) is not None:
                    return refused
                live, run = live.reread(), None
        if jobs := await remove_jobs(self._platform, owner.promise, live.key, live.status):
            # Before the Works, since a Pod that still runs would write its Work again.
            return await self._wait(live, f"the Jobs of its pipelines to be removed ({jobs})", run)
        if left := await self._works.remove_all(owner, live.status):
            return await self._wait(live, self._waiting_for(left), run)
        if components := self._components.remaining(live.key, live.parent, live.status):
            # The files are gone from the store, so the GitOps tool removes the components, which must go before the
            # request.
            return await self._wait(live, f"{', '.join(components)} to be removed", run)
        await self._bindings.remove(owner.promise, live.key)
        left_on = [name for name in live.metadata.finalizers if name not in FINALIZERS]
        if (refused := await self._set_metadata(live, found, left_on)) is not None:
            return refused
        self._workflows.forget(live.key)
        return DONE

    async def _answer_wishes(self, live: LiveRequest, found: Leaving, run: Run) -> Result | None:
        """Takes labels off (`answered_labels`). Returns None, or the result when the API server refuses it."""
        labels = answered_labels(live.metadata.labels, run)
        if not labels:
            return None
        live = live.reread()
        return await self._set_metadata(live, found, live.metadata.finalizers, labels)

    async def _set_metadata(
        self,
        live: LiveRequest,
        found: Leaving,
        finalizers: Sequence[str],
        labels: Mapping[str, str | None] | None = None,
    ) -> Result | None:
        """Writes its finalizers and labels. Returns None, or the result when the API server refuses that."""
        try:
            await write_metadata(self._platform, live, finalizers, labels)
        except Conflict:
            return Retry("the request changed while it was being deleted")
        except (Forbidden, Invalid) as error:
            if isinstance(error, Invalid) and await relax(self._platform, live.api, found.bound.promise):
                return Retry(
                    "its API is being deleted as well, and no longer refuses anything", longest=_RELAXED_AGAIN
                )
            await self._reports.held(live, error)
            return after_refusal(error)
        return None

    async def _fail(self, live: LiveRequest, found: Leaving) -> Result:
        """Reports that the delete pipelines cannot be run."""
        await self._reports.deleting(live, "its delete pipeline", failure=found.failure, stalled=found.stalled)
        return Terminal(reasons.DELETE_WORKFLOW_FAILED, found.failure)

    async def _wait(self, live: LiveRequest, waiting_for: str, run: Run | None) -> Result:
        """Reports what is left to be done after the delete workflow, whose outcome is ``run``."""
        if await self._reports.deleting(live, waiting_for, run=run):
            return DONE
        return After(_LOOK_AGAIN, f"waiting for {waiting_for}")

    def _waiting_for(self, works: Sequence[Work]) -> str:
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
        return f"{noun} to be removed{place}{self._works.obstacle(works)}"

    async def clean_up_after(self, key: Key, api: RequestApi, promise: Promise | None) -> Result:
        """Removes what a request left that went away without its clean-up, because its finalizers were removed.

        These are its Works, and the Jobs of its delete pipelines, which are not owned by it. Before the requests have
        been listed, one that is not known may well exist, so nothing of it is removed until then.
        """
        if not api.informer.synced.is_set():
            self._platform.caches.request_apis.await_listing(api.promise, key)
            return DONE
        owner = owner_index(api.promise, key.namespace, key.name)
        self._workflows.forget(key)
        self._platform.settling.forget(owner)
        for job in jobs_of(self._platform.caches, api.promise, key, "delete"):
            await delete_job(self._platform, job)
        if promise is None:
            return DONE
        for work in self._platform.caches.works.by_index(BY_OWNER, owner):
            await self._works.delete(work)
        return DONE
