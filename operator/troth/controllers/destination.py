"""Reconciles Destinations: their canaries, their readiness, and their clean-up.

See kratix-compatibility.md#paths-in-a-state-store, #destinations.

The files of the Destination itself (canaries, or the placeholders that keep its folders) are recorded in its status, so
that a Destination that changes its path or its store leaves nothing behind. They are moved as those of placements are,
by a plan (`troth.engine.placement.moves`).

Unlike the record of a placement, this record does not have a seal: Destinations belong to the cluster, and a user who
may
write their status may also write their spec, and so decides anyway what is written where.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from troth.api import InvalidObject, Key
from troth.api import labels as names
from troth.api.objects import Destination
from troth.api.resources import DESTINATION, WORK_PLACEMENT
from troth.api.statuses import read_own
from troth.api.store_kinds import StoreRef, require_store_kind
from troth.controllers.aggregates import OneFile, has_one_file, take_one_file, was_ready
from troth.controllers.caches import BY_CLAIM, BY_DESTINATION
from troth.controllers.moving import release, states_of, waiting_for, writer_for
from troth.controllers.neighbourhood import Neighbourhood
from troth.controllers.object_writes import delete_object, object_reference, patch_object
from troth.controllers.owners import claim_of_destination, is_kept_for_files
from troth.controllers.platform import Platform
from troth.controllers.result import DONE, After, Result, Retry, Terminal, Waits
from troth.controllers.stores import OpenStore
from troth.controllers.triggers import placements_on
from troth.engine.placement.layout import DestinationFiles, destination_files, destination_prefix, has_own_files
from troth.engine.placement.locations import Location, read_locations
from troth.engine.placement.moves import (
    Abandon,
    Leave,
    Note,
    Record,
    Release,
    Remove,
    Step,
    TakeOut,
    Wait,
    Write,
    plan_move,
    plan_removal,
)
from troth.engine.placement.neighbours import Neighbours
from troth.engine.placement.work import blob_id
from troth.engine.status.facts import DestinationFacts
from troth.engine.status.store import destination_status
from troth.kube import Conflict
from troth.stores import Claim, StateStoreWriter, StoreError


class _PlaceTaken(InvalidObject):
    """Another Destination has the path, and may leave it some day."""


class DestinationReconciler:
    """Keeps the canaries of each Destination and says whether it can be written to."""

    def __init__(self, platform: Platform) -> None:
        self._platform = platform
        self._neighbourhood = Neighbourhood(platform.caches)
        self._told: dict[str, Neighbours] = {}

    async def reconcile(self, key: Key) -> Result:
        """Writes the canaries of one Destination, or cleans up when it is being deleted."""
        destination = self._platform.caches.destinations.get("", key.name)
        if destination is None:
            self._platform.writes.forget(key)
            self._told.pop(key.name, None)
            return DONE
        try:
            if destination.metadata.deleting:
                return await self._clean_up(key, destination)
            destination = await self._keep_finalizer(key, destination)
            destination = await self._name_file(key, destination)
        except Conflict:
            return Retry("the Destination changed while it was being reconciled")
        ref = destination.store
        store = self._platform.open_stores.get(ref)
        if store is None and self._platform.caches.get_store(ref) is not None:
            return Waits(f"{ref} has not been checked yet")  # its reconciler queues its destinations
        try:
            neighbours = self._check(destination)
            own = destination_files(destination, store_path=store.path if store else "")
        except InvalidObject as error:
            unfit = not isinstance(error, _PlaceTaken)
            await self._report(key, destination, ref, problem=str(error), unfit=unfit)
            return Terminal("InvalidDestination", str(error))
        remark = neighbours.remark()
        if store is None or store.writer is None or store.problem:
            await self._report(key, destination, ref, store=store, remark=remark)
            return Waits(f"{ref} is not ready")  # its reconciler queues its destinations when something changes
        wanted = Location(ref, files=tuple(sorted(own.files)), address=store.address)
        recorded = read_locations(destination.status)
        settled = was_ready(destination) and (not recorded.places or wanted in recorded.places)
        plan = plan_move(recorded, wanted, states_of(self._platform, [wanted, *recorded.places]))
        destination = await self._note(key, destination, plan)
        written: Location | None = None
        try:
            async with self._platform.slots.lent():
                written = await self._carry_out(destination, plan, store.writer, own)
                one_file = await take_one_file(
                    destination, store.writer, store_path=store.path, address=store.address, settled=settled
                )
        except InvalidObject as error:
            await self._report(key, destination, ref, problem=str(error), unfit=True, written=written)
            return Terminal("InvalidDestination", str(error))
        except StoreError as error:
            await self._report(
                key, destination, ref, store=store, failure=str(error), written=written, remark=remark
            )
            return self._platform.writes.failed(ref, key, error)
        await self._report(key, destination, ref, store=store, written=written, one_file=one_file, remark=remark)
        return DONE

    def _check(self, destination: Destination) -> Neighbours:
        """Checks that no other Destination has the same place: each would remove what the other wrote.

        Returns how it stands to the others.

        Raises:
            InvalidObject: it may not have this place.
        """
        ref = destination.store
        require_store_kind(ref.kind, "spec.stateStoreRef.kind")
        destination_prefix(destination, store_path="")
        neighbours = self._neighbourhood.of(destination)
        if self._told.setdefault(destination.name, neighbours) != neighbours:
            self._told[destination.name] = neighbours
            # placements that were refused may be written now
            self._platform.trigger(placements_on([destination.name], self._platform.caches))
        if neighbours.taken_by:
            raise _PlaceTaken(
                "spec.path",
                f"{destination.path!r} of {ref} {neighbours.taken_how}",
                "give each Destination of a store its own path",
            )
        return neighbours

    async def _note(self, key: Key, destination: Destination, plan: Sequence[Step]) -> Destination:
        """Records where else its own files may be from now on, if the plan says so. Returns the Destination."""
        for step in plan:
            if isinstance(step, Note):
                also = [place.as_status() for place in step.also]
                await self._platform.write_status(
                    self._platform.caches.destinations,
                    DESTINATION,
                    key,
                    destination.status,
                    {"troth": {**read_own(destination.status).fields, "alsoIn": also}},
                )
                return self._platform.caches.destinations.get("", key.name) or destination
        return destination

    async def _carry_out(
        self, destination: Destination, plan: Sequence[Step], writer: StateStoreWriter, own: DestinationFiles
    ) -> Location | None:
        """Takes the steps of a plan. Returns the location to record; raises StoreError at the first step that fails."""
        found: Location | None = None
        for step in plan:
            match step:
                case Note():
                    pass  # this was recorded before the first step
                case Write(location):
                    written = await writer.write(_claim(destination, own))
                    key = Key(DESTINATION.name, "", destination.name)
                    self._platform.writes.passed(location.store, key, changed=written.changed)
                case Record(location):
                    found = location
                case _:
                    await self._leave(destination, step)
        return found

    async def _leave(self, destination: Destination, step: Leave | Wait) -> None:
        """Takes one step that removes files from a place.

        Raises:
            StoreError: the store could not do it.
        """
        owner = destination_owner(destination)
        match step:
            case Remove(old):
                left = DestinationFiles({}, old.files or ())
                claim = _claim(destination, left, owner=f"{owner}@{step.through}" if step.apart else owner)
                await writer_for(self._platform, step).write(claim)
            case Release():
                await release(self._platform, step, owner)
            case Wait():
                raise waiting_for(step)
            case Abandon() | TakeOut():
                pass  # files that cannot be reached stay there, and its own files are shared with nobody

    # ---- deletion

    async def _keep_finalizer(self, key: Key, destination: Destination) -> Destination:
        """Sets our finalizer exactly while the Destination wants everything to be removed with it."""
        have = names.DESTINATION_CLEANUP in destination.metadata.finalizers
        want = destination.cleanup == "all"
        if have == want:
            return destination
        await self._set_finalizer(key, destination, present=want)
        return self._platform.caches.destinations.get("", key.name) or destination

    async def _name_file(self, key: Key, destination: Destination) -> Destination:
        """Puts the default name of the single file into the spec when it has none, as Kratix's webhook does."""
        if destination.mode != "aggregatedYAML" or destination.names_file:
            return destination
        patch = {"spec": {"filepath": {"filename": destination.filename}}}
        destinations = self._platform.caches.destinations
        await patch_object(self._platform, destinations, DESTINATION, destination.metadata, patch)
        return self._platform.caches.destinations.get("", key.name) or destination

    async def _set_finalizer(self, key: Key, destination: Destination, *, present: bool) -> None:
        kept = [name for name in destination.metadata.finalizers if name != names.DESTINATION_CLEANUP]
        await self._platform.set_finalizers(
            self._platform.caches.destinations,
            DESTINATION,
            key,
            finalizers=[*kept, names.DESTINATION_CLEANUP] if present else kept,
            resource_version=destination.metadata.resource_version,
        )

    async def _clean_up(self, key: Key, destination: Destination) -> Result:
        """Carries out ``cleanup: all``: removes its placements with their files, its own files, then the finalizer."""
        ref = destination.store
        if names.DESTINATION_CLEANUP not in destination.metadata.finalizers:
            others = ", ".join(destination.metadata.finalizers)
            if others:
                await self._report(
                    key,
                    destination,
                    ref,
                    deleting=f"waiting for other controllers to remove the finalizers {others}",
                )
            return DONE
        if destination.cleanup != "all":
            await self._set_finalizer(key, destination, present=False)
            return DONE
        caches = self._platform.caches.placements
        # Placements that somebody has edited go as well, as far as their status proves what was written.
        edited = (
            each for each in caches.by_index(BY_CLAIM, claim_of_destination(destination.name)) if each.recorded
        )
        found = [*caches.by_index(BY_DESTINATION, destination.name), *edited]
        placements = [each for each in found if is_kept_for_files(each) or not each.metadata.deleting]
        for placement in placements:
            await delete_object(self._platform, caches, WORK_PLACEMENT, placement.metadata)
        if placements:
            waiting = f"waiting for {len(placements)} {'placements' if len(placements) > 1 else 'placement'}"
            await self._report(key, destination, ref, deleting=f"{waiting} to be removed")
            return After(5.0, f"{waiting} to be removed")
        places = self._own_places(destination)
        for step in plan_removal(places, states_of(self._platform, places)):
            try:
                async with self._platform.slots.lent():
                    await self._leave(destination, step)
            except StoreError as error:
                await self._report(key, destination, ref, deleting=str(error))
                return self._platform.writes.failed(step.location.store, key, error)
        self._platform.writes.forget(key)
        await self._set_finalizer(key, destination, present=False)
        return DONE

    def _own_places(self, destination: Destination) -> list[Location]:
        """Where its own files may be: as recorded, and where it wants them, in case that write was not recorded."""
        places = list(read_locations(destination.status).places)
        ref = destination.store
        store = self._platform.open_stores.get(ref)
        try:
            self._check(destination)
            own = destination_files(destination, store_path=store.path if store else "")
        except InvalidObject:
            return places
        wanted = Location(ref, files=tuple(sorted(own.files)), address=store.address if store else "")
        return places if wanted in places else [wanted, *places]

    # ---- status

    async def _report(
        self,
        key: Key,
        destination: Destination,
        ref: StoreRef,
        *,
        store: OpenStore | None = None,
        problem: str = "",
        unfit: bool = False,
        failure: str = "",
        deleting: str = "",
        written: Location | None = None,
        remark: str = "",
        one_file: OneFile | None = None,
    ) -> None:
        exists = self._platform.caches.get_store(ref) is not None
        # Its own files may have been written earlier; but a refusal that everybody gets from the store counts here,
        # too.
        refusal = self._platform.writes.problem(ref) if exists and store and not store.problem else None
        facts = DestinationFacts(
            store_kind=ref.kind,
            store_name=ref.name,
            store="NotFound" if not exists else "NotReady" if store is None or store.problem else "Ready",
            init_workloads=destination.init_workloads and has_own_files(destination),
            written=written is not None,
            failure=failure or (str(refusal) if refusal else ""),
            problem=problem,
            unfit=unfit,
            generation=destination.metadata.generation,
            deleting=deleting,
            remark=remark,
        )
        status = destination_status(destination.status, facts, now=self._platform.now())
        if written is not None:
            ours = {**read_own(destination.status).fields, "location": written.as_status()}
            ours.pop("alsoIn", None)
            if not has_one_file(destination):
                ours.pop("aggregate", None)
            elif one_file is not None:
                ours["aggregate"] = one_file.as_status()
            status["troth"] = ours
        wrote = await self._platform.write_status(
            self._platform.caches.destinations, DESTINATION, key, destination.status, status
        )
        if not wrote:
            return
        ready = next(item for item in status["conditions"] if item["type"] == "Ready")
        self._platform.events.record(
            object_reference(DESTINATION, destination.metadata),
            type="Normal" if ready["status"] == "True" else "Warning",
            reason="DestinationReady" if ready["status"] == "True" else "DestinationNotReady",
            message="Destination is Ready" if ready["status"] == "True" else ready["message"],
            action="Check",
        )


def _claim(destination: Destination, own: DestinationFiles, *, owner: str = "") -> Claim:
    """The claim to a Destination's own files; ``owner`` is given for files that it has left behind elsewhere."""

    async def load() -> Mapping[str, bytes]:
        return own.files

    return Claim(
        owner=owner or destination_owner(destination),
        files={path: blob_id(content) for path, content in own.files.items()},
        load=load,
        obsolete=own.obsolete,
        message="kratix-canary",
        by_name=True,
    )


def destination_owner(destination: Destination) -> str:
    """The name by which the stores know the owner of a Destination's own files."""
    return f"destination/{destination.name}"
