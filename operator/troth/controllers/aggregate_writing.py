"""Puts together and writes the single file of a Destination with the mode aggregatedYAML.

Whichever of its placements changes, the whole file is written. So it is built here, under a lock for each Destination,
and not by the reconciles of the placements, which would overwrite each other with what each of them has just read.

aggregate_parts.py decides what may be removed from the file while one of its parts cannot be trusted, and
aggregates.py records that the file belongs to the Destination.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Final

from troth.api import InvalidObject
from troth.api.objects import Destination, Workload, WorkPlacement
from troth.api.resources import DESTINATION
from troth.controllers.aggregate_parts import describe_unsealed, released_objects, unsealed_parts
from troth.controllers.aggregates import one_file_at
from troth.controllers.caches import BY_DESTINATION
from troth.controllers.differences import was_ever_written
from troth.controllers.handover import leaves, may_hand_over, on_the_way_elsewhere, still_needed
from troth.controllers.object_writes import object_reference
from troth.controllers.placement_claims import load_placement
from troth.controllers.placement_location import read_whereabouts
from troth.controllers.placement_owners import aggregate_owner
from troth.controllers.platform import Platform
from troth.controllers.standing import judge_placement
from troth.controllers.welcome import Welcome
from troth.engine.placement.layout import aggregate
from troth.engine.placement.locations import Location
from troth.engine.placement.work import blob_id
from troth.stores import Claim, Reason, StateStoreWriter, StoreError, Written
from troth.stores.handover import Handover, Spared
from troth.stores.kubernetes_objects import ObjectKey

LARGEST_AGGREGATE: Final = 32 * 1024 * 1024
"""The largest size, in bytes, of the single file of a Destination: it is put together in memory."""

_NAMED: Final = 5
_SETTLING_IN: Final = 15.0


class AggregateWriter:
    """Writes the single file of each Destination that has one."""

    def __init__(self, platform: Platform, welcome: Welcome) -> None:
        self._platform = platform
        self._welcome = welcome
        self._began: float | None = None
        self._locks: dict[str, asyncio.Lock] = {}
        self._last: dict[tuple[str, str], dict[tuple[str, str], tuple[Workload, ...]]] = {}
        """By Destination and path: what each placement had in the file when it was last written."""
        self._told_unsealed: dict[str, frozenset[str]] = {}

    async def write(self, writer: StateStoreWriter, placement: WorkPlacement, location: Location) -> Written:
        """Brings the file up to date: with a placement's part, or without it when the placement is being deleted.

        Raises:
            StoreError: as the store's writer does, or because the file would be too large.
        """
        path, destination = location.aggregate, placement.destination
        # Built under a lock: an older reading must never overwrite a newer one.
        lock = self._locks.setdefault(destination, asyncio.Lock())
        async with lock:
            placements = [
                other
                for other in self._platform.caches.placements.by_index(BY_DESTINATION, destination)
                if not other.metadata.deleting and self._is_part(other)
            ]
            unsealed = unsealed_parts(self._platform, destination, location)
            _require_room(placements, location)
            contents, former, unwelcome = await self._parts(placements, location)
            staying = [*unsealed, *unwelcome]
            now = {(other.metadata.name, other.metadata.namespace): other.workloads for other in placements}
            before = self._last.get((destination, path))
            released: frozenset[ObjectKey] = frozenset()
            if staying:
                # A placement that cannot be written has in the file what it had when the file was last written.
                names_of = [(other.metadata.name, other.metadata.namespace) for other in staying]
                now |= {each: before[each] for each in names_of if before and each in before}
                released = await released_objects(
                    self._platform, destination, before=before or {}, now=now, unsealed=staying
                )
            if before is None:  # after a start it is not known what was in the file
                changed = [placement.metadata.name]
            else:
                changed = sorted(key[0] for key in now | before if now.get(key) != before.get(key))
            content = aggregate(contents)
            files = {path: blob_id(content)} if content is not None else {}
            keeper = self._platform.caches.destinations.get("", destination)
            one_file = one_file_at(keeper, path, location.address) if keeper is not None else None

            async def load() -> Mapping[str, bytes]:
                return {path: content} if content is not None else {}

            async def ask() -> Handover:
                # An edited placement is not written, but its part of the file must not be removed for that reason.
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
            self._last[destination, path] = now
            return written

    def _tell_unsealed(self, destination: Destination, unsealed: Sequence[WorkPlacement], path: str) -> None:
        """Records one Event on a Destination that says why something stays in its single file."""
        names_of = frozenset(f"{each.metadata.namespace}/{each.metadata.name}" for each in unsealed)
        if names_of and self._told_unsealed.get(destination.name) != names_of:
            self._platform.events.record(
                object_reference(DESTINATION, destination.metadata),
                type="Warning",
                reason="UnsealedPlacements",
                message=describe_unsealed(unsealed, path),
                action="Write",
            )
        self._told_unsealed[destination.name] = names_of

    def is_settling_in(self, destination: str, location: Location) -> bool:
        """Whether other parts of a Destination's file still wait for their owners, soon after a start.

        After the sealing key was replaced nothing is sealed, and within seconds everything is again. The file is not
        written again and again during that time.
        """
        now = asyncio.get_running_loop().time()
        if self._began is None:
            self._began = now
        return now - self._began < _SETTLING_IN and bool(unsealed_parts(self._platform, destination, location))

    def _is_part(self, placement: WorkPlacement) -> bool:
        """Whether a sealed placement has a part in its Destination's file, because it was written or is to be written.

        A placement of a request that is gone, which somebody has kept and created again, has no part in it.
        """
        standing = judge_placement(self._platform.caches, placement)
        return was_ever_written(placement) or not standing.refusal

    async def _parts(
        self, placements: Sequence[WorkPlacement], location: Location
    ) -> tuple[dict[tuple[str, str], Mapping[str, bytes]], tuple[str, ...], list[WorkPlacement]]:
        """The parts of the file by placement, the other stores that may hold any of them, and whose parts stay.

        The placements whose parts stay are those whose new content may not be written.
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
                continue  # its own status says why, and its part of the file stays
            files: Mapping[str, bytes] = await load_placement(self._platform, placement)
            if leaves(self._platform, placement):
                files = await still_needed(self._platform, placement, files, placements)
            contents[placement.metadata.name, placement.metadata.namespace] = files
        return contents, tuple(sorted(former)), staying


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
    """A list of the placements whose documents in the file changed, for the message of a commit."""
    shown = ", ".join(placements[:_NAMED])
    return shown + (f" and {len(placements) - _NAMED} more" if len(placements) > _NAMED else "")
