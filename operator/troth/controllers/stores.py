"""The writers of the state stores that exist, by store.

A store owns its writer: the store's reconciler opens, replaces and closes it here, the placements and
destinations only look it up. A writer that is not ready is not handed out: what waits for it is told why instead of
waiting for a time-out each (a broken repository must not cost a thousand attempts).
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import NamedTuple

from troth.api import InvalidObject
from troth.api.objects import StateStore
from troth.api.resources import DIRECTORY_STATE_STORE, STATE_STORES
from troth.stores import StateStoreWriter


class StoreRef(NamedTuple):
    """Names a state store: its kind and its name."""

    kind: str
    name: str

    def __str__(self) -> str:
        return f"{self.kind}/{self.name}"


def path_in_store(store: StateStore) -> str:
    """The prefix of everything in a store. A directory's ``spec.path`` is the store itself, not a prefix in it."""
    return "" if store.kind == DIRECTORY_STATE_STORE.kind else str(store.spec.get("path") or "")


def require_supported(ref: StoreRef, field: str) -> None:
    """Raises InvalidObject for a store of a kind that cannot be written to."""
    kinds = [resource.kind for resource in STATE_STORES]
    if ref.kind not in kinds:
        known = ref.kind == "BucketStateStore"
        raise InvalidObject(
            field,
            f"{ref.kind} is not supported yet" if known else f"{ref.kind!r} is not a kind of state store",
            f"use {', '.join(kinds[:-1])} or {kinds[-1]}",
        )


def address_of(store: StateStore) -> str:
    """A short hash of where a store is: it changes when the same object begins to mean another repository."""
    spec = store.spec
    match store.kind:
        case "GitStateStore":
            where = f"{spec.get('url')}#{spec.get('branch') or 'main'}"
        case "DirectoryStateStore":
            where = str(spec.get("path"))
        case _:
            reference = store.secret
            where = f"{reference.namespace}/{reference.name}" if reference else ""
            # the default key is left out: it was before there was a choice
            key = str((spec.get("secretRef") or {}).get("key") or "kubeconfig")
            where += f"#{key}" if reference and key != "kubeconfig" else ""
    return hashlib.sha256(where.encode()).hexdigest()[:12]


def place_of(store: StateStore) -> str:
    """What a store shares with others that are the same repository and branch, or folders of one file system.

    Addresses are compared as they are written, but for their end: only the server knows which are one repository.
    """
    match store.kind:
        case "GitStateStore":
            url = str(store.spec.get("url") or "").rstrip("/").removesuffix(".git")
            return f"{url}#{store.spec.get('branch') or 'main'}"
        case "DirectoryStateStore":
            return store.kind
        case _:
            return f"{store.kind}/{store.metadata.name}"


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
