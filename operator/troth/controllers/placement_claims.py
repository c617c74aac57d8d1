"""What a placement claims in its store: the files, where they are laid out, and what it leaves behind elsewhere."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from troth.api import InvalidObject, TrothError
from troth.api.objects import Destination, Workload, WorkPlacement
from troth.api.resources import WORK_PLACEMENT
from troth.api.store_kinds import StoreRef
from troth.controllers.placement_location import read_whereabouts
from troth.controllers.placement_owners import owner_at
from troth.controllers.platform import Platform
from troth.controllers.stores import OpenStore
from troth.engine.placement.layout import NESTED, Layout, place
from troth.engine.placement.locations import Location
from troth.engine.placement.work import LARGEST_WORK, declared_size, decode_contents, digest_content
from troth.stores import Claim

_AT_ONCE = 256 * 1024  # bytes that are unpacked on the event loop: half a millisecond


def claim_of(
    platform: Platform, placement: WorkPlacement, destination: Destination, ref: StoreRef, store: OpenStore
) -> tuple[Location, Claim]:
    """Where a placement's files go in its destination's store, and the claim; raises InvalidObject."""
    if not ref.holds_files:
        # A cluster has no files to lay out: each placement has its own objects there, in every mode.
        destination = replace(destination, mode=NESTED)
    layout: Layout = place(destination, placement, store_path=store.path)
    location = Location(
        store=ref,
        address=store.address,
        directory=layout.directory or "",
        state_file=layout.state_file or "",
        aggregate=layout.aggregate or "",
    )
    claim = Claim(
        owner=owner_at(location, placement),
        files=layout.files,
        directory=layout.directory,
        state_file=layout.state_file,
        load=_loader(platform, placement, layout),
        size=sum(workload.size for workload in placement.workloads),
        message=placement.metadata.name,
        former_stores=read_whereabouts(placement).former_stores(ref),
        adopts=destination.adopts,
    )
    return location, claim


def wanted_claim(platform: Platform, placement: WorkPlacement) -> tuple[Location, Claim] | None:
    """The same, as far as its Destination and its store are there and in order."""
    destination = platform.caches.destinations.get("", placement.destination)
    if destination is None:
        return None
    store = platform.open_stores.get(destination.store)
    if store is None:
        return None
    try:
        return claim_of(platform, placement, destination, destination.store, store)
    except InvalidObject:
        return None


def places_of(platform: Platform, placement: WorkPlacement) -> list[Location]:
    """Where its files may be: where its Destination has them now, and where the record says.

    A write may have reached a store although its record did not (a crash between the two).
    """
    wanted = wanted_claim(platform, placement)
    recorded = read_whereabouts(placement).places
    return list(dict.fromkeys((wanted[0], *recorded) if wanted else recorded))


def removal(owner: str, placement: WorkPlacement, place: Location) -> Claim:
    """The claim to nothing of what a placement has at a place."""

    async def load() -> Mapping[str, bytes]:
        return {}

    return Claim(
        owner=owner,
        files={},
        directory=place.directory or None,
        state_file=place.state_file or None,
        obsolete=(place.aggregate,) if place.aggregate else (),
        load=load,
        message=placement.metadata.name,
    )


async def load_placement(platform: Platform, placement: WorkPlacement) -> dict[str, bytes]:
    """The contents of a placement by file path, from memory or from the API server.

    Raises:
        ContentsChanged: it holds something else by now than it did when it was read.
        NotFound: it is gone.
    """
    return await decode_workloads(await load_encoded(platform, placement))


async def load_encoded(platform: Platform, placement: WorkPlacement) -> list[Mapping[str, str]]:
    """The same as an object of the API server has it; raises the same."""
    remembered = remembered_workloads(platform, placement.workloads)
    if remembered is not None:
        return remembered
    meta = placement.metadata
    obj = await platform.client.get(WORK_PLACEMENT, meta.name, meta.namespace)
    return await find_contents(placement.workloads, contents_of(obj.get("spec") or {}))


class ContentsChanged(TrothError):
    """What an object of the API server holds is not what was sealed; whoever it belongs to puts it right."""


def contents_of_work(obj: Mapping[str, Any]) -> list[str]:
    """The encoded contents in a Work, as the API server has it."""
    groups = (obj.get("spec") or {}).get("workloadGroups") or ()
    return [text for group in groups for text in contents_of(group)]


def contents_of(holder: Mapping[str, Any]) -> list[str]:
    """The encoded contents in the spec of a WorkPlacement, or in a group of a Work."""
    return [workload.get("content") or "" for workload in holder.get("workloads") or ()]


async def find_contents(workloads: Sequence[Workload], encoded: Sequence[str]) -> list[Mapping[str, str]]:
    """Files as an object of the API server has them, with those of the encoded contents that they are known by.

    Raises:
        ContentsChanged: the content of one is not among them: somebody has edited the object since it was read.
    """

    def find() -> dict[str, str]:
        left = LARGEST_WORK
        found = {}
        for text in encoded:
            blob, size, *_ = digest_content(text, left)
            left -= size
            found[blob] = text
        return found

    contents = await asyncio.to_thread(find)
    if missing := [workload.filepath for workload in workloads if workload.blob not in contents]:
        raise ContentsChanged(
            f"somebody has just edited it: {len(missing)} of its files are not those that it had"
        )
    return [{"filepath": workload.filepath, "content": contents[workload.blob]} for workload in workloads]


def remembered_workloads(platform: Platform, workloads: Sequence[Workload]) -> list[Mapping[str, str]] | None:
    """Files as an object of the API server has them, if the contents of all are in memory."""
    found: list[Mapping[str, str]] = []
    for workload in workloads:
        encoded = platform.contents.get(workload.blob)
        if encoded is None:
            return None
        found.append({"filepath": workload.filepath, "content": encoded})
    return found


async def decode_workloads(workloads: Sequence[Mapping[str, str]]) -> dict[str, bytes]:
    """The contents of files by path, as an object of the API server has them."""
    size = sum(declared_size(workload.get("content") or "") for workload in workloads)
    if size <= _AT_ONCE:
        return decode_contents(workloads)
    return await asyncio.to_thread(decode_contents, workloads)


def _loader(
    platform: Platform, placement: WorkPlacement, layout: Layout
) -> Callable[[], Awaitable[Mapping[str, bytes]]]:
    async def load() -> Mapping[str, bytes]:
        by_name = await load_placement(platform, placement)
        by_blob = {file.blob: by_name[file.filepath] for file in placement.workloads if file.filepath in by_name}
        return {path: by_blob[blob] for path, blob in layout.files.items() if blob in by_blob}

    return load
