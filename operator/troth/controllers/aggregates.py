"""The record that the file of a Destination with the mode aggregatedYAML is its own: `status.troth.aggregate`.

No record of files stands beside it in the store, since the GitOps tool that reads the folder would take it for a
manifest. So the Destination looks once whether somebody else's file is at the path, before any placement writes there,
and records that the path is its own. Tenants cannot write the status of a Destination; that of a placement they might.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from troth.api import find_condition
from troth.api.conditions import READY
from troth.api.objects import Destination
from troth.api.statuses import read_own
from troth.api.typed import read_text
from troth.engine.placement.layout import AGGREGATED, aggregate_path
from troth.stores import StateStoreWriter
from troth.stores.edits import not_ours


@dataclass(frozen=True, slots=True)
class OneFile:
    """The file that is a Destination's own.

    Attributes:
        path: the path of the file in the store.
        address: the address of the store when this was recorded (`StoreKind.address_of`).
        adopted: whether the file was there before and was taken over. Then it stays when nothing is wanted in it any
            more.
    """

    path: str
    address: str
    adopted: bool = False

    def as_status(self) -> dict[str, Any]:
        """The record in ``status.troth.aggregate``."""
        found: dict[str, Any] = {"path": self.path, "address": self.address}
        return {**found, "adopted": True} if self.adopted else found


def read_one_file(status: Mapping[str, Any]) -> OneFile | None:
    """The record in the status of a Destination; None when there is none."""
    record = read_own(status).aggregate
    path = read_text(record.get("path"))
    return OneFile(path, read_text(record.get("address")), bool(record.get("adopted"))) if path else None


def one_file_at(destination: Destination, path: str, address: str) -> OneFile | None:
    """The record of a Destination's single file, if it names this path in the store at this address; else None."""
    found = read_one_file(destination.status)
    return found if found is not None and (found.path, found.address) == (path, address) else None


def has_one_file(destination: Destination) -> bool:
    """Whether everything on a Destination is in one file. This is never so in a cluster, which does not have files."""
    return destination.mode == AGGREGATED and destination.store.holds_files


async def take_one_file(
    destination: Destination, writer: StateStoreWriter, *, store_path: str, address: str, settled: bool
) -> OneFile | None:
    """The record of the file for the Destination's status; None in another mode.

    Args:
        destination: the Destination.
        writer: the writer of its store.
        store_path: the prefix of everything in the store.
        address: the address of the store (`StoreKind.address_of`).
        settled: whether the Destination had its files at this very place before Troth recorded who owns the file.

    Raises:
        StoreError: NotOurs, when the file belongs to somebody else.
    """
    if not has_one_file(destination):
        return None
    path = aggregate_path(destination, store_path=store_path)
    known = read_one_file(destination.status)
    if known is not None and (known.path, known.address) == (path, address):
        return known
    if (settled and known is None) or not await writer.finds_foreign(path):
        return OneFile(path, address)
    if destination.adopts:
        return OneFile(path, address, adopted=True)
    raise not_ours([path], owner=f"Destination {destination.name}")


def was_ready(destination: Destination) -> bool:
    """Whether the Destination's status says that it is ready."""
    return (find_condition(destination.status.get("conditions"), READY) or {}).get("status") == "True"
