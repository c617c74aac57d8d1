"""Which objects may be removed from a Destination's single file while one of the parts in it cannot be trusted.

The file is put together from the placements that are sealed. The content of a placement that somebody has edited, or
that is older than the seals, is not written; but what it already has in the file must not be removed for that reason.
The file does not tell which documents these are. So everything in the file stays, except what is known to have
belonged to others: to a sealed placement that is being deleted now, or to one that had other content when the file was
last written.

Rejected: to keep everything until all is sealed. One editor of one namespace could keep the objects of all others from
ever leaving.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from troth.api import InvalidObject, Key
from troth.api.objects import Workload, WorkPlacement
from troth.api.resources import WORK_PLACEMENT
from troth.controllers.caches import BY_CLAIM, BY_DESTINATION
from troth.controllers.handover import read_objects
from troth.controllers.owners import claim_of_destination, is_named_for, may_be_works, slot_of
from troth.controllers.placement_claims import (
    ContentsChanged,
    decode_workloads,
    load_placement,
    remembered_workloads,
)
from troth.controllers.placement_location import read_whereabouts
from troth.controllers.platform import Platform
from troth.engine.placement.locations import Location
from troth.kube import NotFound
from troth.stores.handover import Spared
from troth.stores.kubernetes_objects import ObjectKey

Parts = Mapping[tuple[str, str], tuple[Workload, ...]]
"""What placements have in a file, by name and namespace."""

_NAMED: Final = 5


def unsealed_parts(platform: Platform, destination: str, location: Location) -> list[WorkPlacement]:
    """The placements without a valid seal that may have a part in a Destination's single file, if not being deleted."""
    found = platform.caches.placements.by_index(BY_CLAIM, claim_of_destination(destination))
    return [
        each for each in found if not each.metadata.deleting and _has_part(platform, each, destination, location)
    ]


def _has_part(platform: Platform, placement: WorkPlacement, destination: str, location: Location) -> bool:
    """Whether a placement has a part in the file.

    Its status must prove it, or the placement must be older than the seals and belong to a Work whose owner exists.
    What the placement claims about itself is not enough.
    """
    if placement.recorded:
        return any(
            place.aggregate == location.aggregate
            and (place.store == location.store or place.is_at_address_of(location))
            for place in read_whereabouts(placement).places
        )
    caches, meta = platform.caches, placement.metadata
    waiting = Key(WORK_PLACEMENT.name, meta.namespace, meta.name)
    for namespace, name in may_be_works(placement):
        work = caches.works.get(namespace, name)
        if work is None or not is_named_for(name, placement) or slot_of(name, placement)[0] != destination:
            continue
        if caches.is_at_home(work) and caches.uid_of_owner(work, waiting=waiting) != "":
            return True
    return False


async def released_objects(
    platform: Platform, destination: str, *, before: Parts, now: Parts, unsealed: Sequence[WorkPlacement]
) -> frozenset[ObjectKey]:
    """The objects that may be removed from a Destination's single file although an unsealed placement has a part in it.

    They are the objects of sealed placements that are being deleted, and those that other sealed placements had when
    the file was last written. An object stays if an unsealed placement has it as well: when the file was last written
    or, if that is not known, now.

    Raises:
        ContentsChanged: a placement that is being deleted has just been edited.
    """
    gone: set[ObjectKey] = set()
    for going in platform.caches.placements.by_index(BY_DESTINATION, destination):
        if going.metadata.deleting:
            try:
                gone |= await read_objects(await load_placement(platform, going))
            except NotFound:
                continue
    for name, workloads in before.items():
        if now.get(name) != workloads:
            gone |= await _remembered(platform, workloads) or frozenset()
    if not gone:
        return frozenset()
    held: set[ObjectKey] = set()
    for other in unsealed:
        known = before.get((other.metadata.name, other.metadata.namespace))
        had = await _remembered(platform, known) if known is not None else None
        held |= await _read_unsealed(platform, other) if had is None else had
    kept = Spared(frozenset(held))
    return frozenset(key for key in gone if not kept.holds(key))


def describe_unsealed(unsealed: Sequence[WorkPlacement], path: str) -> str:
    """The text of the Event on a Destination that says why something stays in its file."""
    names = sorted(f"{each.metadata.namespace}/{each.metadata.name}" for each in unsealed)
    shown = ", ".join(names[:_NAMED]) + (f" and {len(names) - _NAMED} more" if len(names) > _NAMED else "")
    return (
        f"what is in {path} and belongs to no placement that Troth knows stays there, because it may belong to "
        f"{shown}: somebody has edited that WorkPlacement, or an earlier release made it. Let its request be carried "
        "out again (is it paused, or does it fail?), or delete it"
    )


async def _remembered(platform: Platform, workloads: tuple[Workload, ...]) -> frozenset[ObjectKey] | None:
    found = remembered_workloads(platform, workloads)
    return None if found is None else await read_objects(await decode_workloads(found))


async def _read_unsealed(platform: Platform, placement: WorkPlacement) -> frozenset[ObjectKey]:
    try:
        return await read_objects(await load_placement(platform, placement))
    except (NotFound, ContentsChanged, InvalidObject):
        return frozenset()  # a placement that cannot be read counts as empty
