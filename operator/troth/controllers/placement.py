"""Reconciles WorkPlacements: each is one group of files on one Destination, which the store's writer writes.

See kratix-compatibility.md#paths-in-a-state-store.

The status records where the files are (placement_location.py). A plan (`troth.engine.placement.moves`) follows from
that and from where they are wanted now, and it is carried out here. After a crash some steps are repeated, which does
not write anything twice.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace

from troth.api import InvalidObject, Key, find_condition
from troth.api import labels as names
from troth.api.conditions import READY
from troth.api.objects import Destination, WorkPlacement
from troth.api.resources import WORK_PLACEMENT
from troth.api.store_kinds import StoreRef, require_store_kind
from troth.controllers.aggregate_writing import AggregateWriter
from troth.controllers.aggregates import one_file_at
from troth.controllers.handover import handover, leaves, may_hand_over, owner_of, succeeds
from troth.controllers.moving import release, states_of, waiting_for, writer_for
from troth.controllers.neighbourhood import Neighbourhood
from troth.controllers.object_writes import object_reference, take_finalizers_off
from troth.controllers.owners import is_kept_for_files, is_named_for, may_be_works, slot_of
from troth.controllers.patience import Patience
from troth.controllers.placement_claims import claim_of, places_of, removal
from troth.controllers.placement_location import read_whereabouts
from troth.controllers.placement_owners import owner_at
from troth.controllers.placement_report import PlacementReports, was_written
from troth.controllers.placement_state import placement_facts
from troth.controllers.platform import Platform
from troth.controllers.result import DONE, After, Result, Retry, Terminal, Waits
from troth.controllers.standing import PATIENCE, Standing, judge_placement
from troth.controllers.triggers import works_of
from troth.controllers.welcome import Welcome
from troth.engine.placement.layout import destination_prefix, has_own_files
from troth.engine.placement.locations import Location
from troth.engine.placement.moves import (
    Abandon,
    Leave,
    Note,
    Record,
    Release,
    Remove,
    TakeOut,
    Wait,
    Write,
    plan_move,
    plan_removal,
)
from troth.engine.status.placement import read_placement
from troth.engine.status.refused import NOT_MADE_BY_TROTH, NOT_SEALED_YET, refused_status
from troth.stores import Claim, Reason, StateStoreWriter, StoreError, Written
from troth.stores.handover import Handover

_HELD_AGAIN = 30.0
_SETTLING_IN_AGAIN = 0.5


class PlacementReconciler:
    """Keeps the files of each WorkPlacement in its Destination's store."""

    def __init__(self, platform: Platform) -> None:
        self._platform = platform
        self._neighbourhood = Neighbourhood(platform.caches)
        self._welcome = Welcome(platform)
        self._refusals = Patience(PATIENCE)
        self._aggregates = AggregateWriter(platform, self._welcome)
        self._reports = PlacementReports(platform)

    async def reconcile(self, key: Key) -> Result:
        """Writes, moves or removes the files of one placement and reports it in its status."""
        placement = self._platform.caches.placements.get(key.namespace, key.name)
        if placement is None:
            self._platform.writes.forget(key)
            self._refusals.forget(key)
            return DONE
        if placement.metadata.deleting:
            self._refusals.forget(key)
            return await self._remove(key, placement)
        standing = judge_placement(self._platform.caches, placement)
        if not standing.accepted:
            return await self._refuse(key, placement, standing)
        self._refusals.forget(key)
        if leaves(self._platform, placement):
            return DONE  # its files stay until those that take their place have been written
        destination = self._platform.caches.destinations.get("", placement.destination)
        if destination is None:  # the files stay where they are, and its Work labels it as misplaced
            self._platform.writes.forget(key)
            await self._reports.write(key, placement, placement_facts(self._platform, placement))
            return Waits("its destination does not exist")
        wanted = _finalizers(destination)
        if missing := [name for name in wanted if name not in placement.metadata.finalizers]:
            await self._platform.set_finalizers(
                self._platform.caches.placements,
                WORK_PLACEMENT,
                key,
                finalizers=[*placement.metadata.finalizers, *missing],
                resource_version=placement.metadata.resource_version,
            )
            placement = self._platform.caches.placements.get(key.namespace, key.name) or placement
        return await self._write(key, placement, destination)

    async def _refuse(self, key: Key, placement: WorkPlacement, standing: Standing) -> Result:
        """Does nothing for a placement that is not the operator's, but says so on it when that lasts."""
        self._platform.writes.forget(key)
        self._platform.trigger(works_of(placement, self._platform.caches))
        if standing.waits_for:
            return Waits(standing.waits_for)
        left = self._refusals.left(key, asyncio.get_running_loop().time())
        if left:
            return After(left, "its owner may correct it")
        meta = placement.metadata
        reason = NOT_SEALED_YET if standing.former else NOT_MADE_BY_TROTH
        status = refused_status(
            placement.status,
            standing.refusal,
            generation=meta.generation,
            now=self._platform.now(),
            reason=reason,
        )
        caches = self._platform.caches.placements
        wrote = await self._platform.write_status(caches, WORK_PLACEMENT, key, placement.status, status)
        if wrote and not standing.former:
            self._platform.events.record(
                object_reference(WORK_PLACEMENT, placement.metadata),
                type="Warning",
                reason=NOT_MADE_BY_TROTH,
                message=standing.refusal,
                action="Write",
            )
        return Waits(standing.refusal)

    async def _write(self, key: Key, placement: WorkPlacement, destination: Destination) -> Result:
        store_ref = destination.store
        store = self._platform.open_stores.get(store_ref)
        # In all three cases the store's reconciler queues its placements when something changes.
        if store is None:
            if self._platform.caches.get_store(store_ref) is not None:
                return Waits(f"{store_ref} has not been checked yet")
            try:
                require_store_kind(store_ref.kind, f"spec.stateStoreRef.kind of Destination {destination.name}")
            except InvalidObject as error:
                return await self._reports.failure(key, placement, str(error), Waits(str(error)))
            message = f"state store {store_ref} does not exist; what was written there stays as it is"
            return await self._reports.failure(key, placement, message, Waits(message))
        if store.writer is None or store.problem:
            return await self._reports.outage(key, placement, store.problem)
        try:
            location, claim = claim_of(self._platform, placement, destination, store_ref, store)
            if not (was_written(placement, location) and read_placement(placement).written):
                self._require_own_place(destination, claim, store.path)
            elif self._neighbourhood.of(destination).taken_by and has_own_files(destination):
                return Waits("its Destination is refused; what is written stays as it is")
            await self._welcome.require(placement, location)
        except InvalidObject as error:
            return await self._reports.failure(key, placement, str(error), Terminal("InvalidPath", str(error)))
        if location.aggregate and one_file_at(destination, location.aggregate, location.address) is None:
            return await self._wait_for_one_file(key, placement, destination, location)
        if location.aggregate and self._aggregates.is_settling_in(placement.destination, location):
            return After(_SETTLING_IN_AGAIN, "other parts of its file are being sealed")
        return await self._move(key, placement, location, store.writer, claim)

    def _require_own_place(self, destination: Destination, claim: Claim, store_path: str) -> None:
        """Raises InvalidObject when files would be in the folder of another Destination.

        Files that are written already stay, since a new rule does not remove anything. A cluster does not have
        folders, so this cannot happen there.
        """
        neighbours = self._neighbourhood.of(destination)
        if neighbours.taken_by and has_own_files(destination):
            raise InvalidObject(
                f"spec.path of Destination {destination.name}",
                f"{destination.path!r} {neighbours.taken_how}",
                "nothing new is written here until each has its own path",
            )
        if not neighbours.inside:
            return
        folder = destination_prefix(destination, store_path=store_path)
        for path in claim.files:
            if stranger := neighbours.stranger_at(path[len(folder) + 1 :] if folder else path):
                raise InvalidObject(
                    "spec.workloads",
                    f"{path} is in the folder of Destination {stranger}",
                    "choose another folder",
                )

    async def _wait_for_one_file(
        self, key: Key, placement: WorkPlacement, destination: Destination, location: Location
    ) -> Result:
        """Waits until its Destination has checked that the single file may be written; that queues its placements."""
        waits = Waits(f"Destination {destination.name} has not checked {location.aggregate} yet")
        ready = find_condition(destination.status.get("conditions"), READY) or {}
        if ready.get("status") != "False" or not ready.get("message"):
            return waits
        return await self._reports.failure(key, placement, str(ready["message"]), waits)

    async def _move(
        self, key: Key, placement: WorkPlacement, wanted: Location, writer: StateStoreWriter, claim: Claim
    ) -> Result:
        """Writes the files where they are wanted and removes them where they were, up to the first step that fails."""
        recorded = read_whereabouts(placement)
        plan = plan_move(recorded, wanted, states_of(self._platform, [wanted, *recorded.places]))
        written = Written("", changed=False)
        try:
            for step in plan:
                match step:
                    case Note(also):
                        placement = await self._reports.note(key, placement, also)
                    case Write(location):
                        async with self._platform.slots.lent():
                            written = await self._submit(writer, claim, placement, location)
                        self._platform.writes.passed(location.store, key, changed=written.changed)
                    case Record(location):
                        await self._reports.written(key, placement, location, written)
                    case Remove() | TakeOut() | Release() | Abandon() | Wait():
                        async with self._platform.slots.lent():
                            await self._leave(placement, step)
        except StoreError as error:
            retry = self._platform.writes.failed(wanted.store, key, error)
            return await self._reports.failure(key, placement, str(error), retry)
        if not written.held:
            return DONE
        self._platform.settling.wait(owner_of(self._platform, placement), key)
        return After(_HELD_AGAIN, "what it no longer wants is being moved to another place")

    async def _submit(
        self, writer: StateStoreWriter, claim: Claim, placement: WorkPlacement, location: Location
    ) -> Written:
        if location.is_shared:
            return await self._aggregates.write(writer, placement, location)
        return await writer.write(self._with_handover(claim, placement, location))

    async def _leave(self, placement: WorkPlacement, step: Leave | Wait) -> None:
        """Takes one step that removes files from a place; raises StoreError."""
        match step:
            case Remove(old):
                owner = owner_at(old, placement)
                claim = removal(f"{owner}@{old.path}" if step.apart else owner, placement, old)
                await writer_for(self._platform, step).write(claim)
            case TakeOut(old):
                try:
                    await self._aggregates.write(writer_for(self._platform, step), placement, old)
                except StoreError as error:
                    if error.reason != Reason.NOT_OURS:  # somebody else's file does not hold anything of ours
                        raise
            case Release(old):
                await release(self._platform, step, owner_at(old, placement))
            case Abandon(old):
                for store in self._platform.open_stores.all():  # one of them may be the same place
                    if store.address == old.address and store.writer is not None:
                        await store.writer.release(owner_at(old, placement))
                self._platform.events.record(
                    object_reference(WORK_PLACEMENT, placement.metadata),
                    type="Warning",
                    reason="FilesLeftBehind",
                    message=f"state store {old.store} {step.loss}; the files in {old.path} stay where they were",
                    action="Remove",
                )
            case Wait():
                raise waiting_for(step)

    def _with_handover(self, claim: Claim, placement: WorkPlacement, location: Location) -> Claim:
        going = succeeds(self._platform, placement, location)
        if not going and not may_hand_over(self._platform, placement):
            return claim

        async def ask() -> Handover:
            return await handover(self._platform, placement, location, self._welcome.has)

        return replace(claim, handover=ask, succeeds=going)

    async def _remove(self, key: Key, placement: WorkPlacement) -> Result:
        if not is_kept_for_files(placement):
            return DONE
        if not placement.sealed_for:
            placement = _as_named(placement)
        destination = self._platform.caches.destinations.get("", placement.destination)
        recorded = read_whereabouts(placement).places
        stores = [place.store for place in recorded]
        if destination is not None and placement.sealed_for:
            stores.append(destination.store)
        for store in stores:
            if self._is_unknown(store):
                return Retry(f"state store {store} has not been checked yet")
        # A placement that somebody else has made or edited proves nothing; what its status proves is still there.
        places = places_of(self._platform, placement) if placement.sealed_for else list(recorded)
        for step in plan_removal(places, states_of(self._platform, places)):
            try:
                async with self._platform.slots.lent():
                    await self._leave(placement, step)
            except StoreError as error:
                retry = self._platform.writes.failed(step.location.store, key, error)
                return await self._reports.failure(key, placement, str(error), retry)
        ours = {names.REPO_CLEANUP, names.DOT_FILES_CLEANUP}
        placements = self._platform.caches.placements
        await take_finalizers_off(self._platform, placements, WORK_PLACEMENT, key, placement.metadata, ours)
        self._platform.writes.forget(key)
        if still := self._platform.caches.placements.get(key.namespace, key.name):
            # Others keep it from going, and its Work says so.
            self._platform.trigger(works_of(still, self._platform.caches))
        return DONE

    def _is_unknown(self, ref: StoreRef) -> bool:
        known = self._platform.open_stores.get(ref) is not None
        return not known and self._platform.caches.get_store(ref) is not None


def _as_named(placement: WorkPlacement) -> WorkPlacement:
    """The placement, on the Destination that its name says, since the name cannot be edited."""
    fitting = (work for _, work in may_be_works(placement) if is_named_for(work, placement))
    work = next(fitting, "")
    return replace(placement, destination=slot_of(work, placement)[0])


def _finalizers(destination: Destination) -> list[str]:
    if destination.mode == "none":
        return [names.REPO_CLEANUP, names.DOT_FILES_CLEANUP]
    return [names.REPO_CLEANUP]
