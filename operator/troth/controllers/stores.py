"""The writers of the state stores that exist, by store.

A store owns its writer: the store's reconciler opens, replaces and closes it here, the placements and
destinations only look it up. A writer that is not ready is not handed out: what waits for it is told why instead of
waiting for a time-out each (a broken repository must not cost a thousand attempts).
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
        writer: None while it cannot be opened.
        path: the prefix of everything in it.
        problem: empty while the store is ready.
        fingerprint: of everything that the writer was opened with.
        address: `address_of` the store that the writer was opened for.
    """

    writer: StateStoreWriter | None
    path: str
    problem: str
    fingerprint: str
    address: str


class OpenStores:
    """The open writers. Owned by the store reconciler; everybody else reads."""

    def __init__(self) -> None:
        self._stores: dict[StoreRef, OpenStore] = {}

    def get(self, ref: StoreRef) -> OpenStore | None:
        """The store, or None while its reconciler has not seen it."""
        return self._stores.get(ref)

    def put(self, ref: StoreRef, store: OpenStore) -> None:
        """Publishes a store or what became of it."""
        self._stores[ref] = store

    def remove(self, ref: StoreRef) -> OpenStore | None:
        """Takes a store out; the caller closes its writer."""
        return self._stores.pop(ref, None)

    def all(self) -> list[OpenStore]:
        """Every open store."""
        return list(self._stores.values())
