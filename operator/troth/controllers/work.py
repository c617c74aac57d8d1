"""Work: decides which destinations each group goes to and keeps one WorkPlacement for each.

See kratix-compatibility.md#scheduling, #conditions-of-works-and-placements.

The decision is `engine.placement.scheduling`, a pure function; this file carries it out. A Work that we make
carries its finalizer from the start, and so do its placements, so that neither costs a write of its own.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from troth.api import Key, find_condition
from troth.api import labels as names
from troth.api.conditions import SCHEDULE_SUCCEEDED
from troth.api.naming import short_group_id
from troth.api.objects import ObjectMeta, Work, Workload, WorkloadGroup, WorkPlacement
from troth.api.resources import WORK, WORK_PLACEMENT
from troth.controllers.allowance import note_of, summed_up, why_forbidden
from troth.controllers.caches import BY_CLAIM, BY_WORK
from troth.controllers.differences import was_ever_written
from troth.controllers.handover import has_arrived, homes_of, is_leaving, is_retired
from troth.controllers.object_writes import (
    create_or_patch,
    delete_object,
    object_reference,
    patch_object,
    take_finalizers_off,
)
from troth.controllers.obstacles import after_refusal, is_kept_by_others, why_kept
from troth.controllers.owners import claim_of_work, is_kept_for_files, is_named_for, slot_of, work_owner
from troth.controllers.placement_claims import ContentsChanged, contents_of_work, find_contents
from troth.controllers.placement_state import placement_facts
from troth.controllers.plain_secrets import Exposure, PlainSecrets, decode_readable, said_before
from troth.controllers.platform import Platform
from troth.controllers.result import DONE, After, Result, Retry, Waits
from troth.controllers.standing import Refusals, Standing, judge_work
from troth.engine.placement.scheduling import (
    Existing,
    GroupPlan,
    Home,
    SchedulePlan,
    Target,
    describe_labels,
    may_be_ready,
    schedule,
)
from troth.engine.placement.work import placement_name
from troth.engine.status import (
    NOT_MADE_BY_TROTH,
    NOT_SEALED_YET,
    deletion_status,
    read_placement,
    refused_status,
    work_status,
)
from troth.engine.status.facts import Held, Waiting, WorkFacts
from troth.kube import REFUSALS, Forbidden

_LONG_WRITE = 10.0
_FAILING = frozenset({"NotAllowed", "WorkplacementsFailing"})
_KEPT_AGAIN = 10.0
# No selector is written like this, so a placement that has it as its record stays held until its Destination matches.
_UNKNOWN = "unknown"


class WorkReconciler:
    """Schedules Works and reports how their placements fare."""

    def __init__(self, platform: Platform) -> None:
        self._platform = platform
        self._plain_secrets = PlainSecrets(platform)
        self._told: dict[Key, object] = {}
        self._pending: dict[Key, float] = {}
        self._refusals = Refusals()

    async def reconcile(self, key: Key) -> Result:
        """Creates, updates and removes the placements of one Work, and writes its status."""
        work = self._platform.caches.works.get(key.namespace, key.name)
        if work is None:
            self._told.pop(key, None)
            self._pending.pop(key, None)
            self._refusals.forget(key)
            return await self._remove_placements(key)
        if work.metadata.deleting:
            self._refusals.forget(key)
            return await self._finish(key, work)
        standing = judge_work(self._platform.caches, work)
        if not standing.accepted:
            return await self._refuse(key, work, standing)
        self._refusals.forget(key)
        if names.WORK_CLEANUP not in work.metadata.finalizers:
            await self._platform.set_finalizers(
                self._platform.caches.works,
                WORK,
                key,
                finalizers=[*work.metadata.finalizers, names.WORK_CLEANUP],
                resource_version=work.metadata.resource_version,
            )
        if is_retired(work):
            self._platform.settling.tell(
                work_owner(work)
            )  # what takes its place may wait for one of its placements
            for placement in self._former_placements(work):
                await self._claim_leaving(work, placement)
            return DONE  # it goes when what takes its place is written
        plan = self._plan(key, work, await homes_of(self._platform, work))
        if any(group.kept_by for group in plan.groups):
            self._platform.settling.wait(work_owner(work), key)
        exposure = await self._expose(work, plan)
        try:
            forbidden = await self._carry_out(key, work, plan, exposure)
        except ContentsChanged as error:
            return Retry(str(error), quiet=True)
        except REFUSALS as error:
            if not (isinstance(error, Forbidden) and error.namespace_terminating):
                await self._report(key, work, plan, exposure, refusal=error.message)
            return after_refusal(error)
        return await self._report(key, work, plan, exposure, forbidden=forbidden)

    async def _expose(self, work: Work, plan: SchedulePlan) -> Exposure:
        """Which Secrets in the clear would come into which stores, and which stores refuse them."""

        async def load() -> Mapping[str, bytes]:
            return await asyncio.to_thread(decode_readable, await self._contents(work))

        places = {
            group.group_id: [destination for destination, _ in _destinations(group)] for group in plan.groups
        }
        return await self._plain_secrets.expose(work.groups, places, load)

    async def _refuse(self, key: Key, work: Work, standing: Standing) -> Result:
        """Nothing is done for a Work that is not the operator's; what lasts is said on it."""
        self._platform.caches.queue_owner(work)
        if standing.waits_for:
            return Waits(standing.waits_for)
        left = self._refusals.patience(key, asyncio.get_running_loop().time())
        if left:
            return After(left, "its owner may correct it")
        reason = NOT_SEALED_YET if standing.former else NOT_MADE_BY_TROTH
        status = refused_status(
            work.status,
            standing.refusal,
            generation=work.metadata.generation,
            now=self._platform.now(),
            reason=reason,
        )
        wrote = await self._platform.write_status(self._platform.caches.works, WORK, key, work.status, status)
        if wrote and not standing.former:
            self._platform.events.record(
                object_reference(WORK, work.metadata),
                type="Warning",
                reason=NOT_MADE_BY_TROTH,
                message=standing.refusal,
                action="Schedule",
            )
        return Waits(standing.refusal)

    def _plan(self, key: Key, work: Work, homes: Mapping[str, Sequence[Home]]) -> SchedulePlan:
        groups = {group.id: group.workloads for group in work.groups}
        return schedule(
            owner=f"{key.namespace}/{key.name}",
            work_type=work.type,
            groups=work.groups,
            targets=[
                Target(
                    name=destination.name,
                    labels=destination.metadata.labels,
                    strict=destination.strict_match_labels,
                    deleting=destination.metadata.deleting,
                    ready=may_be_ready(destination),
                )
                for destination in self._platform.caches.destinations.items()
            ],
            existing=[
                Existing(
                    *slot,
                    written=was_ever_written(placement),
                    asked=placement.metadata.annotations.get(names.ASKED_FOR) if placement.sealed_for else None,
                    misplaced=names.MISPLACED in placement.metadata.labels and bool(placement.sealed_for),
                    current=placement.workloads == groups.get(slot[1]),
                )
                for slot, placement in self._existing(work).items()
                if not placement.metadata.deleting
            ],
            homes=homes,
            dry_run=work.metadata.labels.get(names.DRY_RUN) == "true",
        )

    async def _carry_out(self, key: Key, work: Work, plan: SchedulePlan, exposure: Exposure) -> str:
        """Makes the placements so; answers what a Destination does not allow, which is left as it is there."""
        forbidden: list[str] = []
        groups = {group.id: group for group in work.groups}
        existing = self._existing(work)
        content: dict[str, list[dict[str, str]]] | None = None
        for group_plan in plan.groups:
            group = groups[group_plan.group_id]
            for destination, misplaced in _destinations(group_plan):
                placement = existing.get((destination, group.id))
                if placement and placement.metadata.deleting:
                    continue  # its end queues this Work again, which makes it anew
                if placement and destination in group_plan.held:
                    await self._hold(placement)
                    continue
                target = self._platform.caches.destinations.get("", destination)
                marks = _marks(work, group_plan, destination, misplaced=misplaced, allowed=note_of(target))
                current = placement and placement.workloads == group.workloads
                if not current and (group.id, destination) in exposure.withheld:
                    exposure.refused.append(exposure.withheld[group.id, destination])
                    continue
                if placement and self._is_current(work, placement, group, destination, marks):
                    continue
                if content is None:
                    content = await self._contents(work)
                if problem := await why_forbidden(target, content[group.id]):
                    forbidden.append(problem)
                    continue
                await self._write_placement(work, group, destination, placement, content[group.id], marks)
                if placement and misplaced:
                    self._announce_misplaced(placement, "no longer match the expected labels")
        for gone in plan.remove:
            placement = existing.get((gone.destination, gone.group_id))
            if placement is None or placement.metadata.deleting:
                continue
            if gone.group_id not in groups and not has_arrived(self._platform, work_owner(work)):
                # What the group held may be on its way to others.
                self._platform.settling.wait(work_owner(work), key)
                continue
            if not placement.sealed_for:
                await self._claim_leaving(work, placement)
            await self._delete_placement(placement)
        return summed_up(forbidden)

    def _is_current(
        self, work: Work, placement: WorkPlacement, group: WorkloadGroup, destination: str, marks: _Marks
    ) -> bool:
        meta = placement.metadata
        return (
            placement.workloads == group.workloads
            and (placement.destination, placement.group_id) == (destination, group.id)
            and (placement.promise_name, placement.resource_name) == (work.promise_name, work.resource_name)
            and all(meta.labels.get(name) == value for name, value in marks.labels.items())
            # One from before this was recorded learns it with the next content: a restart writes nothing.
            and meta.annotations.get(names.ASKED_FOR) in (None, marks.annotations[names.ASKED_FOR])
            and marks.annotations[names.ALLOWED] in (None, meta.annotations.get(names.ALLOWED))
            and placement.sealed_for == work.sealed_for
        )

    def _existing(self, work: Work) -> dict[tuple[str, str], WorkPlacement]:
        """The placements of a Work by destination and group: the sealed ones, and those that it takes over."""
        former = {slot_of(work.metadata.name, placement): placement for placement in self._former_placements(work)}
        key = _key(work)
        return former | {(each.destination, each.group_id): each for each in self._placements(key)}

    def _former_placements(self, work: Work) -> list[WorkPlacement]:
        """The placements without a valid seal that hold files of a Work all the same (`is_of_old`).

        Where they are, their names tell, which nobody can change.
        """
        meta = work.metadata
        found = self._platform.caches.placements.by_index(BY_CLAIM, claim_of_work(meta.namespace, meta.name))
        return [placement for placement in found if is_named_for(meta.name, placement)]

    async def _claim_leaving(self, work: Work, placement: WorkPlacement) -> None:
        """Seals a former placement of a Work as one that holds nothing: then its files can be removed or handed on."""
        destination, group_id = slot_of(work.metadata.name, placement)
        labels = {
            names.WORK: work.metadata.name,
            names.WORKLOAD_GROUP_ID: group_id,
            names.TARGET_DESTINATION: destination,
            names.PIPELINE_NAME: work.metadata.labels.get(names.PIPELINE_NAME),
            names.RESOURCE_NAMESPACE: work.metadata.labels.get(names.RESOURCE_NAMESPACE),
            names.MISPLACED: None,
        }
        marks = _Marks(labels, {names.ASKED_FOR: None, names.ALLOWED: None})
        spec = _spec(work, group_id, destination, [])
        seal = self._seal(work, placement.metadata.name, destination, group_id, (), marks)
        await self._patch_placement(placement, {"metadata": marks.as_patch(seal), "spec": spec})

    def _seal(
        self,
        work: Work,
        name: str,
        destination: str,
        group_id: str,
        workloads: tuple[Workload, ...],
        marks: _Marks,
    ) -> str:
        wanted = WorkPlacement(
            metadata=ObjectMeta(
                name=name,
                namespace=work.metadata.namespace,
                labels={key: value for key, value in marks.labels.items() if value is not None},
                annotations={key: value for key, value in marks.annotations.items() if value is not None},
            ),
            destination=destination,
            promise_name=work.promise_name,
            resource_name=work.resource_name,
            group_id=group_id,
            workloads=workloads,
            status={},
        )
        return self._platform.caches.seals.seal_placement(wanted, work.sealed_for)

    async def _hold(self, placement: WorkPlacement) -> None:
        """Labels a placement as misplaced, and leaves its content as it is."""
        meta = placement.metadata
        asked = meta.annotations.get(names.ASKED_FOR, _UNKNOWN)
        if (meta.labels.get(names.MISPLACED), meta.annotations.get(names.ASKED_FOR)) == ("true", asked):
            return
        if not placement.sealed_for:
            return  # what it holds is not known to be what was asked for, so it cannot be sealed; its files stay
        held = replace(
            placement,
            metadata=replace(
                meta,
                labels={**meta.labels, names.MISPLACED: "true"},
                annotations={**meta.annotations, names.ASKED_FOR: asked},
            ),
        )
        seal = self._platform.caches.seals.seal_placement(held, placement.sealed_for)
        marks = {
            "labels": {names.MISPLACED: "true"},
            "annotations": {names.ASKED_FOR: asked, names.SEAL: seal},
        }
        if await self._patch_placement(placement, {"metadata": marks}):
            self._announce_misplaced(placement, "are not those that the request asks for now")

    async def _patch_placement(self, placement: WorkPlacement, patch: Mapping[str, Any]) -> bool:
        """Whether it was there to be patched; when it was not, its end queues its Work again."""
        placements = self._platform.caches.placements
        answer = await patch_object(self._platform, placements, WORK_PLACEMENT, placement.metadata, patch)
        return answer is not None

    def _announce_misplaced(self, placement: WorkPlacement, how: str) -> None:
        if names.MISPLACED not in placement.metadata.labels:
            self._platform.events.record(
                object_reference(WORK_PLACEMENT, placement.metadata),
                type="Warning",
                reason="DestinationSelectorMismatch",
                message=f"labels for destination: {placement.destination} {how}, "
                "marking this workplacement as misplaced",
                action="Schedule",
            )

    async def _contents(self, work: Work) -> dict[str, list[dict[str, str]]]:
        """The workloads of each group with their encoded contents, from memory or from the API server."""
        found: dict[str, list[dict[str, str]]] = {}
        for group in work.groups:
            workloads = []
            for workload in group.workloads:
                encoded = self._platform.contents.get(workload.blob)
                if encoded is None:
                    return await self._fetch(work)
                workloads.append({"filepath": workload.filepath, "content": encoded})
            found[group.id] = workloads
        return found

    async def _fetch(self, work: Work) -> dict[str, list[dict[str, str]]]:
        """The same from the API server, as far as it is what was sealed: somebody may have edited it just now.

        Raises:
            ContentsChanged: the Work holds something else by now.
        """
        obj = await self._platform.client.get(WORK, work.metadata.name, work.metadata.namespace)
        files = [workload for group in work.groups for workload in group.workloads]
        found = iter(await find_contents(files, contents_of_work(obj)))
        return {group.id: [dict(next(found)) for _ in group.workloads] for group in work.groups}

    async def _write_placement(
        self,
        work: Work,
        group: WorkloadGroup,
        destination: str,
        placement: WorkPlacement | None,
        workloads: list[dict[str, str]],
        marks: _Marks,
    ) -> None:
        spec = _spec(work, group.id, destination, workloads)
        if placement is None:
            await self._create_placement(work, destination, group, spec, marks)
            return
        name = placement.metadata.name
        seal = self._seal(work, name, destination, group.id, group.workloads, marks)
        patch = marks.as_patch(seal)
        if not placement.sealed_for and placement.metadata.owner_uids != (work.metadata.uid,):
            patch["ownerReferences"] = _owner_references(work)
        await self._patch_placement(placement, {"metadata": patch, "spec": spec})

    async def _create_placement(
        self,
        work: Work,
        destination: str,
        group: WorkloadGroup,
        spec: Mapping[str, Any],
        marks: _Marks,
    ) -> None:
        target = self._platform.caches.destinations.get("", destination)
        finalizers = [names.REPO_CLEANUP]
        if target and target.mode == "none":
            finalizers.append(names.DOT_FILES_CLEANUP)
        name, namespace = (
            placement_name(work.metadata.name, destination, short_group_id(group.id)),
            work.metadata.namespace,
        )
        seal = self._seal(work, name, destination, group.id, group.workloads, marks)
        body = {
            "apiVersion": WORK_PLACEMENT.api_version,
            "kind": WORK_PLACEMENT.kind,
            "metadata": {
                "name": name,
                "namespace": namespace,
                "labels": {key: value for key, value in marks.labels.items() if value is not None},
                "annotations": {
                    **{key: value for key, value in marks.annotations.items() if value is not None},
                    names.SEAL: seal,
                },
                "finalizers": finalizers,
                "ownerReferences": _owner_references(work),
            },
            "spec": dict(spec),
        }

        def patch_existing(live: Mapping[str, Any]) -> Mapping[str, Any] | None:
            if "deletionTimestamp" in live["metadata"]:
                return None
            metadata = {**marks.as_patch(seal), "ownerReferences": _owner_references(work)}
            return {"metadata": metadata, "spec": spec}

        await create_or_patch(
            self._platform, self._platform.caches.placements, WORK_PLACEMENT, body, patch_existing
        )

    # ---- the end

    async def _finish(self, key: Key, work: Work) -> Result:
        if work.sealed_for:
            for placement in self._former_placements(work):
                await self._claim_leaving(work, placement)
        await self._remove_placements(key)
        if names.WORK_CLEANUP not in work.metadata.finalizers:
            return DONE
        left = [each for each in self._placements(key) if is_kept_for_files(each)]
        if left:
            failures = [failure for placement in left if (failure := read_placement(placement).failure)]
            if failures and self._told.get(key) != failures:
                self._told[key] = failures
                noun = "1 placement" if len(left) == 1 else f"{len(left)} placements"
                waiting_for = f"{noun} to be removed: {min(failures)}"
                status = deletion_status(work.status, waiting_for=waiting_for, now=self._platform.now())
                await self._platform.write_status(self._platform.caches.works, WORK, key, work.status, status)
                self._platform.caches.queue_owner(work)  # its owner says what keeps it
            return DONE  # the end of each queues this Work again
        works = self._platform.caches.works
        await take_finalizers_off(self._platform, works, WORK, key, work.metadata, {names.WORK_CLEANUP})
        still = self._platform.caches.works.get(key.namespace, key.name)
        if still and is_kept_by_others(still.metadata):
            self._platform.caches.queue_owner(still)  # it says who keeps the name that its Work needs
        return DONE

    async def _remove_placements(self, key: Key) -> Result:
        """Starts the deletion of all placements: its Work goes, or went without its clean-up."""
        claim = claim_of_work(key.namespace, key.name)
        # Of those that somebody has edited, too, as far as their status proves what was written.
        edited = [each for each in self._platform.caches.placements.by_index(BY_CLAIM, claim) if each.recorded]
        for placement in (*self._placements(key), *(each for each in edited if is_named_for(key.name, each))):
            await self._delete_placement(placement)
        return DONE

    async def _delete_placement(self, placement: WorkPlacement) -> None:
        placements = self._platform.caches.placements
        await delete_object(self._platform, placements, WORK_PLACEMENT, placement.metadata)

    # ---- status

    async def _report(
        self,
        key: Key,
        work: Work,
        plan: SchedulePlan,
        exposure: Exposure,
        *,
        refusal: str = "",
        forbidden: str = "",
    ) -> Result:
        facts = WorkFacts(
            name=work.metadata.name,
            groups=len(work.groups),
            scheduled=not self._is_making_anew(work, plan),
            unscheduled=tuple(Waiting(group.group_id, group.wants) for group in plan.groups if group.unscheduled),
            held=tuple(self._held(work, plan)),
            placements=tuple(
                placement_facts(self._platform, placement)
                for placement in self._placements(key)
                if not is_leaving(work, placement)
            ),
            generation=work.metadata.generation,
            refusal=refusal,
            forbidden=forbidden,
            namespace=work.metadata.namespace,
            exposed="; ".join(dict.fromkeys(exposure.exposed)),
            withheld="; ".join(dict.fromkeys(exposure.refused)),
            obstacle=self._obstacle(work, plan),
        )
        left = self._patience(key, facts)
        if left and not work.status.get("conditions"):
            # Placements of a new Work are written within the next commit: its first status says how it went.
            self._tell_owner(key, work, facts, left)
            return After(left, "its placements are being written")
        status = work_status(work.status, facts, now=self._platform.now())
        status["troth"]["seal"] = self._platform.caches.seals.seal_report(work.metadata, status)
        wrote = await self._platform.write_status(self._platform.caches.works, WORK, key, work.status, status)
        if wrote and facts.unscheduled:
            self._platform.events.record(
                object_reference(WORK, work.metadata),
                type="Warning",
                reason="NoMatchingDestination",
                message="; ".join(_waiting_for(waiting) for waiting in facts.unscheduled),
                action="Schedule",
            )
        if wrote and (told := facts.withheld or facts.exposed) and told not in said_before(work.status):
            self._platform.events.record(
                object_reference(WORK, work.metadata),
                type="Warning",
                reason="PlainSecrets",
                message=told,
                action="Schedule",
            )
        failing = _failing(status)
        if wrote and failing and failing != _failing(work.status):
            self._platform.events.record(
                object_reference(WORK, work.metadata),
                type="Warning",
                reason="NotAllowed" if forbidden else "WorkplacementsFailing",
                message=failing,
                action="Schedule",
            )
        # Only now: its owner, which is told of the status too, is to see both at once and write its own status once.
        self._tell_owner(key, work, facts, left)
        if facts.obstacle:
            return After(_KEPT_AGAIN, facts.obstacle)
        return After(left, "its placements are being written") if left else DONE

    def _going(self, work: Work, plan: SchedulePlan) -> Iterator[ObjectMeta]:
        """The placements that are wanted and are being deleted, so that they cannot be made anew yet."""
        for group in plan.groups:
            for destination, _ in _destinations(group):
                name = placement_name(work.metadata.name, destination, short_group_id(group.group_id))
                found = self._platform.caches.placements.get(work.metadata.namespace, name)
                if found and found.metadata.deleting:
                    yield found.metadata

    def _is_making_anew(self, work: Work, plan: SchedulePlan) -> bool:
        return any(True for _ in self._going(work, plan))

    def _obstacle(self, work: Work, plan: SchedulePlan) -> str:
        """What keeps a placement from being made, because others keep the one that has its name from going."""
        kept = (meta for meta in self._going(work, plan) if is_kept_by_others(meta))
        return next((why_kept("WorkPlacement", meta) for meta in kept), "")

    def _held(self, work: Work, plan: SchedulePlan) -> Iterator[Held]:
        for group in plan.groups:
            own = [
                (placement_name(work.metadata.name, destination, short_group_id(group.group_id)), destination)
                for destination in group.held
            ]
            for placement, destination in (*own, *((home.placement, home.destination) for home in group.kept_by)):
                target = self._platform.caches.destinations.get("", destination)
                labels = target.metadata.labels if target else {}
                yield Held(
                    placement=placement,
                    destination=destination,
                    wants=group.wants,
                    has={key: labels[key] for key in sorted(group.wants) if key in labels} if target else None,
                    group_id=group.group_id,
                )

    def _patience(self, key: Key, facts: WorkFacts) -> float:
        """For how many more seconds placements that are in progress are not reported; 0: all changes are."""
        if facts.state != "Pending" or facts.unscheduled:
            self._pending.pop(key, None)
            return 0.0
        now = asyncio.get_running_loop().time()  # the time of day may be set back meanwhile
        return max(0.0, self._pending.setdefault(key, now) + _LONG_WRITE - now)

    def _tell_owner(self, key: Key, work: Work, facts: WorkFacts, left: float) -> None:
        # The owner's status repeats where its files are, so the owner is queued when that changes.
        news = (facts, left > 0)
        if self._told.get(key) != news:
            self._told[key] = news
            if not left:
                self._platform.caches.queue_owner(work)

    def _placements(self, key: Key) -> list[WorkPlacement]:
        found = self._platform.caches.placements.by_index(BY_WORK, f"{key.namespace}/{key.name}")
        return sorted(found, key=lambda placement: placement.metadata.name)


@dataclass(frozen=True, slots=True)
class _Marks:
    """Labels and annotations of a placement; None for those that it must not have."""

    labels: Mapping[str, str | None]
    annotations: Mapping[str, str | None]

    def as_patch(self, seal: str) -> dict[str, Any]:
        return {"labels": dict(self.labels), "annotations": {**self.annotations, names.SEAL: seal}}


def _marks(work: Work, group: GroupPlan, destination: str, *, misplaced: bool, allowed: str | None) -> _Marks:
    return _Marks(
        labels={
            names.WORK: work.metadata.name,
            names.WORKLOAD_GROUP_ID: group.group_id,
            names.TARGET_DESTINATION: destination,
            names.PIPELINE_NAME: work.metadata.labels.get(names.PIPELINE_NAME),
            names.RESOURCE_NAMESPACE: work.metadata.labels.get(names.RESOURCE_NAMESPACE),
            names.MISPLACED: "true" if misplaced else None,
        },
        annotations={names.ASKED_FOR: describe_labels(group.asked), names.ALLOWED: allowed},
    )


def _spec(work: Work, group_id: str, destination: str, workloads: list[dict[str, str]]) -> dict[str, Any]:
    return {
        "targetDestinationName": destination,
        "workloads": workloads,
        "promiseName": work.promise_name,
        "resourceName": work.resource_name,
        "id": group_id,
        "generation": work.metadata.generation,
    }


def _owner_references(work: Work) -> list[dict[str, Any]]:
    return [
        {
            "apiVersion": WORK.api_version,
            "kind": WORK.kind,
            "name": work.metadata.name,
            "uid": work.metadata.uid,
            "controller": True,
            "blockOwnerDeletion": True,
        }
    ]


def _key(work: Work) -> Key:
    return Key(WORK.name, work.metadata.namespace, work.metadata.name)


def _destinations(plan: GroupPlan) -> list[tuple[str, bool]]:
    chosen = [(destination, False) for destination in plan.destinations]
    return chosen + [(destination, True) for destination in plan.misplaced]


def _waiting_for(waiting: Waiting) -> str:
    labels = describe_labels(waiting.wants)
    return f"no destination has the labels {labels}" if labels else "there is no destination"


def _failing(status: Mapping[str, Any]) -> str:
    """What is wrong with a Work's placements, as its condition says it; nothing when nothing is."""
    scheduled = find_condition(status.get("conditions"), SCHEDULE_SUCCEEDED) or {}
    return str(scheduled.get("message")) if scheduled.get("reason") in _FAILING else ""
