"""WorkPlacement: one group of files on one destination, handed to the store's writer (kratix-api.md 4.4, 4.5).

The status records where the files were written (`status.troth.location`). That is what makes a move safe: a
destination that changes its path or its store gets the files at the new place first, then loses them at the old
one, and only then does the record change. A crash anywhere in between repeats both steps, which write nothing twice.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from troth.api import Condition, InvalidObject, Key, set_condition
from troth.api import labels as names
from troth.api.objects import Destination, WorkPlacement
from troth.api.resources import WORK_PLACEMENT
from troth.controllers.platform import Platform
from troth.controllers.result import DONE, Result, Retry
from troth.controllers.stores import OpenStore, StoreRef, require_supported
from troth.engine.layout import Layout, aggregate, place
from troth.engine.status import placement_status, read_placement
from troth.engine.status.facts import PlacementFacts
from troth.engine.work import blob_id, decode_content
from troth.stores import Claim, StateStoreWriter, StoreError, Written

_RESTORED = "Files that others had changed or removed in the store were written again"


@dataclass(frozen=True, slots=True)
class Location:
    """Where a placement's files are: the store, and there the folder or the state file that lists them.

    ``address`` tells the same store at one place from the same store at another (`address_of`).
    """

    store: StoreRef
    directory: str
    state_file: str
    aggregate: str
    address: str = ""

    def as_status(self) -> dict[str, Any]:
        """The record in ``status.troth.location``."""
        record = {
            "store": {"kind": self.store.kind, "name": self.store.name},
            "address": self.address,
            "directory": self.directory,
            "stateFile": self.state_file,
            "aggregate": self.aggregate,
        }
        return {key: value for key, value in record.items() if value}

    @property
    def path(self) -> str:
        """The place as a person would look for it."""
        return self.directory or self.aggregate or self.state_file.rpartition("/.kratix/")[0]


def read_location(status: Mapping[str, Any]) -> Location | None:
    """The recorded location, or None when nothing was written yet."""
    record = (status.get("troth") or {}).get("location")
    if not record or not record.get("store"):
        return None
    return Location(
        StoreRef(record["store"].get("kind", ""), record["store"].get("name", "")),
        record.get("directory", ""),
        record.get("stateFile", ""),
        record.get("aggregate", ""),
        record.get("address", ""),
    )


class PlacementReconciler:
    """Keeps the files of each WorkPlacement in its destination's store."""

    def __init__(self, platform: Platform) -> None:
        self._platform = platform
        self._aggregating: dict[str, asyncio.Lock] = {}

    async def reconcile(self, key: Key) -> Result:
        """Writes, moves or removes the files of one placement and reports it in its status."""
        placement = self._platform.caches.placements.get(key.namespace, key.name)
        if placement is None:
            self._platform.writes.forget(key)
            return DONE
        if placement.metadata.deleting:
            return await self._remove(key, placement)
        destination = self._platform.caches.destinations.get("", placement.destination)
        if destination is None:
            if read_placement(placement).written:
                return DONE  # its Work labels it misplaced; the files stay where they are
            message = f"destination {placement.destination} does not exist; the files stay where they are"
            return await self._report_failure(key, placement, message, DONE)
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

    async def _write(self, key: Key, placement: WorkPlacement, destination: Destination) -> Result:
        store_ref = StoreRef(destination.store_kind, destination.store_name)
        store = self._platform.open_stores.get(store_ref)
        # In all three cases the store's reconciler queues its placements when there is news.
        if store is None:
            if self._platform.caches.get_store(store_ref) is not None:
                return DONE  # it was not looked at yet
            try:
                require_supported(store_ref, f"spec.stateStoreRef.kind of Destination {destination.name}")
            except InvalidObject as error:
                return await self._report_outage(key, placement, str(error))
            return await self._report_outage(key, placement, f"state store {store_ref} does not exist")
        if store.writer is None or store.problem:
            return await self._report_outage(key, placement, store.problem)
        try:
            location, claim = self._claim(placement, destination, store_ref, store)
        except InvalidObject as error:
            return await self._report_failure(key, placement, str(error), DONE)
        try:
            async with self._platform.slots.lent():
                written = await self._submit(store.writer, claim, destination, location)
                self._platform.writes.passed(store_ref, key, changed=written.changed)
                await self._leave_old_place(key, placement, location)
        except StoreError as error:
            retry = self._platform.writes.failed(store_ref, key, error)
            return await self._report_failure(key, placement, str(error), retry)
        return await self._report_written(key, placement, location, written)

    def _claim(
        self, placement: WorkPlacement, destination: Destination, ref: StoreRef, store: OpenStore
    ) -> tuple[Location, Claim]:
        layout: Layout = place(destination, placement, store_path=store.path)
        location = Location(
            store=ref,
            address=store.address,
            directory=layout.directory or "",
            state_file=layout.state_file or "",
            aggregate=layout.aggregate or "",
        )
        claim = Claim(
            owner=f"{placement.metadata.namespace}/{placement.metadata.name}",
            files=layout.files,
            directory=layout.directory,
            state_file=layout.state_file,
            load=self._loader(placement, layout),
            message=placement.metadata.name,
        )
        return location, claim

    async def _submit(
        self, writer: StateStoreWriter, claim: Claim, destination: Destination, location: Location
    ) -> Written:
        if not location.aggregate:
            return await writer.write(claim)
        return await self._write_aggregate(writer, destination.name, location.aggregate)

    async def _write_aggregate(self, writer: StateStoreWriter, destination: str, path: str) -> Written:
        # Built under a lock: an older reading must never overwrite a newer one.
        lock = self._aggregating.setdefault(destination, asyncio.Lock())
        async with lock:
            placements = [
                other
                for other in self._platform.caches.placements.by_index("destination", destination)
                if not other.metadata.deleting
            ]
            contents: dict[tuple[str, str], Mapping[str, bytes]] = {}
            for other in placements:
                contents[other.metadata.name, other.metadata.namespace] = await self._load(other)
            content = aggregate(contents)
            files = {path: blob_id(content)} if content is not None else {}

            async def load() -> Mapping[str, bytes]:
                return {path: content} if content is not None else {}

            return await writer.write(
                Claim(
                    owner=_aggregate_owner(destination),
                    files=files,
                    load=load,
                    message=destination,
                    obsolete=() if files else (path,),
                ),
            )

    def _loader(self, placement: WorkPlacement, layout: Layout) -> Callable[[], Awaitable[Mapping[str, bytes]]]:
        async def load() -> Mapping[str, bytes]:
            by_name = await self._load(placement)
            by_blob = {blob_id(content): content for content in by_name.values()}
            return {path: by_blob[blob] for path, blob in layout.files.items() if blob in by_blob}

        return load

    async def _load(self, placement: WorkPlacement) -> dict[str, bytes]:
        """The contents of a placement by file path, from memory or from the API server."""
        contents: dict[str, bytes] = {}
        for workload in placement.workloads:
            encoded = self._platform.contents.get(workload.blob)
            if encoded is None:
                return await self._fetch(placement)
            contents[workload.filepath] = decode_content(encoded)
        return contents

    async def _fetch(self, placement: WorkPlacement) -> dict[str, bytes]:
        meta = placement.metadata
        obj = await self._platform.client.get(WORK_PLACEMENT, meta.name, meta.namespace)
        return {
            workload["filepath"]: decode_content(workload.get("content") or "")
            for workload in (obj.get("spec") or {}).get("workloads") or ()
        }

    # ---- leaving

    async def _leave_old_place(self, key: Key, placement: WorkPlacement, location: Location) -> None:
        """After the files are at the new place: removes what the record says is at another."""
        old = read_location(placement.status)
        if old is None or old == location:
            return
        await self._clear(key, placement, old, instead=location)

    async def _clear(
        self, key: Key, placement: WorkPlacement, old: Location, *, instead: Location | None = None
    ) -> None:
        """Removes the files at a location that the placement left ``instead``, or for good.

        If its store is gone, nobody can.
        """
        store = self._platform.open_stores.get(old.store)
        gone = ""
        if store is None and self._platform.caches.get_store(old.store) is None:
            gone = "is gone"
        elif store is not None and old.address and old.address != store.address:
            gone = "is somewhere else now"
        if gone:
            self._platform.events.record(
                placement_reference(placement),
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
        if old.aggregate and instead is None:
            await self._write_aggregate(store.writer, placement.destination, old.aggregate)
            return

        async def load() -> Mapping[str, bytes]:
            return {}

        owner = _aggregate_owner(placement.destination) if old.aggregate else f"{key.namespace}/{key.name}"
        # One owner has one set of files in a store: while it has others there, what it left is another's.
        stays = (
            instead is not None and instead.store == old.store and bool(instead.aggregate) == bool(old.aggregate)
        )
        await store.writer.write(
            Claim(
                owner=f"{owner}@{old.path}" if stays else owner,
                files={},
                directory=old.directory or None,
                state_file=old.state_file or None,
                obsolete=(old.aggregate,) if old.aggregate else (),
                load=load,
                message=placement.metadata.name,
            )
        )

    async def _remove(self, key: Key, placement: WorkPlacement) -> Result:
        ours = {names.REPO_CLEANUP, names.DOT_FILES_CLEANUP}
        if not ours & set(placement.metadata.finalizers):
            return DONE
        destination = self._platform.caches.destinations.get("", placement.destination)
        recorded = read_location(placement.status)
        stores = [recorded.store] if recorded else []
        if destination is not None:
            stores.append(StoreRef(destination.store_kind, destination.store_name))
        for store in stores:
            if self._is_unknown(store):
                return Retry(f"state store {store} was not looked at yet")
        places = self._places(placement, destination, recorded)
        for location in places:
            # One file for all: where it is kept it loses a part, where it was it goes.
            instead = places[0] if location.aggregate and location is not places[0] else None
            try:
                async with self._platform.slots.lent():
                    await self._clear(key, placement, location, instead=instead)
            except StoreError as error:
                retry = self._platform.writes.failed(location.store, key, error)
                return await self._report_failure(key, placement, str(error), retry)
        await self._platform.set_finalizers(
            self._platform.caches.placements,
            WORK_PLACEMENT,
            key,
            finalizers=[name for name in placement.metadata.finalizers if name not in ours],
            resource_version=placement.metadata.resource_version,
        )
        self._platform.writes.forget(key)
        return DONE

    def _places(
        self, placement: WorkPlacement, destination: Destination | None, recorded: Location | None
    ) -> list[Location]:
        """Where its files may be: where its destination has them now, and where the record says.

        A write may have reached a store although its record did not (a crash between the two).
        """
        wanted = self._wanted(placement, destination) if destination else None
        return list(dict.fromkeys(found for found in (wanted, recorded) if found is not None))

    def _is_unknown(self, ref: StoreRef) -> bool:
        known = self._platform.open_stores.get(ref) is not None
        return not known and self._platform.caches.get_store(ref) is not None

    def _wanted(self, placement: WorkPlacement, destination: Destination) -> Location | None:
        store_ref = StoreRef(destination.store_kind, destination.store_name)
        store = self._platform.open_stores.get(store_ref)
        if store is None:
            return None
        try:
            location, _ = self._claim(placement, destination, store_ref, store)
        except InvalidObject:
            return None
        return location

    # ---- status

    async def _report_written(
        self, key: Key, placement: WorkPlacement, location: Location, written: Written
    ) -> Result:
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
        if not written.changed and _was_written(placement, location):
            # The files are there already, so the commit that put them there stays the one that is named.
            facts = replace(facts, version=placement.status.get("versionID", ""))
        restored = written.changed and _was_written(placement, location) and read_placement(placement).written
        await self._write_status(key, placement, facts, location, restored=restored)
        if restored:
            self._platform.events.record(
                placement_reference(placement),
                type="Warning",
                reason="FilesRestored",
                message=f"{_RESTORED} to {location.path}",
                action="Write",
            )
        return DONE

    async def _report_outage(self, key: Key, placement: WorkPlacement, message: str) -> Result:
        # What is in the store already is not lost because the store cannot be reached now.
        if read_placement(placement).written:
            return DONE
        return await self._report_failure(key, placement, message, DONE)

    async def _report_failure(self, key: Key, placement: WorkPlacement, message: str, then: Result) -> Result:
        before = read_placement(placement)
        facts = replace(before, failure=message, generation=placement.metadata.generation)
        wrote = await self._write_status(key, placement, facts, read_location(placement.status))
        if wrote:
            self._platform.events.record(
                placement_reference(placement),
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
        location: Location | None,
        *,
        restored: bool = False,
    ) -> bool:
        now = self._platform.now()
        status = placement_status(placement.status, facts, now=now)
        if restored:
            condition = Condition("FilesRestored", "True", "ChangedByOthers", f"{_RESTORED} at {now}")
            status["conditions"] = set_condition(status["conditions"], condition, now=now)
        troth = dict(status["troth"])
        if location is not None:
            troth["location"] = location.as_status()
        return await self._platform.write_status(
            self._platform.caches.placements,
            WORK_PLACEMENT,
            key,
            placement.status,
            {**status, "troth": troth},
        )


def placement_reference(placement: WorkPlacement) -> dict[str, Any]:
    """The object reference of a placement, for Events."""
    return {
        "apiVersion": WORK_PLACEMENT.api_version,
        "kind": WORK_PLACEMENT.kind,
        "name": placement.metadata.name,
        "namespace": placement.metadata.namespace,
        "uid": placement.metadata.uid,
    }


def _aggregate_owner(destination: str) -> str:
    return f"destination/{destination}/aggregate"


def _was_written(placement: WorkPlacement, location: Location) -> bool:
    return bool(placement.status.get("versionID")) and read_location(placement.status) == location


def _finalizers(destination: Destination) -> list[str]:
    if destination.mode == "none":
        return [names.REPO_CLEANUP, names.DOT_FILES_CLEANUP]
    return [names.REPO_CLEANUP]
