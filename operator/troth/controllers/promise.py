"""Reconciles Promises: their API, their dependencies, their own workflow, and their deletion.

See kratix-compatibility.md#promises.

One pass does everything that can be done and writes the status once. The conditions of a Promise say what is wrong
with it. A mistake in a new version does not take anything away from the requests that the old version serves.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from troth.api import InvalidObject, Key, reasons
from troth.api import labels as names
from troth.api.conditions import LINTED, REQUESTS_FIT, find_condition
from troth.api.objects import Promise, WorkloadGroup
from troth.api.resources import PROMISE
from troth.controllers.caches import BY_PROMISE, BY_REQUIREMENT
from troth.controllers.object_writes import object_reference
from troth.controllers.obstacles import after_refusal, why_refused
from troth.controllers.owners import owner_index
from troth.controllers.platform import Platform
from troth.controllers.promise_api import PromiseApi, UnfitApi
from troth.controllers.promise_deletion import PromiseDeletion, UntilDeleted
from troth.controllers.promise_fit import PromiseFit
from troth.controllers.promise_lint import PromiseLint
from troth.controllers.promise_revisions import PromiseRevisions
from troth.controllers.promise_wishes import PromiseWishes
from troth.controllers.result import DONE, After, Result, Retry, Terminal, Waits
from troth.controllers.steps import Workflow, promise_subject
from troth.controllers.triggers import requests_of
from troth.controllers.turn_waiting import Overtaken
from troth.controllers.workflow import (
    Run,
    Workflows,
    after_failure,
    after_run,
    remember_contents,
)
from troth.controllers.workflow_events import record_workflow
from troth.controllers.workflow_works import NameTaken, WorkOwner, Works, keep_or_make_again
from troth.engine.failure import Failure
from troth.engine.linting.intervals import add_interval
from troth.engine.placement.work import Packed, build_groups, pack_content
from troth.engine.promises.conversion.completeness import check_conversions
from troth.engine.promises.offers import Offer, read_offer
from troth.engine.promises.reach import check_pipeline_namespace
from troth.engine.promises.revisions import state_of_requirement, version_of
from troth.engine.rendering.render import render_context
from troth.engine.status.facts import (
    INSTALLED,
    INVALID_PROMISE,
    DependentFacts,
    PromiseFacts,
    RequirementFacts,
    WorkFacts,
    WorkflowFacts,
)
from troth.engine.status.promise import promise_available, promise_status
from troth.engine.workflow.announcements import announce
from troth.engine.workflow.outputs import workflow_facts
from troth.engine.workflow.progress import workflow_hash
from troth.engine.yaml.manifests import dump_documents
from troth.kube import REFUSALS, ApiError, Conflict, Forbidden, TooLarge

FINALIZERS = (names.DEPENDENCIES_CLEANUP, names.WORKFLOWS_CLEANUP, names.REVISION_CLEANUP)
API_FINALIZERS = (
    names.RESOURCE_REQUEST_CLEANUP,
    names.DYNAMIC_CONTROLLER_CLEANUP,
    names.API_CRD_CLEANUP,
)
_LOOK_AGAIN = 3.0
_OUTSIDE_AGAIN = 20.0


@dataclass(frozen=True, slots=True)
class Unsound:
    """Why a Promise's spec cannot be carried out.

    ``passes`` says that something other than an edit of the Promise may solve the problem.
    """

    problem: str
    failure: Failure | None = None
    reason: str = INVALID_PROMISE
    passes: bool = False


class PromiseReconciler:
    """Installs Promises, keeps them installed, and removes them."""

    def __init__(
        self, platform: Platform, workflows: Workflows, works: Works, *, runs_containers: bool = False
    ) -> None:
        self._platform = platform
        self._workflows = workflows
        self._works = works
        self._runs_containers = runs_containers
        self._revisions = PromiseRevisions(platform)
        self._deletion = PromiseDeletion(
            platform, workflows, works, self._revisions, self._owner, runs_containers=runs_containers
        )
        self._wishes = PromiseWishes(platform)
        self._api = PromiseApi(platform)
        self._lint = PromiseLint(platform)
        self._fit = PromiseFit(platform)
        self._checked: dict[str, tuple[tuple[str, int], Offer | Unsound]] = {}
        self._dependencies: dict[str, tuple[tuple[str, int], tuple[WorkloadGroup, ...]]] = {}

    async def close(self) -> None:
        """Ends the inspections of Promises that still run."""
        await self._lint.close()
        await self._fit.close()

    async def reconcile(self, key: Key) -> Result:
        """Makes the API, the Works and the status of one Promise what the Promise says."""
        promise = self._platform.caches.promises.get("", key.name)
        if promise is None:
            self._workflows.forget(key)
            self._checked.pop(key.name, None)
            self._dependencies.pop(key.name, None)
            self._lint.forget(key.name)
            self._fit.forget(key.name)
            self._revisions.forget(key.name)
            await self._platform.caches.request_apis.unfollow(key.name)
            return await self._let_revisions_go(key, None) or DONE
        if promise.metadata.is_paused:
            return await self._report_paused(key, promise)
        if promise.metadata.deleting:
            return await self._deletion.proceed(key, promise)
        if (changed := await self._let_revisions_go(key, promise)) is not None:
            return changed
        offer = await self._check(promise)
        if isinstance(offer, Unsound):
            self._api.follow_existing(promise)
            return await self._report_unsound(key, promise, offer)
        self._lint.begin(promise)
        try:
            promise = await self._claim(key, promise, offer)
            return await self._install(key, promise, offer)
        except Overtaken:
            self._platform.queue.add(key)
            return Waits("it is being deleted")
        except Conflict:
            return Retry("the Promise changed while it was being reconciled")
        except InvalidObject as error:
            # The spec was found to be sound, so the cause may be outside of it, and may go away without notice.
            self._api.follow_existing(promise)
            passes = not isinstance(error, UnfitApi)
            await self._report_unsound(key, promise, Unsound(str(error), passes=passes))
            return Retry(str(error), longest=_OUTSIDE_AGAIN)
        except Forbidden as error:
            self._api.follow_existing(promise)
            message = f"the API server refused what its API needs: {error.message}"
            return await self._report_refusal(key, promise, error, "APIRefused", message)

    async def _let_revisions_go(self, key: Key, promise: Promise | None) -> Result | None:
        try:
            await self._revisions.let_go(key.name, promise)
        except Conflict:
            return Retry("one of its revisions changed while it was being deleted")
        return None

    # ---- reading the spec

    async def _check(self, promise: Promise) -> Offer | Unsound:
        """Reads and checks the whole spec, once for each generation."""
        meta = promise.metadata
        known = self._checked.get(promise.name)
        if known and known[0] == (meta.uid, meta.generation):
            return known[1]
        found = await self._read(promise)
        if isinstance(found, Unsound) and found.failure is not None and found.failure.passes:
            return found
        self._checked[promise.name] = ((meta.uid, meta.generation), found)
        return found

    async def _read(self, promise: Promise) -> Offer | Unsound:
        if promise.metadata.unread:
            return Unsound(f"it cannot be read: {promise.metadata.unread}")
        try:
            offer = read_offer(promise, runs_containers=self._runs_containers)
            check_conversions(promise.spec.api, is_served=self._platform.conversion.is_served)
            check_pipeline_namespace(
                promise.spec, self._platform.settings.reach, kept_in=self._namespaces_of_requests(promise)
            )
        except InvalidObject as error:
            return Unsound(str(error))
        failure = None
        if offer.pipelines:
            async with self._platform.slots.lent():
                failure = await self._platform.renderer.check(offer.pipelines)
        return offer if failure is None else Unsound(failure.sentence(), failure)

    def _namespaces_of_requests(self, promise: Promise) -> frozenset[str]:
        """The namespaces with Works of its requests, where they may have been since before there was a rule for it."""
        works = self._platform.caches.works.by_index(BY_PROMISE, promise.name)
        return frozenset(work.metadata.namespace for work in works if work.type == names.WORK_TYPE_RESOURCE)

    async def _claim(self, key: Key, promise: Promise, offer: Offer) -> Promise:
        """Puts our finalizers on the Promise before the first effect; others' finalizers stay."""
        meta = promise.metadata
        wanted = [*FINALIZERS, *(API_FINALIZERS if offer.definition else ())]
        if offer.has_promise_delete:
            wanted.append(names.DELETE_WORKFLOWS)
        kept = [
            name
            for name in meta.finalizers
            if name != names.DELETE_WORKFLOWS or offer.has_promise_delete  # the author took the pipeline away
        ]
        finalizers = [*kept, *(name for name in wanted if name not in kept)]
        return await self._wishes.settle(key, promise, finalizers)

    # ---- installing

    async def _install(self, key: Key, promise: Promise, offer: Offer) -> Result:
        established = await self._api.keep(promise, offer)
        is_new = not promise.is_observed
        if established and is_new and self._platform.caches.request_apis.is_listing(promise.name):
            # Its status allows the requests to be rendered, and by then they must have the defaults of the new schema.
            return After(_LOOK_AGAIN, "its requests are being listed")
        await self._revisions.keep(promise)
        asked = self._wishes.judge(promise)
        if asked.unpaused:
            promise = await self._wishes.report_unpaused(key, promise)
        try:
            run = await self._keep_works(key, promise, offer, from_start=asked.from_start)
        except REFUSALS as error:
            reason, message = why_refused(error, self._owner(promise).work_namespace)
            return await self._report_refusal(key, promise, error, reason, message)
        except NameTaken as error:
            raise InvalidObject("metadata.name", str(error), "give one of the two another name") from None
        facts = self._facts(promise, offer, run, established=established)
        facts = replace(
            facts,
            workflow=self._wishes.note(promise, facts.workflow, run, asked),
            lint=add_interval(self._lint.report(key), promise),
            misfits=self._fit.report(key, promise),
        )
        await self._revisions.report(promise, available=promise_available(facts))
        if promise_available(facts) and not promise.is_available:
            self._record(promise, "Normal", "Available", "Promise is available")
        if await self._write_status(key, promise, facts):
            self._announce_findings(promise)
        await self._wishes.finish(key, promise, run)
        if (follows := after_run(run, now=self._platform.clock())) is not None:
            return follows
        if self._obstacles(promise, run):
            return After(_OUTSIDE_AGAIN, "finalizers of others keep an object with the name of its Work")
        return DONE if established else After(_LOOK_AGAIN, "its API is not served yet")

    async def _keep_works(self, key: Key, promise: Promise, offer: Offer, *, from_start: bool) -> Run:
        owner = self._owner(promise)
        self._platform.settling.unsettle(owner.index)
        await self._keep_dependencies(promise, owner)
        workflow = replace(await self._workflow(key, promise, offer), from_start=from_start)
        return await keep_or_make_again(
            await self._workflows.run(workflow),
            lambda run: self._works.keep_all(owner, names.WORK_TYPE_PROMISE, run),
            lambda: self._workflows.run(workflow, fresh=True),
        )

    async def _workflow(self, key: Key, promise: Promise, offer: Offer) -> Workflow:
        meta = promise.metadata
        return Workflow(
            key=key,
            pipelines=offer.promise_steps,
            context=render_context(promise, None),
            source="promise-workflow",
            status=promise.status,
            hash=workflow_hash((await self._workflows.hash_of(promise),)) if offer.promise_steps else "",
            revision=f"{meta.uid}/{meta.generation}/{promise.version}",
            selectors=promise.spec.destination_selectors,
            suspended=names.WORKFLOW_SUSPENDED in meta.labels,
            attendant=UntilDeleted(self._platform, promise),
            subject=promise_subject(promise, self._owner(promise).work_namespace),
        )

    async def _keep_dependencies(self, promise: Promise, owner: WorkOwner) -> None:
        """One Work with all static manifests (kratix-compatibility.md#dependencies), or none."""
        candidates = [*self._works.of(owner), *self._works.to_take_over(owner)]
        existing = [work for work in candidates if work.type == names.WORK_TYPE_STATIC_DEPENDENCY]
        if not promise.spec.dependencies:
            for superfluous in existing:
                await self._works.retire(owner, superfluous)
            return
        labels = {names.WORK_TYPE: names.WORK_TYPE_STATIC_DEPENDENCY}
        work = existing[0] if existing else None
        # They are not made by a pipeline, so they do not go to the namespace of the pipelines.
        owner = replace(owner, work_namespace=self._platform.settings.system_namespace)
        await keep_or_make_again(
            await self._dependencies_of(promise),
            lambda groups: self._works.keep(owner, work, groups, labels),
            lambda: self._dependencies_of(promise, fresh=True),
        )

    async def _dependencies_of(self, promise: Promise, *, fresh: bool = False) -> tuple[WorkloadGroup, ...]:
        """The dependencies as one workload group, which is made once for each generation.

        The manifests of an operator's release have hundreds of kilobytes; writing them as YAML here would block the
        event loop.
        """
        generation = (promise.metadata.uid, promise.metadata.generation)
        known = self._dependencies.get(promise.name)
        if known is None or known[0] != generation or fresh:
            packed = await asyncio.to_thread(_pack_dependencies, promise.spec.dependencies)
            groups = build_groups(
                {f"static/{promise.name}-dependencies.yaml": packed},
                (),
                promise.spec.destination_selectors,
                "promise-workflow",
            )
            known = self._dependencies[promise.name] = (generation, remember_contents(self._platform, groups))
        return known[1]

    def _owner(self, promise: Promise) -> WorkOwner:
        namespace = promise.spec.pipeline_namespace or self._platform.settings.system_namespace
        return WorkOwner(
            promise=promise.name,
            name="",
            namespace="",
            work_namespace=namespace,
            index=owner_index(promise.name),
            uid=promise.metadata.uid,
        )

    # ---- status

    def _facts(
        self, promise: Promise, offer: Offer | None, run: Run | None, *, established: bool, problem: str = ""
    ) -> PromiseFacts:
        resource = offer.resource if offer else None
        return PromiseFacts(
            generation=promise.metadata.generation,
            version=promise.version,
            kind=resource.kind if resource else "",
            api_version=resource.api_version if resource else "",
            api_established=established,
            problem=problem,
            requirements=tuple(self._requirements(promise)),
            required_by=tuple(self._required_by(promise)),
            workflow=(
                workflow_facts(
                    run,
                    promise.status,
                    generation=promise.metadata.generation,
                    progress=run.progress,
                )
                if run
                else WorkflowFacts()
            ),
            works=(
                *self._works.facts(self._owner(promise)),
                *self._obstacles(promise, run),
                *self._lost(promise, run),
            ),
            requests=self._platform.caches.request_apis.facts_of(promise.name),
        )

    def _obstacles(self, promise: Promise, run: Run | None) -> list[WorkFacts]:
        owner = self._owner(promise)
        found = self._works.obstacles(owner, names.WORK_TYPE_PROMISE, run.pipelines if run else ())
        if promise.spec.dependencies:
            owner = replace(owner, work_namespace=self._platform.settings.system_namespace)
            found += self._works.obstacles(owner, names.WORK_TYPE_STATIC_DEPENDENCY, ("",))
        return list(found)

    def _lost(self, promise: Promise, run: Run | None) -> tuple[WorkFacts, ...]:
        kept = [output.pipeline for output in run.outputs if output.kept] if run else ()
        return self._works.lost(self._owner(promise), names.WORK_TYPE_PROMISE, kept)

    def _requirements(self, promise: Promise) -> Sequence[RequirementFacts]:
        found = []
        for requirement in promise.spec.required_promises:
            other = self._platform.caches.promises.get("", requirement.name)
            state = state_of_requirement(requirement.version, other, self._revisions.of(requirement.name))
            found.append(RequirementFacts(requirement.name, requirement.version, state))
        return found

    def _required_by(self, promise: Promise) -> Sequence[DependentFacts]:
        return [
            DependentFacts(other.name, version_of(other), entry.version)
            for other in self._platform.caches.promises.by_index(BY_REQUIREMENT, promise.name)
            for entry in other.spec.required_promises
            if entry.name == promise.name
        ]

    async def _report_unsound(self, key: Key, promise: Promise, unsound: Unsound) -> Result:
        facts = self._facts(promise, None, None, established=True, problem=unsound.problem)
        unfit = not unsound.passes and not (unsound.failure and unsound.failure.passes)
        facts = replace(facts, problem_reason=unsound.reason, unfit=unfit)
        if unsound.failure is not None:
            facts = _with_failure(facts, unsound.failure)
        if await self._write_status(key, promise, facts):
            self._record(promise, "Warning", unsound.reason, unsound.problem)
        if unsound.failure is not None:
            return after_failure(unsound.failure)
        return Terminal("InvalidPromise", unsound.problem)

    async def _report_refusal(
        self, key: Key, promise: Promise, error: ApiError, reason: str, message: str
    ) -> Result:
        """Reports that the API server refuses something that the Promise needs.

        A Promise that is available stays available, since its API exists.
        """
        definitions = self._platform.caches.definitions.by_index(BY_PROMISE, promise.name)
        served = not promise.spec.api or any(live.established for live in definitions)
        if served and promise.is_available and promise.is_observed:
            raise error
        await self._report_unsound(
            key, promise, Unsound(message, reason=reason, passes=not isinstance(error, TooLarge))
        )
        return after_refusal(error)

    async def _report_paused(self, key: Key, promise: Promise) -> Result:
        self._api.follow_existing(promise)  # also after a restart, so that its requests say that they are paused
        meta = promise.metadata
        facts = PromiseFacts(generation=meta.generation, paused=True, deleting=meta.deleting)
        if await self._write_status(key, promise, facts):
            self._record(promise, "Warning", reasons.PAUSED, "Paused")
            self._platform.trigger(requests_of(promise.name, self._platform.caches))
        return Waits("it is paused")

    async def _write_status(self, key: Key, promise: Promise, facts: PromiseFacts) -> bool:
        flat = self._platform.settings.flat_workflow_status
        status = promise_status(promise.status, facts, now=self._platform.now(), flat=flat)
        wrote = await self._platform.write_status(
            self._platform.caches.promises, PROMISE, key, promise.status, status
        )
        if wrote:
            about = object_reference(PROMISE, promise.metadata)
            record_workflow(self._platform, about, announce(promise.status, status, "promise"))
        if wrote and not facts.paused and promise.is_available and status["status"] != "Available":
            unmet = any(requirement.state != INSTALLED for requirement in facts.requirements)
            why = "Requirements have changed" if unmet and not facts.problem else status["message"]
            self._record(promise, "Warning", "Unavailable", f"Promise no longer available: {why}")
        return wrote

    def _announce_findings(self, promise: Promise) -> None:
        """Records an Event when lint's findings have changed, or other requests than before do not fit the API."""
        written = self._platform.caches.reread(promise)
        for kind in (LINTED, REQUESTS_FIT):
            before = find_condition(promise.status.get("conditions"), kind) or {}
            now = find_condition(written.status.get("conditions"), kind) or {}
            if now.get("status") == "False" and now.get("message") != before.get("message"):
                self._record(promise, "Warning", now["reason"], now["message"])

    def _record(self, promise: Promise, event_type: str, reason: str, message: str) -> None:
        self._platform.events.record(
            object_reference(PROMISE, promise.metadata),
            type=event_type,
            reason=reason,
            message=message,
            action="Reconcile",
        )


def _pack_dependencies(dependencies: Sequence[Mapping[str, Any]]) -> Packed:
    """All manifests as one YAML file, packed as a Work holds it."""
    return pack_content(dump_documents(list(dependencies)).encode())


def _with_failure(facts: PromiseFacts, failure: Failure) -> PromiseFacts:
    workflow = WorkflowFacts(failure=failure.as_status(), failure_message=failure.sentence())
    return replace(facts, workflow=workflow)
