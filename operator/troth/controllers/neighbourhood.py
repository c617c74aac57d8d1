"""Which Destinations share a place, that is, the same branch of a repository or the same file system.

This is decided by `engine.placement.neighbours`, a pure function over all Destinations. The result is needed for each
placement that is written, so it is kept until a Destination or a store changes.

Two stores are the same place if they are the same object, or if their addresses are equal except for the way they end.
Only the server of a repository knows whether two different addresses lead to it.
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
    """How each Destination relates to the others in its place."""

    def __init__(self, caches: Caches) -> None:
        self._caches = caches
        self._seen: tuple[object, ...] = ()
        self._found: dict[str, Neighbours] = {}

    def of(self, destination: Destination) -> Neighbours:
        """How a Destination relates to the others, according to the caches now."""
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
                continue  # its own status says so, and it writes nothing
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
        # A cluster does not have folders, so only whole names have an owner.
        return place.name, Folder(destination.name, made, path.replace("/", "\0"), ref, mode="")
    if place.folder:
        path = posixpath.normpath(posixpath.join(place.folder, path)).strip("/")
    return place.name, Folder(destination.name, made, path, ref, destination.mode, destination.filename)
