"""The writers of the state stores, by store.

A store owns its writer: the store's reconciler opens, replaces and closes it here, and the placements and Destinations
only look it up. While a store is not ready, its writer is not used: what waits for it is told why at once, instead of
trying and waiting for a time-out each (a broken repository must not cost a thousand attempts).
"""

from __future__ import annotations

from dataclasses import dataclass

from troth.api.objects import StateStore
from troth.api.store_kinds import STORE_KINDS, Place, StoreRef
from troth.stores import StateStoreWriter


def path_in_store(store: StateStore) -> str:
    """The prefix of everything in a store (`StoreKind.prefix_of`)."""
    return STORE_KINDS[store.kind].prefix_of(store.spec)


def address_of(store: StateStore) -> str:
    """A short hash of where a store is (`StoreKind.address_of`)."""
    return STORE_KINDS[store.kind].address_of(store.spec)


def place_of(store: StateStore) -> Place:
    """The place that a store may share with others (`StoreKind.place_of`)."""
    return STORE_KINDS[store.kind].place_of(store.metadata.name, store.spec)


@dataclass(frozen=True, slots=True)
class OpenStore:
    """A store with its writer.

    Attributes:
        writer: the writer; None while it cannot be opened.
        path: the prefix of everything in the store.
        problem: why the store is not ready; empty while it is.
        fingerprint: a hash of everything that the writer was opened with.
        address: the address of the store (`address_of`) when the writer was opened.
    """

    writer: StateStoreWriter | None
    path: str
    problem: str
    fingerprint: str
    address: str


class OpenStores:
    """The stores with their writers. Only the reconciler of stores changes it; everything else reads it."""

    def __init__(self) -> None:
        self._stores: dict[StoreRef, OpenStore] = {}

    def get(self, ref: StoreRef) -> OpenStore | None:
        """The store, or None while its reconciler has not seen it."""
        return self._stores.get(ref)

    def put(self, ref: StoreRef, store: OpenStore) -> None:
        """Adds a store, or replaces what is known of it."""
        self._stores[ref] = store

    def remove(self, ref: StoreRef) -> OpenStore | None:
        """Removes and returns a store. The caller closes its writer."""
        return self._stores.pop(ref, None)

    def all(self) -> list[OpenStore]:
        """Every store that is known."""
        return list(self._stores.values())
