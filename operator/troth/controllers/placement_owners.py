"""The owners of files as the stores know them: their names, and what each owned when the operator started.

When two owners want the same place, the first one gets it, and a restart must not decide that anew. It is recorded
who was first: the status of a WorkPlacement or a Destination names its folder, its file, or the record in the store
that lists its files. A placement may have been pushed although its status was never written; then its own record in
the store shows it.
"""

from __future__ import annotations

import asyncio
from typing import Final

from troth.api import InvalidObject
from troth.api.objects import WorkPlacement
from troth.api.store_kinds import StoreRef
from troth.controllers.aggregates import read_one_file
from troth.controllers.destination import destination_owner
from troth.controllers.owners import is_of_old
from troth.controllers.placement_location import read_whereabouts
from troth.controllers.platform import Platform
from troth.engine.placement.layout import place
from troth.engine.placement.locations import Location, read_locations
from troth.stores import Former

_AT_ONCE: Final = 200


def aggregate_owner(destination: str) -> str:
    """The owner of the single file of a Destination with the mode aggregatedYAML."""
    return f"destination/{destination}/aggregate"


def owner_at(location: Location, placement: WorkPlacement) -> str:
    """The owner of a placement's files at a location."""
    if location.aggregate:
        return aggregate_owner(placement.destination)
    return f"{placement.metadata.namespace}/{placement.metadata.name}"


async def former_owners(platform: Platform, ref: StoreRef, *, path: str, address: str) -> list[Former]:
    """What each owner had in a store, or in another store at the same place. What is certain comes first.

    Args:
        platform: with caches that have been listed.
        ref: the store.
        path: the prefix of everything in it.
        address: the store's address (`StoreKind.address_of`). What was written to another address is left out.
    """
    if not ref.holds_files:
        return []  # a cluster has its own inventories, which know better
    certain: dict[str, Former] = {}
    likely: dict[str, Former] = {}
    ones = [read_one_file(destination.status) for destination in platform.caches.destinations.items()]
    adopted = {one.path for one in ones if one is not None and one.adopted and one.address in {"", address}}
    for destination in platform.caches.destinations.items():
        places = read_locations(destination.status).places
        own = next((found for found in places if _is_at(found.store, found.address, ref, address)), None)
        if own is not None:
            owner = destination_owner(destination)
            certain[owner] = Former(owner, own.files or ())
    for number, placement in enumerate(list(platform.caches.placements.items())):
        if number % _AT_ONCE == _AT_ONCE - 1:
            await asyncio.sleep(0)
        known = read_whereabouts(placement).places
        here = next((found for found in known if _is_at(found.store, found.address, ref, address)), None)
        if here is not None:
            owner = owner_at(here, placement)
            files = (here.aggregate,) if here.aggregate else ()
            # at a place to which it is still moving, perhaps nothing has been written yet
            written = here == read_whereabouts(placement).location and here.aggregate not in adopted
            certain[owner] = Former(owner, files, here.directory or None, here.state_file or None, written=written)
        elif (
            not known
            and (placement.sealed_for or is_of_old(placement))
            and (record := _unwritten_record(platform, ref, placement, path))
        ):
            owner = f"{placement.metadata.namespace}/{placement.metadata.name}"
            likely[owner] = Former(owner, state_file=record, written=False)
    return [*certain.values(), *likely.values()]


def _is_at(store: StoreRef, recorded: str, ref: StoreRef, address: str) -> bool:
    """Whether a record of a store and an address is about the place that ``ref`` names now."""
    if not recorded:
        return store == ref
    return store.kind == ref.kind and recorded == address


def _unwritten_record(platform: Platform, ref: StoreRef, placement: WorkPlacement, path: str) -> str | None:
    """The path of the record of a placement's files, if the files may have been written but its status was not."""
    destination = platform.caches.destinations.get("", placement.destination)
    if destination is None or ref != destination.store:
        return None
    try:
        return place(destination, placement, store_path=path).state_file
    except InvalidObject:
        return None
