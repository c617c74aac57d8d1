"""The claims of placements to files in their stores: which files, at which paths, and what they leave behind."""

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
    """Where a placement's files go in its Destination's store, and its claim to them; raises InvalidObject."""
    if not ref.holds_files:
        # Files are not laid out in a cluster: each placement has its own objects there, in every mode.
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
    """The same as `claim_of`; None when the Destination or its store is missing or not in order."""
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
    """Where a placement's files may be: where its Destination has them now, and where its status says.

    A write may have reached a store although it was not recorded, if the operator crashed between the two.
    """
    wanted = wanted_claim(platform, placement)
    recorded = read_whereabouts(placement).places
    return list(dict.fromkeys((wanted[0], *recorded) if wanted else recorded))


def removal(owner: str, placement: WorkPlacement, place: Location) -> Claim:
    """The claim that removes everything that a placement has at a place: it claims no files there."""

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
    """The contents of a placement's files by path, from memory or from the API server.

    Raises:
        ContentsChanged: the placement has other contents than when it was read.
        NotFound: the placement is gone.
    """
    return await decode_workloads(await load_encoded(platform, placement))


async def load_encoded(platform: Platform, placement: WorkPlacement) -> list[Mapping[str, str]]:
    """The same files, encoded as in the placement's spec; raises the same exceptions."""
    remembered = remembered_workloads(platform, placement.workloads)
    if remembered is not None:
        return remembered
    meta = placement.metadata
    obj = await platform.client.get(WORK_PLACEMENT, meta.name, meta.namespace)
    return await find_contents(placement.workloads, contents_of(obj.get("spec") or {}))


class ContentsChanged(TrothError):
    """The contents of an object on the API server are not those that were sealed. Its owner will correct them."""


def contents_of_work(obj: Mapping[str, Any]) -> list[str]:
    """The encoded contents of all files in a Work, given as the API server returns it."""
    groups = (obj.get("spec") or {}).get("workloadGroups") or ()
    return [text for group in groups for text in contents_of(group)]


def contents_of(holder: Mapping[str, Any]) -> list[str]:
    """The encoded contents in the spec of a WorkPlacement, or in a group of a Work."""
    return [workload.get("content") or "" for workload in holder.get("workloads") or ()]


async def find_contents(workloads: Sequence[Workload], encoded: Sequence[str]) -> list[Mapping[str, str]]:
    """The files of some workloads in the form of a spec, each with its own one of the encoded contents.

    Raises:
        ContentsChanged: the content of a file is missing, since somebody has edited the object after it was read.
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
    """The files of some workloads in the form of a spec; None unless the contents of all are in memory."""
    found: list[Mapping[str, str]] = []
    for workload in workloads:
        encoded = platform.contents.get(workload.blob)
        if encoded is None:
            return None
        found.append({"filepath": workload.filepath, "content": encoded})
    return found


async def decode_workloads(workloads: Sequence[Mapping[str, str]]) -> dict[str, bytes]:
    """The decoded contents, by path, of files in the form of a spec."""
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
