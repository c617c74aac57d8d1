"""Where a placement's files are, as its status records it (`status.troth.location`, `status.troth.alsoIn`).

The record is what makes a move safe. A new place is noted beside the old one before anything is written there
(``alsoIn``), the old ones are cleared once the new one holds everything, and only then does the new one become
the location. So whatever interrupts a move, even one that is turned round half-way, every place that may hold
files is on record.

Whoever may write the status could have anything removed by it, so the record counts only with the operator's seal
(`troth.engine.placement.seals`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from troth.api.objects import WorkPlacement
from troth.api.store_kinds import StoreRef


@dataclass(frozen=True, slots=True)
class Location:
    """Where a placement's files are: the store, and there the folder or the state file that lists them.

    ``address`` tells the same store at one place from the same store at another (`StoreKind.address_of`).
    """

    store: StoreRef
    directory: str
    state_file: str
    aggregate: str
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
        return {key: value for key, value in record.items() if value}

    @property
    def path(self) -> str:
        """The place as a person would look for it."""
        return self.directory or self.aggregate or self.state_file.rpartition("/.kratix/")[0]

    @property
    def is_on_cluster(self) -> bool:
        """Whether the files are objects of a cluster."""
        return not self.store.holds_files

    def is_at_address_of(self, other: Location) -> bool:
        """Whether both stores are one repository and branch, one folder, or one cluster, whatever they are called."""
        return bool(self.address) and self.address == other.address and self.store.kind == other.store.kind

    def is_same_place(self, other: Location) -> bool:
        """Whether both mean the same files, though perhaps by another store's name."""
        return self.is_at_address_of(other) and replace(self, store=other.store) == other


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


def read_whereabouts(placement: WorkPlacement) -> Whereabouts:
    """What the status of a placement records, as far as the operator wrote it: else nothing."""
    if not placement.recorded:
        return Whereabouts(None)
    ours = placement.status.get("troth") or {}
    also = (_read(record) for record in ours.get("alsoIn") or ())
    return Whereabouts(_read(ours.get("location")), tuple(place for place in also if place is not None))


def says_it_is_at(placement: WorkPlacement, location: Location) -> bool:
    """Whether a status from before there were seals names just this place, and so nothing that is not known anyway."""
    ours = placement.status.get("troth") or {}
    return placement.former and not ours.get("alsoIn") and ours.get("location") == location.as_status()


def _read(record: Mapping[str, Any] | None) -> Location | None:
    if not record or not record.get("store"):
        return None
    return Location(
        StoreRef(record["store"].get("kind", ""), record["store"].get("name", "")),
        record.get("directory", ""),
        record.get("stateFile", ""),
        record.get("aggregate", ""),
        record.get("address", ""),
    )
