"""Where files are in the state stores, as a status records it (``status.troth.location``, ``status.troth.alsoIn``).

WorkPlacements keep this record of the files of their group, and Destinations of their own files. It is what makes a
move safe: a new place is noted beside the old one before anything is written there, and taken off only when nothing is
left there. So whatever interrupts a move, even one that is turned round half-way, every place that may hold files is on
record. What a move does, in which order, is in `troth.engine.placement.moves`.

Rejected: a record for each kind of owner. They differ in one field, and a move would have to be planned twice.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from troth.api.store_kinds import StoreRef
from troth.api.typed import read_map, read_maps, read_text


@dataclass(frozen=True, slots=True)
class Location:
    """Where files are: the store, and there what holds or names them.

    Attributes:
        store: the state store.
        directory: the folder that holds them, and nothing else (nestedByMetadata).
        state_file: the record beside them that lists them (none).
        aggregate: the one file that everybody's manifests on the Destination are in (aggregatedYAML).
        files: their paths, where nothing in the store lists them; None for a location that names one of the above.
        address: where the store was (`StoreKind.address_of`): the same store may mean another repository later. Empty
            in records from before it was noted.
    """

    store: StoreRef
    directory: str = ""
    state_file: str = ""
    aggregate: str = ""
    files: tuple[str, ...] | None = None
    address: str = ""

    def as_status(self) -> dict[str, Any]:
        """The record in ``status.troth``."""
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
        """The place as a person would look for it."""
        if self.files is not None:
            return ", ".join(self.files)
        return self.directory or self.aggregate or self.state_file.rpartition("/.kratix/")[0]

    @property
    def is_empty(self) -> bool:
        """Whether it names no files at all, as for a Destination on a cluster that is written to directly."""
        return self.files == ()

    @property
    def is_shared(self) -> bool:
        """Whether others have a part in the file that this location names."""
        return bool(self.aggregate)

    def is_at_address_of(self, other: Location) -> bool:
        """Whether both stores are one repository and branch, one folder, or one cluster, whatever they are called."""
        return bool(self.address) and self.address == other.address and self.store.kind == other.store.kind

    def is_same_place(self, other: Location) -> bool:
        """Whether both mean the same files, though perhaps by another store's name."""
        return self.is_at_address_of(other) and replace(self, store=other.store) == other

    def without(self, other: Location) -> Location | None:
        """What of this location is not at another one of the same address; None for nothing."""
        if self.files is None or other.files is None:
            return None if self.is_same_place(other) else self
        left = tuple(path for path in self.files if path not in other.files)
        return replace(self, files=left) if left else None


@dataclass(frozen=True, slots=True)
class Whereabouts:
    """What a status records: where the files are, and where else some may be while they move."""

    location: Location | None
    also: tuple[Location, ...] = ()

    @property
    def places(self) -> tuple[Location, ...]:
        """Every place that may hold files."""
        return (self.location, *self.also) if self.location else self.also

    def former_stores(self, ref: StoreRef) -> tuple[str, ...]:
        """The names of the other stores of the same kind that may hold the files."""
        names = (place.store.name for place in self.places if place.store.kind == ref.kind and place.store != ref)
        return tuple(dict.fromkeys(names))


def read_locations(status: Mapping[str, Any]) -> Whereabouts:
    """The record in a status, whoever wrote it."""
    ours = read_map(status.get("troth"))
    also = (_read(record) for record in read_maps(ours.get("alsoIn")))
    return Whereabouts(_read(read_map(ours.get("location"))), tuple(place for place in also if place is not None))


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
        files=None if files is None else tuple(files),
        address=read_text(record.get("address")),
    )
