"""The locations of files in state stores, as a status records them (``status.troth.location`` and ``alsoIn``).

WorkPlacements keep this record for the files of their group, and Destinations for their own files. It makes moves safe:
a new place is recorded beside the old one before anything is written there, and a place is only removed from the record
when nothing is left there. So every place that may hold files is on record, whatever interrupts a move, even if the
move is reversed half-way. The steps of a move are in `troth.engine.placement.moves`.

Rejected: a different record for each kind of owner. They differ in one field, and moves would have to be planned twice.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from troth.api.statuses import read_own
from troth.api.store_kinds import StoreRef
from troth.api.typed import read_map, read_text


@dataclass(frozen=True, slots=True)
class Location:
    """The location of files: the store, and what contains or lists them there.

    Attributes:
        store: the state store.
        directory: the folder that contains these files and nothing else (nestedByMetadata).
        state_file: the file beside them that lists them (mode ``none``).
        aggregate: the single file for all manifests on the Destination (aggregatedYAML).
        files: the paths of the files, if nothing in the store lists them; None for a location with one of the above.
        address: where the store was (`StoreKind.address_of`), since the same store may be pointed at another repository
            later. Empty in records from before the address was recorded.
    """

    store: StoreRef
    directory: str = ""
    state_file: str = ""
    aggregate: str = ""
    files: tuple[str, ...] | None = None
    address: str = ""

    def as_status(self) -> dict[str, Any]:
        """Returns the record for ``status.troth``."""
        record = {
            "store": {"kind": self.store.kind, "name": self.store.name},
            "address": self.address,
            "directory": self.directory,
            "stateFile": self.state_file,
            "aggregate": self.aggregate,
        }
        found = {key: value for key, value in record.items() if value}
        return found if self.files is None else {**found, "files": list(self.files)}

    @property
    def path(self) -> str:
        """The path for people who look for the files."""
        if self.files is not None:
            return ", ".join(self.files)
        return self.directory or self.aggregate or self.state_file.rpartition("/.kratix/")[0]

    @property
    def is_empty(self) -> bool:
        """Whether there are no files at all, as for a Destination on a cluster that is written to directly."""
        return self.files == ()

    @property
    def is_shared(self) -> bool:
        """Whether the file at this location also contains manifests of others."""
        return bool(self.aggregate)

    def is_at_address_of(self, other: Location) -> bool:
        """Whether both stores are the same repository and branch, folder or cluster, whatever their names are."""
        return bool(self.address) and self.address == other.address and self.store.kind == other.store.kind

    def is_same_place(self, other: Location) -> bool:
        """Whether both refer to the same files, perhaps through stores of different names."""
        return self.is_at_address_of(other) and replace(self, store=other.store) == other

    def without(self, other: Location) -> Location | None:
        """Returns the part of this location that is not in another one at the same address; None if nothing is left."""
        if self.files is None or other.files is None:
            return None if self.is_same_place(other) else self
        left = tuple(path for path in self.files if path not in other.files)
        return replace(self, files=left) if left else None


@dataclass(frozen=True, slots=True)
class Whereabouts:
    """The record in a status: the location of the files, and other places that may hold some during a move."""

    location: Location | None
    also: tuple[Location, ...] = ()

    @property
    def places(self) -> tuple[Location, ...]:
        """Every place that may hold files."""
        return (self.location, *self.also) if self.location else self.also

    def former_stores(self, ref: StoreRef) -> tuple[str, ...]:
        """Returns the names of the other stores of the same kind that may hold files."""
        names = (place.store.name for place in self.places if place.store.kind == ref.kind and place.store != ref)
        return tuple(dict.fromkeys(names))


def read_locations(status: Mapping[str, Any]) -> Whereabouts:
    """Reads the record in a status. Does not check who wrote it."""
    ours = read_own(status)
    also = (_read(record) for record in ours.also_in)
    return Whereabouts(_read(ours.location), tuple(place for place in also if place is not None))


def _read(record: Mapping[str, Any]) -> Location | None:
    store = read_map(record.get("store"))
    if not store:
        return None
    files = record.get("files")
    return Location(
        StoreRef(read_text(store.get("kind")), read_text(store.get("name"))),
        directory=read_text(record.get("directory")),
        state_file=read_text(record.get("stateFile")),
        aggregate=read_text(record.get("aggregate")),
        files=tuple(path for path in files if isinstance(path, str)) if isinstance(files, list) else None,
        address=read_text(record.get("address")),
    )
