"""How the placements of one request or Promise hand objects over to each other (troth.stores.handover).

The Works that are neither retired nor being deleted say what is wanted. A placement that none of them has any more is
leaving: it claims nothing, and its files stay until a placement that takes its place removes them in its own commit,
or until everything that is wanted has been written and the Work of the leaving placement is deleted.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import fields
from typing import Final

from troth.api import labels as names
from troth.api.objects import Work, WorkloadGroup, WorkPlacement
from troth.api.pipelines import Move
from troth.api.resources import WORK
from troth.api.typed import read_list
from troth.controllers.caches import BY_OWNER, BY_WORK
from troth.controllers.differences import was_ever_written
from troth.controllers.owners import work_of, work_owner
from troth.controllers.placement_claims import (
    contents_of_work,
    decode_workloads,
    find_contents,
    load_placement,
    places_of,
    remembered_workloads,
    removal,
    wanted_claim,
)
from troth.controllers.placement_location import read_whereabouts
from troth.controllers.placement_owners import owner_at
from troth.controllers.platform import Platform
from troth.engine.placement.locations import Location
from troth.engine.placement.scheduling import Home, asked_by_pipelines, describe_labels
from troth.engine.status.placement import read_placement
from troth.engine.yaml.manifests import load_documents
from troth.kube import NotFound
from troth.stores import Claim
from troth.stores.foreign import Unreadable, read_json
from troth.stores.handover import Handover, Spared, Yielding, objects_of
from troth.stores.kubernetes_objects import ObjectKey

_AT_ONCE: Final = 100


def owner_of(platform: Platform, placement: WorkPlacement) -> str:
    """The index value of the owner of a placement's Work; empty while that Work is not known."""
    work = _work(platform, placement)
    return work_owner(work) if work else ""


def is_retired(work: Work) -> bool:
    """Whether a Work is retired: no pipeline renders what it holds any more."""
    return names.RETIRED in work.metadata.labels


def is_leaving(work: Work | None, placement: WorkPlacement) -> bool:
    """Whether a placement still exists although its Work does not want it any more."""
    if work is None or placement.metadata.deleting or work.metadata.deleting or is_retired(work):
        return True
    return all(group.id != placement.group_id for group in work.groups)


def leaves(platform: Platform, placement: WorkPlacement) -> bool:
    """Whether an existing placement is leaving. One whose Work is not known is not."""
    work = _work(platform, placement)
    return work is not None and is_leaving(work, placement)


def has_arrived(platform: Platform, owner: str, *, but: Iterable[str] = ()) -> bool:
    """Whether everything that an owner wants is known, and has been written wherever it belongs.

    ``but`` has the names of Works that do not count.
    """
    if not platform.settling.is_settled(owner):
        return False
    works = [work for work in _wanted(platform, owner) if work.metadata.name not in set(but)]
    return not any(_is_missing(platform, work, group, ()) for work in works for group in work.groups)


def may_hand_over(platform: Platform, placement: WorkPlacement) -> bool:
    """Whether there is another placement with which a placement could exchange objects."""
    owner = owner_of(platform, placement)
    if owner and not platform.settling.is_settled(owner):
        return True  # its owner's other placements are not known yet
    works = platform.caches.works.by_index(BY_OWNER, owner) if owner else ()
    if len(works) > 1 or any(len(work.groups) > 1 for work in works):
        return True
    return any(other.group_id != placement.group_id for work in works for other in _placements(platform, work))


def succeeds(platform: Platform, placement: WorkPlacement, location: Location) -> bool:
    """Whether something leaves the store in which a placement is written.

    These are the placement's own files at another place of the store, or those of a leaving placement of its owner.
    """
    recorded = read_whereabouts(placement).places
    if any(place.is_at_address_of(location) and not place.is_same_place(location) for place in recorded):
        return True
    owner = owner_of(platform, placement)
    return any(
        is_leaving(work, other) and any(place.is_at_address_of(location) for place in places_of(platform, other))
        for work, other in _siblings(platform, owner)
        if other.metadata.uid != placement.metadata.uid
    )


async def handover(
    platform: Platform,
    placement: WorkPlacement,
    location: Location,
    may_come: Callable[[WorkPlacement, Location], Awaitable[bool]],
) -> Handover:
    """What is handed over when a placement is written at a location.

    Args:
        platform: what reconcilers share.
        placement: the placement as the caller has read it, even if the cache has a newer one.
        location: where it is written.
        may_come: whether another placement, which has not been written yet, may be written at a location.
    """
    owner = owner_of(platform, placement)
    along: list[Claim] = _left_behind(placement, location)
    own = _work(platform, placement)
    here = {placement.metadata.uid} if own and _is_current(own, placement) else set()
    yielding: list[Yielding] = []
    wanted: dict[tuple[str, str], Spared] = {}
    for number, (work, other) in enumerate(_siblings(platform, owner)):
        if number % _AT_ONCE == _AT_ONCE - 1:
            await asyncio.sleep(0)
        if other.metadata.uid == placement.metadata.uid:
            continue
        places = places_of(platform, other)
        if is_leaving(work, other):
            yielding += [Yielding(place.store.name, owner_at(place, other), Spared()) for place in places]
            if not other.metadata.deleting:
                along += [
                    removal(owner_at(place, other), other, place)
                    for place in places
                    if _shares_files(place, location)
                ]
            continue
        # A placement that has been written may still keep back what it does not want any more.
        group = (work.metadata.name, other.group_id)
        if group not in wanted:
            wanted[group] = Spared(await _objects(platform, work, _group(work, other)))
        yielding += [Yielding(place.store.name, owner_at(place, other), wanted[group]) for place in places]
        if not read_placement(other).written:
            found = wanted_claim(platform, other)
            shared = found and _shares_files(found[0], location) and _is_current(work, other)
            if found and shared and await may_come(other, found[0]):
                along.append(found[1])
                here.add(other.metadata.uid)
    if not platform.settling.is_settled(owner):
        return Handover((), Spared(everything=True), tuple(yielding))
    return Handover(tuple(along), Spared(await on_the_way(platform, owner, here)), tuple(yielding))


async def on_the_way(platform: Platform, owner: str, here: Iterable[str]) -> frozenset[ObjectKey]:
    """The objects that an owner wants and that have not been written yet everywhere where they belong.

    Args:
        platform: with caches that have been listed.
        owner: the owner's index value.
        here: the uids of the placements that count as written.
    """
    written = set(here)
    found: set[ObjectKey] = set()
    for work in _wanted(platform, owner):
        for group in work.groups:
            if _is_missing(platform, work, group, written):
                found |= await _objects(platform, work, group)
    moves = [move for work in _wanted(platform, owner) for move in read_moves(work)]
    return _with_former(found, moves)


async def homes_of(platform: Platform, work: Work) -> dict[str, tuple[Home, ...]]:
    """Where the objects of a Work's groups are, for the groups that the Work itself has not written anywhere yet.

    By group, these are the other placements of its owner that wrote objects which are in the group, under the same or
    under another name.
    """
    if work.type != names.WORK_TYPE_RESOURCE:
        return {}  # it goes to every Destination that matches
    own = _placements(platform, work)
    new = [
        group
        for group in work.groups
        if not any(each.group_id == group.id and was_ever_written(each) for each in own)
    ]
    others = [
        (its, other)
        for its, other in (_siblings(platform, work_owner(work)) if new else ())
        if was_ever_written(other) and not other.metadata.deleting
    ]
    if not others:
        return {}
    # read before anything is awaited, since a placement may lose its content meanwhile
    contents = [
        (
            Home(other.destination, other.metadata.name, _is_held(its, other)),
            other,
            remembered_workloads(platform, other.workloads),
        )
        for its, other in others
    ]
    there: list[tuple[Home, frozenset[ObjectKey]]] = []
    for home, other, remembered in contents:
        try:
            content = await (
                load_placement(platform, other) if remembered is None else decode_workloads(remembered)
            )
        except NotFound:
            continue
        there.append((home, await read_objects(content)))
    found: dict[str, tuple[Home, ...]] = {}
    for group in new:
        wanted = Spared(_with_former(await _objects(platform, work, group), read_moves(work)))
        found[group.id] = tuple(home for home, keys in there if wanted.any_of(keys))
    return found


def _is_held(work: Work, placement: WorkPlacement) -> bool:
    """Whether the request wants another Destination than when the placement got its content."""
    group, asked = _group(work, placement), placement.metadata.annotations.get(names.ASKED_FOR)
    if group is None or asked is None or names.MISPLACED not in placement.metadata.labels:
        return False
    return describe_labels(asked_by_pipelines(group.selectors)) != asked


def write_moves(moves: Iterable[Move]) -> str:
    """The value of a Work's annotation that says which objects had another name before; empty when none had."""
    rows = [[move.kind, move.old, move.new] for move in moves]
    return json.dumps(rows, separators=(",", ":")) if rows else ""


def read_moves(work: Work) -> list[Move]:
    """Reads what `write_moves` wrote. Leaves out what somebody has damaged; its owner writes the annotation again."""
    try:
        rows = read_list(read_json(work.metadata.annotations.get(names.MOVED) or "[]"))
    except Unreadable:
        return []
    sound = (row for row in rows if isinstance(row, list) and all(isinstance(text, str) for text in row))
    return [Move(*row) for row in sound if len(row) == len(fields(Move))]


def _with_former(keys: Collection[ObjectKey], moves: Collection[Move]) -> frozenset[ObjectKey]:
    return frozenset({*keys, *(old for key in keys for move in moves if (old := _former(key, move)))})


def _former(key: ObjectKey, move: Move) -> ObjectKey | None:
    """The object that stays until the one that takes its place has been written."""
    return key._replace(name=move.old) if (key.kind, key.name) == (move.kind, move.new) else None


async def still_needed(
    platform: Platform, leaving: WorkPlacement, files: Mapping[str, bytes], here: Iterable[WorkPlacement]
) -> Mapping[str, bytes]:
    """The files of a leaving placement that are still needed.

    They hold an object that is not written yet where it belongs, and that is not in the placements ``here`` either.
    """
    owner = owner_of(platform, leaving)
    own = [other for other in here if owner_of(platform, other) == owner and not leaves(platform, other)]
    arrived: set[ObjectKey] = set()
    for other in own:
        work = _work(platform, other)
        arrived |= await _objects(platform, work, _group(work, other)) if work else frozenset()
    settled = platform.settling.is_settled(owner)
    waited = await on_the_way(platform, owner, [other.metadata.uid for other in own]) if settled else frozenset()
    spared = Spared(waited, everything=not settled)
    return {
        path: content
        for path, content in files.items()
        if any(spared.holds(key) and key not in arrived for key in objects_of(path, content, load_documents))
    }


async def on_the_way_elsewhere(platform: Platform, here: Iterable[WorkPlacement]) -> Spared:
    """The objects that the owners of some placements want and that are neither in these nor where they belong."""
    placements = list(here)
    uids = [placement.metadata.uid for placement in placements]
    found: frozenset[ObjectKey] = frozenset()
    for owner in {owner_of(platform, each) for each in placements if may_hand_over(platform, each)}:
        found |= await on_the_way(platform, owner, uids)
    return Spared(found)


def _left_behind(placement: WorkPlacement, location: Location) -> list[Claim]:
    """The claims that remove a placement's own files from other places in the same file store."""
    return [
        removal(f"{owner_at(old, placement)}@{old.path}", placement, old)
        for old in read_whereabouts(placement).places
        if _shares_files(old, location) and not old.is_same_place(location)
    ]


def _shares_files(place: Location, location: Location) -> bool:
    """Whether both places can be changed in one commit."""
    return (
        place.is_at_address_of(location)
        and place.store.holds_files
        and not place.aggregate
        and not location.aggregate
    )


def _is_missing(platform: Platform, work: Work, group: WorkloadGroup, written: Iterable[str]) -> bool:
    placed = [
        other
        for other in _placements(platform, work)
        if other.group_id == group.id and not other.metadata.deleting
    ]
    if not placed:
        return True
    return any(
        other.workloads != group.workloads or not (other.metadata.uid in written or read_placement(other).written)
        for other in placed
    )


def _is_current(work: Work, placement: WorkPlacement) -> bool:
    group = _group(work, placement)
    return group is not None and placement.workloads == group.workloads


def _group(work: Work, placement: WorkPlacement) -> WorkloadGroup | None:
    return next((group for group in work.groups if group.id == placement.group_id), None)


async def _objects(platform: Platform, work: Work, group: WorkloadGroup | None) -> frozenset[ObjectKey]:
    if group is None:
        return frozenset()
    remembered = remembered_workloads(platform, group.workloads)
    files = await (_fetch(platform, work, group) if remembered is None else decode_workloads(remembered))
    return await read_objects(files)


async def read_objects(content: Mapping[str, bytes]) -> frozenset[ObjectKey]:
    """The Kubernetes objects in files, by their paths."""

    def read() -> frozenset[ObjectKey]:
        return frozenset(key for path, each in content.items() for key in objects_of(path, each, load_documents))

    return await asyncio.to_thread(read)


async def _fetch(platform: Platform, work: Work, group: WorkloadGroup) -> dict[str, bytes]:
    try:
        obj = await platform.client.get(WORK, work.metadata.name, work.metadata.namespace)
    except NotFound:
        return {}
    return await decode_workloads(await find_contents(group.workloads, contents_of_work(obj)))


def _work(platform: Platform, placement: WorkPlacement) -> Work | None:
    namespace, _, name = work_of(placement).partition("/")
    work = platform.caches.works.get(namespace, name)
    return work if work and work.sealed_for else None


def _wanted(platform: Platform, owner: str) -> list[Work]:
    works = platform.caches.works.by_index(BY_OWNER, owner)
    return [work for work in works if not work.metadata.deleting and not is_retired(work)]


def _siblings(platform: Platform, owner: str) -> Iterator[tuple[Work, WorkPlacement]]:
    for work in list(platform.caches.works.by_index(BY_OWNER, owner)) if owner else ():
        for placement in _placements(platform, work):
            yield work, placement


def _placements(platform: Platform, work: Work) -> list[WorkPlacement]:
    return list(platform.caches.placements.by_index(BY_WORK, f"{work.metadata.namespace}/{work.metadata.name}"))
