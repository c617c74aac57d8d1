"""Writes the status of WorkPlacements, and the Events that go with it.

The record of where the files are is part of the status, with the seal that makes it count (placement_location.py).
Only this module writes it, so that each change of the record comes together with the rest of the status.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from troth.api import Condition, Key, set_condition
from troth.api import labels as names
from troth.api.objects import WorkPlacement
from troth.api.resources import WORK_PLACEMENT
from troth.api.statuses import read_own
from troth.controllers.handover import owner_of
from troth.controllers.object_writes import object_reference
from troth.controllers.placement_location import read_whereabouts, says_it_is_at
from troth.controllers.platform import Platform
from troth.controllers.result import Result, Waits
from troth.engine.placement.locations import Location, Whereabouts
from troth.engine.status.facts import PlacementFacts
from troth.engine.status.placement import placement_status, read_placement
from troth.stores import Written

_RESTORED: Final = "Files that others had changed or removed in the store were written again"


class PlacementReports:
    """Writes the statuses of placements."""

    def __init__(self, platform: Platform) -> None:
        self._platform = platform

    async def note(self, key: Key, placement: WorkPlacement, also: Sequence[Location]) -> WorkPlacement:
        """Records where else files of a placement may be from now on. Returns the placement with that record."""
        troth = {**read_own(placement.status).fields, "alsoIn": [place.as_status() for place in also]}
        status = {**placement.status, "troth": troth}
        seal = self._platform.caches.seals.seal_record(placement.metadata, status, placement.recorded)
        await self._platform.write_status(
            self._platform.caches.placements,
            WORK_PLACEMENT,
            key,
            placement.status,
            {"troth": {**troth, "seal": seal}},
        )
        return self._platform.caches.placements.get(key.namespace, key.name) or placement

    async def written(self, key: Key, placement: WorkPlacement, location: Location, written: Written) -> None:
        """Says that all files are at a location and nowhere else; ``written`` is what its store returned."""
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
        settled = was_written(placement, location)
        if not written.changed and (settled or says_it_is_at(placement, location)):
            # The files were there already, so the status keeps the commit that put them there.
            facts = replace(facts, version=placement.status.get("versionID", ""))
        restored = written.changed and settled and read_placement(placement).written
        wrote = await self.write(key, placement, facts, location, restored=restored)
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

    async def outage(self, key: Key, placement: WorkPlacement, message: str) -> Result:
        """Says that the store cannot be written to at present. What is in it already still counts as written."""
        waits, facts = Waits(message), read_placement(placement)
        if facts.written:
            await self.write(key, placement, facts)  # whether it is misplaced does not depend on a store
            return waits
        return await self.failure(key, placement, message, waits)

    async def failure(self, key: Key, placement: WorkPlacement, message: str, then: Result) -> Result:
        """Says why the files could not be written or removed. Returns ``then``."""
        before = read_placement(placement)
        facts = replace(before, failure=message, generation=placement.metadata.generation)
        wrote = await self.write(key, placement, facts)
        if wrote:
            self._platform.events.record(
                object_reference(WORK_PLACEMENT, placement.metadata),
                type="Warning",
                reason="FailedWriteToDestination",
                message=message,
                action="Write",
            )
        return then

    async def write(
        self,
        key: Key,
        placement: WorkPlacement,
        facts: PlacementFacts,
        location: Location | None = None,
        *,
        restored: bool = False,
    ) -> bool:
        """Writes the status that follows from some facts. Returns whether it differs from the one before.

        Args:
            key: the key of the placement.
            placement: the placement.
            facts: what its status is to say.
            location: where all of its files are, and nothing elsewhere. None leaves the record as it is.
            restored: whether files that others had changed or removed were written again.
        """
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


def was_written(placement: WorkPlacement, location: Location) -> bool:
    """Whether the record says that all files are at this location and nowhere else."""
    return bool(placement.status.get("versionID")) and read_whereabouts(placement) == Whereabouts(location)
