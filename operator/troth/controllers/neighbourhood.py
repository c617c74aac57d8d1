"""Which Destinations share a place: the same branch of a repository, or one file system.

The judgement is `engine.placement.neighbours`, a pure function over all Destinations. It is made anew when a
Destination or a store has changed, and asked by each placement that is written, so it is kept until then.

Stores are told apart by what they are called, or by an address that is written alike except for its end; whether two
addresses are one repository only its server knows.
"""

from __future__ import annotations

import posixpath
from collections import defaultdict

from troth.api import InvalidObject
from troth.api.objects import Destination, StateStore
from troth.api.resources import DIRECTORY_STATE_STORE, KUBERNETES_STATE_STORE
from troth.controllers.caches import Caches
from troth.controllers.stores import StoreRef, path_in_store, place_of
from troth.engine.placement.layout import destination_prefix
from troth.engine.placement.neighbours import Folder, Neighbours, find_neighbours

_ALONE = Neighbours()


class Neighbourhood:
    """How each Destination stands to the others of its place."""

    def __init__(self, caches: Caches) -> None:
        self._caches = caches
        self._seen: tuple[object, ...] = ()
        self._found: dict[str, Neighbours] = {}

    def of(self, destination: Destination) -> Neighbours:
        """How a Destination stands to the others, by what the caches hold now."""
        destinations = list(self._caches.destinations.items())
        stores = [store for informer in self._caches.stores.values() for store in informer.items()]
        seen = (*destinations, *stores)
        if not self._seen or seen != self._seen:
            self._found = self._judge(destinations)
            self._seen = seen
        return self._found.get(destination.name, _ALONE)

    def _judge(self, destinations: list[Destination]) -> dict[str, Neighbours]:
        places: defaultdict[str, list[Folder]] = defaultdict(list)
        for destination in destinations:
            ref = StoreRef(destination.store_kind, destination.store_name)
            try:
                place, folder = _place_of(destination, ref, self._caches.get_store(ref))
            except InvalidObject:
                continue  # it says so itself, and writes nothing
            places[place].append(folder)
        found: dict[str, Neighbours] = {}
        for folders in places.values():
            found |= find_neighbours(folders)
        return found


def _place_of(destination: Destination, ref: StoreRef, store: StateStore | None) -> tuple[str, Folder]:
    place = place_of(store) if store else str(ref)
    path = destination_prefix(destination, store_path=path_in_store(store) if store else "")
    made = destination.metadata.creation_timestamp
    if ref.kind == KUBERNETES_STATE_STORE.kind:
        # There are no folders in a cluster: only the whole name is anybody's.
        return place, Folder(destination.name, made, path.replace("/", "\0"), str(ref), mode="")
    if store is not None and ref.kind == DIRECTORY_STATE_STORE.kind:
        path = posixpath.normpath(posixpath.join(str(store.spec.get("path") or "/"), path)).strip("/")
    return place, Folder(destination.name, made, path, str(ref), destination.mode, destination.filename)
