"""WorkPlacement: one group of files on one destination, handed to the store's writer.

See kratix-compatibility.md#paths-in-a-state-store.

The status records where the files were written (placement_location.py). A destination that changes its path or its
store gets the files at the new place first, then loses them at the old one, and only then does the record change. A
crash anywhere in between repeats both steps, which write nothing twice. Two stores may be one place, the same branch
or the same cluster: then the files stay, and only their keeper changes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final

from troth.api import Condition, InvalidObject, Key, find_condition, set_condition
from troth.api import labels as names
from troth.api.conditions import READY
from troth.api.objects import Destination, Workload, WorkPlacement
from troth.api.resources import DESTINATION, WORK_PLACEMENT
from troth.api.store_kinds import StoreRef, require_store_kind
from troth.controllers.aggregate_parts import describe_unsealed, released_objects, unsealed_parts
from troth.controllers.aggregates import OneFile, read_one_file
from troth.controllers.caches import BY_DESTINATION
from troth.controllers.differences import was_ever_written
from troth.controllers.handover import (
    handover,
    leaves,
    may_hand_over,
    on_the_way_elsewhere,
    owner_of,
    still_needed,
    succeeds,
)
from troth.controllers.neighbourhood import Neighbourhood
from troth.controllers.object_writes import object_reference, take_finalizers_off
from troth.controllers.owners import (
    is_kept_for_files,
    is_named_for,
    may_be_works,
    slot_of,
)
from troth.controllers.placement_claims import claim_of, load_placement, places_of, removal
from troth.controllers.placement_location import Location, Whereabouts, read_whereabouts, says_it_is_at
from troth.controllers.placement_owners import aggregate_owner, owner_at
from troth.controllers.placement_state import placement_facts
from troth.controllers.platform import Platform
from troth.controllers.result import DONE, After, Result, Retry, Terminal, Waits
from troth.controllers.standing import Refusals, Standing, judge_placement
from troth.controllers.welcome import Welcome
from troth.engine.placement.layout import aggregate, destination_prefix, has_own_files
from troth.engine.placement.work import blob_id
from troth.engine.status import NOT_MADE_BY_TROTH, NOT_SEALED_YET, placement_status, read_placement, refused_status
from troth.engine.status.facts import PlacementFacts
from troth.stores import Claim, Reason, StateStoreWriter, StoreError, Written
from troth.stores.handover import Handover, Spared
from troth.stores.kubernetes_objects import ObjectKey

LARGEST_AGGREGATE: Final = 32 * 1024 * 1024
"""Bytes of the one file of a Destination with the mode aggregatedYAML: it is put together in memory."""

_NAMED = 5
_HELD_AGAIN = 30.0
_SETTLING_IN = 15.0
_SETTLING_IN_AGAIN = 0.5
_RESTORED = "Files that others had changed or removed in the store were written again"


class PlacementReconciler:
    """Keeps the files of each WorkPlacement in its destination's store."""

    def __init__(self, platform: Platform) -> None:
        self._platform = platform
        self._neighbourhood = Neighbourhood(platform.caches)
        self._welcome = Welcome(platform)
        self._refusals = Refusals()
        self._began: float | None = None
        self._aggregating: dict[str, asyncio.Lock] = {}
        self._aggregated: dict[tuple[str, str], dict[tuple[str, str], tuple[Workload, ...]]] = {}
        self._told_unsealed: dict[str, frozenset[str]] = {}

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
            return DONE  # its files stay until what takes their place is written
        destination = self._platform.caches.destinations.get("", placement.destination)
        if destination is None:  # the files stay where they are, and its Work labels it misplaced
            self._platform.writes.forget(key)
            await self._write_status(key, placement, placement_facts(self._platform, placement))
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
        """Nothing is done for a placement that is not the operator's; what lasts is said on it."""
        self._platform.writes.forget(key)
        self._platform.caches.queue_work(placement)
        if standing.waits_for:
            return Waits(standing.waits_for)
        left = self._refusals.patience(key, asyncio.get_running_loop().time())
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
                return await self._report_failure(key, placement, str(error), Waits(str(error)))
            message = f"state store {store_ref} does not exist; what was written there stays as it is"
            return await self._report_failure(key, placement, message, Waits(message))
        if store.writer is None or store.problem:
            return await self._report_outage(key, placement, store.problem)
        try:
            location, claim = claim_of(self._platform, placement, destination, store_ref, store)
            if not (_was_written(placement, location) and read_placement(placement).written):
                self._require_own_place(destination, claim, store.path)
            elif self._neighbourhood.of(destination).taken_by and has_own_files(destination):
                return Waits("its Destination is refused; what is written stays as it is")
            await self._welcome.require(placement, location)
        except InvalidObject as error:
            return await self._report_failure(key, placement, str(error), Terminal("InvalidPath", str(error)))
        if location.aggregate and _one_file(destination, location) is None:
            return await self._wait_for_one_file(key, placement, destination, location)
        if location.aggregate and self._is_settling_in(placement.destination, location):
            return After(_SETTLING_IN_AGAIN, "other parts of its file are being sealed")
        placement = await self._announce(key, placement, location)
        claim = self._with_handover(claim, placement, location)
        try:
            async with self._platform.slots.lent():
                written = await self._submit(store.writer, claim, placement, location)
                self._platform.writes.passed(store_ref, key, changed=written.changed)
                await self._leave_old_places(placement, location)
        except StoreError as error:
            retry = self._platform.writes.failed(store_ref, key, error)
            return await self._report_failure(key, placement, str(error), retry)
        await self._report_written(key, placement, location, written)
        if not written.held:
            return DONE
        self._platform.settling.wait(owner_of(self._platform, placement), key)
        return After(_HELD_AGAIN, "what it no longer wants is being moved to another place")

    def _require_own_place(self, destination: Destination, claim: Claim, store_path: str) -> None:
        """Raises InvalidObject when files would lie in the folder of another Destination.

        What is written already stays: a rule that is new takes nothing away. In a cluster there are no folders, so
        nothing can meet there.
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
                    f"{path} lies in the folder of Destination {stranger}",
                    "choose another folder",
                )

    async def _wait_for_one_file(
        self, key: Key, placement: WorkPlacement, destination: Destination, location: Location
    ) -> Result:
        """Until its Destination has looked whether the one file may be written; it queues its placements then."""
        waits = Waits(f"Destination {destination.name} has not checked {location.aggregate} yet")
        ready = find_condition(destination.status.get("conditions"), READY) or {}
        if ready.get("status") != "False" or not ready.get("message"):
            return waits
        return await self._report_failure(key, placement, str(ready["message"]), waits)

    def _with_handover(self, claim: Claim, placement: WorkPlacement, location: Location) -> Claim:
        going = succeeds(self._platform, placement, location)
        if not going and not may_hand_over(self._platform, placement):
            return claim

        async def ask() -> Handover:
            return await handover(self._platform, placement, location, self._welcome.has)

        return replace(claim, handover=ask, succeeds=going)

    async def _announce(self, key: Key, placement: WorkPlacement, location: Location) -> WorkPlacement:
        """Before files that are elsewhere are written to another place, the status says so."""
        recorded = read_whereabouts(placement)
        if not recorded.places or location in recorded.places:
            return placement
        also = [place.as_status() for place in (*recorded.also, location)]
        status = {
            **placement.status,
            "troth": {**(placement.status.get("troth") or {}), "alsoIn": also},
        }
        seal = self._platform.caches.seals.seal_record(placement.metadata, status, placement.recorded)
        await self._platform.write_status(
            self._platform.caches.placements,
            WORK_PLACEMENT,
            key,
            placement.status,
            {"troth": {**status["troth"], "seal": seal}},
        )
        return self._platform.caches.placements.get(key.namespace, key.name) or placement

    async def _submit(
        self, writer: StateStoreWriter, claim: Claim, placement: WorkPlacement, location: Location
    ) -> Written:
        if not location.aggregate:
            return await writer.write(claim)
        return await self._write_aggregate(writer, placement, location)

    async def _write_aggregate(
        self, writer: StateStoreWriter, placement: WorkPlacement, location: Location
    ) -> Written:
        path, destination = location.aggregate, placement.destination
        # Built under a lock: an older reading must never overwrite a newer one.
        lock = self._aggregating.setdefault(destination, asyncio.Lock())
        async with lock:
            placements = [
                other
                for other in self._platform.caches.placements.by_index(BY_DESTINATION, destination)
                if not other.metadata.deleting and self._is_part(other)
            ]
            unsealed = unsealed_parts(self._platform, destination, location)
            _require_room(placements, location)
            contents, former, unwelcome = await self._parts_of_aggregate(placements, location)
            staying = [*unsealed, *unwelcome]
            now = {(other.metadata.name, other.metadata.namespace): other.workloads for other in placements}
            before = self._aggregated.get((destination, path))
            released: frozenset[ObjectKey] = frozenset()
            if staying:
                # What is in the file of one that cannot be written is what it had when it was last written.
                names_of = [(other.metadata.name, other.metadata.namespace) for other in staying]
                now |= {each: before[each] for each in names_of if before and each in before}
                released = await released_objects(
                    self._platform, destination, before=before or {}, now=now, unsealed=staying
                )
            if before is None:  # after a start nobody knows what was in the file
                changed = [placement.metadata.name]
            else:
                changed = sorted(key[0] for key in now | before if now.get(key) != before.get(key))
            content = aggregate(contents)
            files = {path: blob_id(content)} if content is not None else {}
            keeper = self._platform.caches.destinations.get("", destination)
            one_file = _one_file(keeper, location) if keeper is not None else None

            async def load() -> Mapping[str, bytes]:
                return {path: content} if content is not None else {}

            async def ask() -> Handover:
                # What somebody has edited cannot be written, and what is in the file of it must not go for that.
                spared = await on_the_way_elsewhere(self._platform, placements)
                if keeper is not None:
                    self._tell_unsealed(keeper, unsealed, path)
                everything = bool(staying) or spared.everything
                return Handover(spared=Spared(spared.keys, everything=everything, released=released))

            may_change_hands = bool(staying) or any(may_hand_over(self._platform, other) for other in placements)

            written = await writer.write(
                Claim(
                    owner=aggregate_owner(destination),
                    files=files,
                    load=load,
                    message=_enumerate(changed) or destination,
                    size=len(content or b""),
                    obsolete=() if files else (path,),
                    former_stores=former,
                    by_name=one_file is not None and not one_file.adopted,
                    adopts=one_file is not None and one_file.adopted,
                    handover=ask if may_change_hands else None,
                ),
            )
            self._aggregated[destination, path] = now
            return written

    def _tell_unsealed(self, destination: Destination, unsealed: Sequence[WorkPlacement], path: str) -> None:
        """Says on a Destination, once, why something stays in its one file."""
        names_of = frozenset(f"{each.metadata.namespace}/{each.metadata.name}" for each in unsealed)
        if names_of and self._told_unsealed.get(destination.name) != names_of:
            self._platform.events.record(
                {
                    "apiVersion": DESTINATION.api_version,
                    "kind": DESTINATION.kind,
                    "name": destination.name,
                    "uid": destination.metadata.uid,
                },
                type="Warning",
                reason="UnsealedPlacements",
                message=describe_unsealed(unsealed, path),
                action="Write",
            )
        self._told_unsealed[destination.name] = names_of

    def _is_settling_in(self, destination: str, location: Location) -> bool:
        """Whether others with parts in a Destination's file wait for their owners, soon after the operator began.

        After another key was made nothing is sealed, and everything is within seconds: one file need not be written
        again and again on the way there.
        """
        now = asyncio.get_running_loop().time()
        if self._began is None:
            self._began = now
        return now - self._began < _SETTLING_IN and bool(unsealed_parts(self._platform, destination, location))

    def _is_part(self, placement: WorkPlacement) -> bool:
        """Whether a sealed placement has a part in its Destination's file: it was written, or is to be.

        What somebody has kept of a request that is gone and created again is neither.
        """
        standing = judge_placement(self._platform.caches, placement)
        return was_ever_written(placement) or not standing.refusal

    async def _parts_of_aggregate(
        self, placements: Sequence[WorkPlacement], location: Location
    ) -> tuple[dict[tuple[str, str], Mapping[str, bytes]], tuple[str, ...], list[WorkPlacement]]:
        """What each placement has in the one file, the other stores that may hold any of it, and whose part stays.

        That is of placements whose new content may not be written, so what they have in the file is as it was.
        """
        contents: dict[tuple[str, str], Mapping[str, bytes]] = {}
        staying: list[WorkPlacement] = []
        former: set[str] = set()
        for placement in placements:
            former.update(read_whereabouts(placement).former_stores(location.store))
            try:
                await self._welcome.require(placement, location)
            except InvalidObject:
                if location in read_whereabouts(placement).places:
                    staying.append(placement)
                continue  # it says so itself, and what it has stays
            files: Mapping[str, bytes] = await load_placement(self._platform, placement)
            if leaves(self._platform, placement):
                files = await still_needed(self._platform, placement, files, placements)
            contents[placement.metadata.name, placement.metadata.namespace] = files
        return contents, tuple(sorted(former)), staying

    # ---- leaving

    async def _leave_old_places(self, placement: WorkPlacement, location: Location) -> None:
        """After the files are at the new place: removes what the record says is at others."""
        for old in read_whereabouts(placement).places:
            if old != location:
                await self._leave(placement, old, location)

    async def _leave(self, placement: WorkPlacement, old: Location, new: Location) -> None:
        """Removes the files at a place that the placement left for another."""
        owner = owner_at(old, placement)
        # One owner has one set of files in a store: while it has others there, what it left is another's.
        stays = owner == owner_at(new, placement)
        if not old.is_at_address_of(new):
            await self._clear(placement, old, stays=stays and old.store == new.store)
            return
        before = self._platform.open_stores.get(old.store)
        if old.is_on_cluster:
            # What the new store wants it has taken over, whether or not the old one is still there.
            if before is not None or self._platform.caches.get_store(old.store) is not None:
                await self._clear(placement, old, stays=stays and old.store == new.store)
            return
        # Only the new store's writer knows what is wanted there now.
        now = self._platform.open_stores.get(new.store)
        if not old.is_same_place(new) and now is not None and now.writer is not None:
            await now.writer.write(removal(f"{owner}@{old.path}" if stays else owner, placement, old))
        if old.store != new.store and before is not None and before.writer is not None:
            await before.writer.release(owner)

    async def _clear(
        self,
        placement: WorkPlacement,
        old: Location,
        *,
        stays: bool = False,
        others_stay: bool = False,
    ) -> None:
        """Removes the files at a location. If its store is gone, nobody can.

        ``stays``: the placement has others in that store, so what it left counts as another owner's there.
        ``others_stay``: a file that is shared with other placements is kept for them.
        """
        store = self._platform.open_stores.get(old.store)
        gone = ""
        if store is None and self._platform.caches.get_store(old.store) is None:
            gone = "is gone"
        elif store is not None and old.address and old.address != store.address:
            gone = "is somewhere else now"
        if gone:
            await self._let_go(placement, old)
            self._platform.events.record(
                object_reference(WORK_PLACEMENT, placement.metadata),
                type="Warning",
                reason="FilesLeftBehind",
                message=f"state store {old.store} {gone}; the files in {old.path} stay where they were",
                action="Remove",
            )
            return
        if store is None or store.writer is None or store.problem:
            raise StoreError(
                "StateStoreNotReady",
                f"waiting for state store {old.store} to remove the files in {old.path}"
                + (f": {store.problem}" if store and store.problem else ""),
                retryable=True,
            )
        if old.aggregate and others_stay:
            try:
                await self._write_aggregate(store.writer, placement, old)
            except StoreError as error:
                if error.reason != Reason.NOT_OURS:  # nothing of ours is in a stranger's file
                    raise
            return
        owner = owner_at(old, placement)
        await store.writer.write(removal(f"{owner}@{old.path}" if stays else owner, placement, old))

    async def _let_go(self, placement: WorkPlacement, old: Location) -> None:
        """Of files that nobody can remove: they must not keep others from their paths."""
        for store in self._platform.open_stores.all():
            if store.address == old.address and store.writer is not None:
                await store.writer.release(owner_at(old, placement))

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
        # What somebody else has made or edited tells nothing; what its status proves is still there.
        places = places_of(self._platform, placement) if placement.sealed_for else list(recorded)
        for location in places:
            try:
                async with self._platform.slots.lent():
                    if location.aggregate and location is not places[0]:
                        await self._leave(placement, location, places[0])
                    else:
                        await self._clear(placement, location, others_stay=True)
            except StoreError as error:
                retry = self._platform.writes.failed(location.store, key, error)
                return await self._report_failure(key, placement, str(error), retry)
        ours = {names.REPO_CLEANUP, names.DOT_FILES_CLEANUP}
        placements = self._platform.caches.placements
        await take_finalizers_off(self._platform, placements, WORK_PLACEMENT, key, placement.metadata, ours)
        self._platform.writes.forget(key)
        if still := self._platform.caches.placements.get(key.namespace, key.name):
            self._platform.caches.queue_work(still)  # others keep it, and its Work says so
        return DONE

    def _is_unknown(self, ref: StoreRef) -> bool:
        known = self._platform.open_stores.get(ref) is not None
        return not known and self._platform.caches.get_store(ref) is not None

    # ---- status

    async def _report_written(
        self, key: Key, placement: WorkPlacement, location: Location, written: Written
    ) -> None:
        facts = PlacementFacts(
            name=placement.metadata.name,
            group_id=placement.group_id,
            destination=placement.destination,
            path=location.path,
            files=len(placement.workloads),
            written=True,
            version=written.version,
            misplaced=names.MISPLACED in placement.metadata.labels,
            generation=placement.metadata.generation,
        )
        settled = _was_written(placement, location)
        if not written.changed and (settled or says_it_is_at(placement, location)):
            # The files are there already, so the commit that put them there stays the one that is named.
            facts = replace(facts, version=placement.status.get("versionID", ""))
        restored = written.changed and settled and read_placement(placement).written
        wrote = await self._write_status(key, placement, facts, location, restored=restored)
        if wrote or written.changed:
            self._platform.settling.tell(owner_of(self._platform, placement))
        if restored:
            self._platform.events.record(
                object_reference(WORK_PLACEMENT, placement.metadata),
                type="Warning",
                reason="FilesRestored",
                message=f"{_RESTORED} to {location.path}",
                action="Write",
            )

    async def _report_outage(self, key: Key, placement: WorkPlacement, message: str) -> Result:
        # What is in the store already is not lost because the store cannot be reached now.
        waits, facts = Waits(message), read_placement(placement)
        if facts.written:
            await self._write_status(key, placement, facts)  # whether it is misplaced depends on no store
            return waits
        return await self._report_failure(key, placement, message, waits)

    async def _report_failure(self, key: Key, placement: WorkPlacement, message: str, then: Result) -> Result:
        before = read_placement(placement)
        facts = replace(before, failure=message, generation=placement.metadata.generation)
        wrote = await self._write_status(key, placement, facts)
        if wrote:
            self._platform.events.record(
                object_reference(WORK_PLACEMENT, placement.metadata),
                type="Warning",
                reason="FailedWriteToDestination",
                message=message,
                action="Write",
            )
        return then

    async def _write_status(
        self,
        key: Key,
        placement: WorkPlacement,
        facts: PlacementFacts,
        location: Location | None = None,
        *,
        restored: bool = False,
    ) -> bool:
        """``location``: where all files are and none elsewhere; without it the record stays as it is."""
        now = self._platform.now()
        status = placement_status(placement.status, facts, now=now)
        if restored:
            condition = Condition("FilesRestored", "True", "ChangedByOthers", f"{_RESTORED} at {now}")
            status["conditions"] = set_condition(status["conditions"], condition, now=now)
        troth = dict(status["troth"])
        generation = placement.recorded
        if location is not None:
            troth["location"] = location.as_status()
            troth.pop("alsoIn", None)
            generation = facts.generation
        elif not placement.recorded and not placement.former:
            for unproven in ("location", "alsoIn", "seal"):
                troth.pop(unproven, None)
            status["versionID"] = None
        status["troth"] = troth
        if generation:
            troth["seal"] = self._platform.caches.seals.seal_record(placement.metadata, status, generation)
        return await self._platform.write_status(
            self._platform.caches.placements,
            WORK_PLACEMENT,
            key,
            placement.status,
            status,
        )


def _as_named(placement: WorkPlacement) -> WorkPlacement:
    """The placement, on the Destination that its name tells: that cannot be edited."""
    fitting = (work for _, work in may_be_works(placement) if is_named_for(work, placement))
    work = next(fitting, "")
    return replace(placement, destination=slot_of(work, placement)[0])


def _require_room(placements: Sequence[WorkPlacement], location: Location) -> None:
    size = sum(file.size for placement in placements for file in placement.workloads)
    if size > LARGEST_AGGREGATE:
        raise StoreError(
            Reason.TOO_LARGE,
            f"the one file {location.aggregate} would have {size} bytes, more than {LARGEST_AGGREGATE >> 20} MiB; "
            "it stays as it is",
            "give the Destination another mode, such as nestedByMetadata, or divide its requests among several",
        )


def _enumerate(placements: Sequence[str]) -> str:
    """Whose documents in one file changed, for the message of a commit."""
    shown = ", ".join(placements[:_NAMED])
    return shown + (f" and {len(placements) - _NAMED} more" if len(placements) > _NAMED else "")


def _was_written(placement: WorkPlacement, location: Location) -> bool:
    """Whether everything has been at the location and nowhere else."""
    return bool(placement.status.get("versionID")) and read_whereabouts(placement) == Whereabouts(location)


def _one_file(destination: Destination, location: Location) -> OneFile | None:
    """The Destination's one file, if that is what the location is and the Destination has it."""
    found = read_one_file(destination.status)
    here = found is not None and (found.path, found.address) == (location.aggregate, location.address)
    return found if here else None


def _finalizers(destination: Destination) -> list[str]:
    if destination.mode == "none":
        return [names.REPO_CLEANUP, names.DOT_FILES_CLEANUP]
    return [names.REPO_CLEANUP]
