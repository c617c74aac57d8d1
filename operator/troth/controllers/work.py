"""Reconciles Works: decides to which Destinations each group goes, and keeps one WorkPlacement for each.

See kratix-compatibility.md#scheduling, #conditions-of-works-and-placements.

Two pure functions decide: `engine.placement.scheduling` to which Destinations each group goes, and
`engine.placement.placements` what has to be done to the placements for that. It is done here and in
work_placements.py. The operator creates Works with their finalizer, so that adding it does not need another write.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from troth.api import Key, find_condition
from troth.api import labels as names
from troth.api.conditions import SCHEDULE_SUCCEEDED
from troth.api.naming import short_group_id
from troth.api.objects import ObjectMeta, Work, WorkPlacement
from troth.api.resources import WORK
from troth.controllers.allowance import note_of, summed_up, why_forbidden
from troth.controllers.caches import BY_CLAIM
from troth.controllers.differences import was_ever_written
from troth.controllers.handover import has_arrived, homes_of, is_leaving, is_retired
from troth.controllers.object_writes import (
    object_reference,
    take_finalizers_off,
)
from troth.controllers.obstacles import after_refusal, is_kept_by_others, why_kept
from troth.controllers.owners import claim_of_work, is_kept_for_files, is_named_for, work_owner
from troth.controllers.patience import Patience
from troth.controllers.placement_claims import ContentsChanged
from troth.controllers.placement_state import placement_facts
from troth.controllers.plain_secrets import Exposure, PlainSecrets, decode_readable, said_before
from troth.controllers.platform import Platform
from troth.controllers.result import DONE, After, Result, Retry, Waits
from troth.controllers.standing import PATIENCE, Standing, is_being_written, judge_work
from troth.controllers.triggers import owner_of
from troth.controllers.work_placements import Contents, WorkPlacements
from troth.engine.placement.placements import Apply, Hold, Remove, Withhold, destinations_of, plan_placements
from troth.engine.placement.scheduling import (
    Existing,
    Home,
    SchedulePlan,
    describe_labels,
    schedule,
    target_of,
)
from troth.engine.placement.work import placement_name
from troth.engine.status.deletion import deletion_status
from troth.engine.status.facts import Held, Waiting, WorkFacts
from troth.engine.status.placement import read_placement, work_status
from troth.engine.status.refused import NOT_MADE_BY_TROTH, NOT_SEALED_YET, refused_status
from troth.kube import REFUSALS, Forbidden, NotFound

_LONG_WRITE = 10.0
_FAILING = frozenset({"NotAllowed", "WorkplacementsFailing"})
_KEPT_AGAIN = 10.0
_WRITTEN_AGAIN = 10.0


class WorkReconciler:
    """Schedules Works and reports how their placements fare."""

    def __init__(self, platform: Platform) -> None:
        self._platform = platform
        self._plain_secrets = PlainSecrets(platform)
        self._placements = WorkPlacements(platform)
        self._told: dict[Key, object] = {}
        self._pending: dict[Key, float] = {}
        self._refusals = Patience(PATIENCE)

    async def reconcile(self, key: Key) -> Result:
        """Creates, updates and removes the placements of one Work, and writes its status."""
        work = self._platform.caches.works.get(key.namespace, key.name)
        if work is None:
            self._told.pop(key, None)
            self._pending.pop(key, None)
            self._refusals.forget(key)
            return await self._leave_no_placements(key)
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
            # What takes its place may wait for one of its placements.
            self._platform.settling.tell(work_owner(work))
            for placement in self._placements.former(work):
                await self._placements.claim_leaving(work, placement)
            return DONE  # it is deleted when what takes its place has been written
        plan = self._plan(key, work, await homes_of(self._platform, work))
        if any(group.kept_by for group in plan.groups):
            self._platform.settling.wait(work_owner(work), key)
        exposure = await self._expose(work, plan)
        try:
            forbidden = await self._make_so(key, work, plan, exposure)
        except ContentsChanged as error:
            return Retry(str(error), quiet=True)
        except REFUSALS as error:
            if not (isinstance(error, Forbidden) and error.namespace_terminating):
                await self._report(key, work, plan, exposure, refusal=error.message)
            return after_refusal(error)
        return await self._report(key, work, plan, exposure, forbidden=forbidden)

    async def _expose(self, work: Work, plan: SchedulePlan) -> Exposure:
        """Which Secrets in plain text would be written to which stores, and which stores refuse them."""

        async def load() -> Mapping[str, bytes]:
            return await asyncio.to_thread(decode_readable, await self._placements.contents(work))

        places = {
            group.group_id: [destination for destination, _ in destinations_of(group)] for group in plan.groups
        }
        return await self._plain_secrets.expose(work.groups, places, load)

    async def _refuse(self, key: Key, work: Work, standing: Standing) -> Result:
        """Does nothing for a Work that is not the operator's, but says so on it when that lasts."""
        if not work.sealed_for and is_being_written(self._platform.caches, work):
            self._refusals.forget(key)
            return After(_WRITTEN_AGAIN, "the pipeline that writes it has not ended")
        self._platform.trigger(owner_of(work, self._platform.caches))
        if standing.waits_for:
            return Waits(standing.waits_for)
        left = self._refusals.left(key, asyncio.get_running_loop().time())
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
            targets=[target_of(destination) for destination in self._platform.caches.destinations.items()],
            existing=[
                Existing(
                    *slot,
                    written=was_ever_written(placement),
                    asked=placement.metadata.annotations.get(names.ASKED_FOR) if placement.sealed_for else None,
                    misplaced=names.MISPLACED in placement.metadata.labels and bool(placement.sealed_for),
                    current=placement.workloads == groups.get(slot[1]),
                )
                for slot, placement in self._placements.existing(work).items()
                if not placement.metadata.deleting
            ],
            homes=homes,
            dry_run=work.metadata.labels.get(names.DRY_RUN) == "true",
        )

    async def _make_so(self, key: Key, work: Work, plan: SchedulePlan, exposure: Exposure) -> str:
        """Makes the placements what the plan says. Returns what a Destination does not allow, which stays unchanged."""
        wanted = {destination for group in plan.groups for destination, _ in destinations_of(group)}
        targets = {name: self._platform.caches.destinations.get("", name) for name in wanted}
        rules = {name: note for name, target in targets.items() if (note := note_of(target))}
        existing = self._placements.existing(work)
        contents: Contents | None = None
        forbidden: list[str] = []
        for step in plan_placements(work, plan, existing, rules=rules, withheld=exposure.withheld):
            match step:
                case Apply():
                    contents = contents or await self._placements.contents(work)
                    files, target = contents[step.group.id], targets[step.destination]
                    if problem := await why_forbidden(target, files):
                        forbidden.append(problem)
                    else:
                        await self._placements.apply(work, step, files, target)
                case Hold():
                    await self._placements.hold(step)
                case Withhold(problem):
                    exposure.refused.append(problem)
                case Remove(outlives_group=True) if not has_arrived(self._platform, work_owner(work)):
                    self._platform.settling.wait(work_owner(work), key)
                case Remove(placement):
                    await self._placements.remove(work, placement)
        return summed_up(forbidden)

    # ---- deletion

    async def _finish(self, key: Key, work: Work) -> Result:
        if work.sealed_for:
            for placement in self._placements.former(work):
                await self._placements.claim_leaving(work, placement)
        await self._remove_placements(key)
        if names.WORK_CLEANUP not in work.metadata.finalizers:
            return DONE
        left = [each for each in self._placements.of(key.namespace, key.name) if is_kept_for_files(each)]
        if left:
            failures = [failure for placement in left if (failure := read_placement(placement).failure)]
            if failures and self._told.get(key) != failures:
                self._told[key] = failures
                noun = "1 placement" if len(left) == 1 else f"{len(left)} placements"
                waiting_for = f"{noun} to be removed: {min(failures)}"
                status = deletion_status(work.status, waiting_for=waiting_for, now=self._platform.now())
                await self._platform.write_status(self._platform.caches.works, WORK, key, work.status, status)
                self._platform.trigger(owner_of(work, self._platform.caches))  # its owner reports what keeps it
            return DONE  # this Work is queued again when one of them is gone
        works = self._platform.caches.works
        await take_finalizers_off(self._platform, works, WORK, key, work.metadata, {names.WORK_CLEANUP})
        still = self._platform.caches.works.get(key.namespace, key.name)
        if still and is_kept_by_others(still.metadata):
            # the owner reports what keeps the name that its new Work needs
            self._platform.trigger(owner_of(still, self._platform.caches))
        return DONE

    async def _leave_no_placements(self, key: Key) -> Result:
        """Removes the placements of a Work that went without its clean-up, if the API server does not have it either.

        Their files go with them, so it is not enough that the cache does not have the Work.
        """
        if not self._all_placements(key):
            return DONE
        try:
            found = await self._platform.client.get(WORK, key.name, key.namespace)
        except NotFound:
            await self._remove_placements(key)
            return DONE
        caches = self._platform.caches
        await caches.learn_work(found)
        return (
            DONE if caches.works.get(key.namespace, key.name) else Retry("its Work is not known yet", quiet=True)
        )

    async def _remove_placements(self, key: Key) -> None:
        """Starts the deletion of all placements of a Work."""
        for placement in self._all_placements(key):
            await self._placements.delete(placement)

    def _all_placements(self, key: Key) -> list[WorkPlacement]:
        """The placements of a Work, and those that somebody has edited, if their status proves what was written."""
        claim = claim_of_work(key.namespace, key.name)
        edited = [each for each in self._platform.caches.placements.by_index(BY_CLAIM, claim) if each.recorded]
        own = self._placements.of(key.namespace, key.name)
        return [*own, *(each for each in edited if is_named_for(key.name, each))]

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
                for placement in self._placements.of(key.namespace, key.name)
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
            # Placements of a new Work are written with the next commit: its first status reports how that went.
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
        # Only now, because the owner is also queued by the status: it is to see both at once and write its status
        # once.
        self._tell_owner(key, work, facts, left)
        if facts.obstacle:
            return After(_KEPT_AGAIN, facts.obstacle)
        return After(left, "its placements are being written") if left else DONE

    def _going(self, work: Work, plan: SchedulePlan) -> Iterator[ObjectMeta]:
        """The placements that are wanted but still being deleted, so that they cannot be created again yet."""
        for group in plan.groups:
            for destination, _ in destinations_of(group):
                name = placement_name(work.metadata.name, destination, short_group_id(group.group_id))
                found = self._platform.caches.placements.get(work.metadata.namespace, name)
                if found and found.metadata.deleting:
                    yield found.metadata

    def _is_making_anew(self, work: Work, plan: SchedulePlan) -> bool:
        return any(True for _ in self._going(work, plan))

    def _obstacle(self, work: Work, plan: SchedulePlan) -> str:
        """What prevents a placement from being created: finalizers of others keep the old one of the same name."""
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
        """For how many more seconds placements in progress are not reported. 0 means that every change is."""
        if facts.state != "Pending" or facts.unscheduled:
            self._pending.pop(key, None)
            return 0.0
        now = asyncio.get_running_loop().time()  # the time of day may be set back meanwhile
        return max(0.0, self._pending.setdefault(key, now) + _LONG_WRITE - now)

    def _tell_owner(self, key: Key, work: Work, facts: WorkFacts, left: float) -> None:
        # The owner's status repeats where the files are, so the owner is queued when that changes.
        news = (facts, left > 0)
        if self._told.get(key) != news:
            self._told[key] = news
            if not left:
                self._platform.trigger(owner_of(work, self._platform.caches))


def _waiting_for(waiting: Waiting) -> str:
    labels = describe_labels(waiting.wants)
    return f"no destination has the labels {labels}" if labels else "there is no destination"


def _failing(status: Mapping[str, Any]) -> str:
    """What is wrong with a Work's placements, as its condition says it; empty when nothing is wrong."""
    scheduled = find_condition(status.get("conditions"), SCHEDULE_SUCCEEDED) or {}
    return str(scheduled.get("message")) if scheduled.get("reason") in _FAILING else ""
