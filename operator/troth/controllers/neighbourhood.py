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
from troth.api.store_kinds import Place
from troth.controllers.caches import Caches
from troth.controllers.stores import path_in_store, place_of
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
            try:
                place, folder = _place_of(destination, self._caches.get_store(destination.store))
            except InvalidObject:
                continue  # it says so itself, and writes nothing
            places[place].append(folder)
        found: dict[str, Neighbours] = {}
        for folders in places.values():
            found |= find_neighbours(folders)
        return found


def _place_of(destination: Destination, store: StateStore | None) -> tuple[str, Folder]:
    ref = str(destination.store)
    place = place_of(store) if store else Place(ref)
    path = destination_prefix(destination, store_path=path_in_store(store) if store else "")
    made = destination.metadata.creation_timestamp
    if not destination.store.holds_files:
        # There are no folders in a cluster, so only whole names have an owner.
        return place.name, Folder(destination.name, made, path.replace("/", "\0"), ref, mode="")
    if place.folder:
        path = posixpath.normpath(posixpath.join(place.folder, path)).strip("/")
    return place.name, Folder(destination.name, made, path, ref, destination.mode, destination.filename)
