"""Records what each owner has on a cluster, in one ConfigMap for each owner on that cluster.

Without a record it would not be known after a restart which objects a claim no longer wants. It is written before the
first object is changed, with everything that was and will be there, and without a digest. It is written again when
everything is done, with the digest of what was applied. So what a crash interrupts is recorded, and is applied again.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from troth.api import TrothError
from troth.api.resources import CONFIG_MAP, NAMESPACE
from troth.stores.errors import Reason, StoreError
from troth.stores.foreign import Unreadable, read_json
from troth.stores.kubernetes_client import KubernetesClient, Object, explain_refusal, is_missing
from troth.stores.kubernetes_objects import Entry, ObjectKey
from troth.stores.kubernetes_standing import INVENTORY, Recorded, uid_of

_STORE: Final = "troth.dev/store"
_MANAGED_BY: Final = "app.kubernetes.io/managed-by"
_PREFIX: Final = "troth-"
_LONGEST_LABEL: Final = 63


@dataclass(frozen=True, slots=True)
class Inventory:
    """The record of one owner.

    ``digest`` is empty while the cluster is not known to hold everything. ``stamps`` show whether somebody has
    changed an object since it was applied (kubernetes_observation.py); older records do not have them. ``adopted``
    are the entries that the owner did not create and that are given back when it leaves. ``problem`` says why the
    record cannot be read; then the entries are empty, and it is not known what they were.
    """

    owner: str
    entries: frozenset[Entry]
    digest: str
    stamps: Mapping[Entry, str] = field(default_factory=dict)
    adopted: frozenset[Entry] = frozenset()
    problem: str = ""

    def recorded(self) -> dict[ObjectKey, Recorded]:
        """What the record says about each object."""
        return {
            entry.key: Recorded(uid_of(self.stamps.get(entry, "")), entry in self.adopted)
            for entry in self.entries
        }


class Inventories:
    """The records of one store. They are read once and then kept in memory, since the store has one writer."""

    def __init__(self, client: KubernetesClient, *, store: str, namespace: str) -> None:
        self._client = client
        self._store = _short(store)
        self._namespace = namespace
        self._known: dict[str, Inventory] = {}
        self._read: asyncio.Lock = asyncio.Lock()
        self._is_read = False
        self._set_aside: dict[str, str] = {}

    def name(self, owner: str, *, store: str = "") -> str:
        """The name of an owner's record, in this or another store. It is also the label of everything it lists."""
        return f"{_PREFIX}{_digest((_short(store) if store else self._store) + chr(0) + owner)}"

    def is_here(self, store: str) -> bool:
        """Whether a name is the name of this store."""
        return _short(store) == self._store

    def keeps(self, key: ObjectKey) -> bool:
        """Whether an object would be in the place of records, whatever store they belong to."""
        place = (key.group, key.kind, key.namespace)
        return place == ("", "ConfigMap", self._namespace) and key.name.startswith(_PREFIX)

    def get(self, owner: str) -> Inventory | None:
        """An owner's record as this process knows it; call `require` first."""
        return self._known.get(self.name(owner))

    def all(self) -> Mapping[str, Inventory]:
        """All records by name."""
        return self._known

    @property
    def is_read(self) -> bool:
        """Whether the records have been read."""
        return self._is_read

    async def require(self) -> None:
        """Read the records, unless they have been read. Raises StoreError."""
        async with self._read:
            if not self._is_read:
                try:
                    await self.load()
                except TrothError as error:
                    raise explain_refusal(error, doing="reading the inventories") from error

    async def load(self) -> None:
        """Read every record of this store; raises an error of the client."""
        selector = f"{_MANAGED_BY}=troth,{_STORE}={self._store}"
        listing = await self._client.list(CONFIG_MAP, self._namespace, label_selector=selector)
        items = listing.items
        known = await asyncio.to_thread(lambda: {item["metadata"]["name"]: read_inventory(item) for item in items})
        self._known = known
        self._is_read = True
        for name, inventory in known.items():
            self._note(name, inventory)

    async def readable(self, owner: str) -> Inventory | None:
        """The record of an owner that leaves, which is read again if it could not be read before. Raises StoreError."""
        name = self.name(owner)
        known = self._known.get(name)
        if known is None or not known.problem:
            return known
        self._known.pop(name)
        try:
            again = await self.owner_of(name)
        except TrothError as error:
            self._known[name] = known
            raise explain_refusal(error, doing="reading an inventory") from error
        if again is None:
            return None
        self._known[name] = again
        if again.problem:
            raise StoreError(
                Reason.RECORD_UNREADABLE,
                f"the inventory {self._namespace}/{name} {again.problem}, so it is not known which objects "
                "are to be removed",
                f"repair it on the cluster; or remove the objects with the label {INVENTORY}={name} and the ConfigMap",
            )
        return again

    def take_complaints(self) -> tuple[str, ...]:
        """See `StateStoreWriter.take_complaints`."""
        complaints, self._set_aside = tuple(self._set_aside.values()), {}
        return complaints

    def _note(self, name: str, inventory: Inventory) -> None:
        if inventory.problem:
            self._set_aside[name] = f"the inventory {self._namespace}/{name} {inventory.problem}"

    async def owner_of(self, name: str) -> Inventory | None:
        """The record of this name, whatever store it belongs to; None when it does not exist."""
        if name in self._known:
            return self._known[name]
        try:
            found = await self._client.get(CONFIG_MAP, name, self._namespace)
        except TrothError as error:
            if is_missing(error):
                return None
            raise
        inventory = await asyncio.to_thread(read_inventory, found)
        self._note(name, inventory)
        return inventory

    async def put(self, inventory: Inventory) -> None:
        """Write a record, unless it is there already. Raises StoreError."""
        name = self.name(inventory.owner)
        if self._known.get(name) == inventory:
            return
        await self._apply(_render(inventory, name, namespace=self._namespace, store=self._store))
        self._known[name] = inventory

    async def remove(self, name: str) -> None:
        """Remove the record of this name, whatever store it belongs to. Raises StoreError."""
        try:
            await self._client.delete(CONFIG_MAP, name, self._namespace)
        except TrothError as error:
            if not is_missing(error):
                raise explain_refusal(error, doing="removing an inventory") from error
        self._known.pop(name, None)

    async def probe(self) -> None:
        """Check that records can be read and written. Raises StoreError."""
        try:
            await self.load()
            await self._apply(
                _render(
                    Inventory("probe", frozenset(), ""),
                    "troth-probe",
                    namespace=self._namespace,
                    store=self._store,
                ),
                dry_run=True,
            )
        except StoreError:
            raise
        except TrothError as error:
            raise explain_refusal(error, doing="reading the inventories") from error

    async def _apply(self, obj: Object, *, dry_run: bool = False) -> None:
        try:
            try:
                await self._client.apply(CONFIG_MAP, obj, dry_run=dry_run)
            except TrothError as error:
                if not is_missing(error):
                    raise
                namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": self._namespace}}
                await self._client.apply(NAMESPACE, namespace, dry_run=dry_run)
                if not dry_run:
                    await self._client.apply(CONFIG_MAP, obj)
        except TrothError as error:
            raise explain_refusal(error, doing="writing an inventory") from error


def _render(inventory: Inventory, name: str, *, namespace: str, store: str) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {
            "name": name,
            "namespace": namespace,
            "labels": {_MANAGED_BY: "troth", _STORE: store},
        },
        "data": {
            "owner": inventory.owner,
            "digest": inventory.digest,
            "objects": _dump([_row(entry) for entry in _sorted(inventory.entries)]),
            "stamps": _dump([inventory.stamps.get(entry, "") for entry in _sorted(inventory.entries)]),
            **(
                {"adopted": _dump([_row(entry) for entry in _sorted(inventory.adopted)])}
                if inventory.adopted
                else {}
            ),
        },
    }


def read_inventory(obj: Object) -> Inventory:
    """The record in a ConfigMap, which may have any content."""
    data = obj.get("data")
    data = data if isinstance(data, Mapping) else {}
    owner, digest = data.get("owner", ""), data.get("digest", "")
    owner = owner if isinstance(owner, str) else ""
    try:
        entries = [_entry(row, "objects") for row in _list(data, "objects")]
        adopted = [_entry(row, "adopted") for row in _list(data, "adopted")]
        stamps = _list(data, "stamps")
    except Unreadable as error:
        # it is applied again, and so written again, as soon as its owner claims
        return Inventory(owner, frozenset(), "", problem=str(error))
    if len(stamps) != len(entries) or not all(isinstance(stamp, str) for stamp in stamps):
        stamps, digest = [], "" if stamps else digest
    known = {entry: stamp for entry, stamp in zip(entries, stamps, strict=False) if stamp}
    return Inventory(
        owner, frozenset(entries), digest if isinstance(digest, str) else "", known, frozenset(adopted)
    )


def _list(data: Mapping[str, Any], key: str) -> list[Any]:
    try:
        rows = read_json(data.get(key) or "[]")
    except Unreadable as error:
        raise Unreadable(f"cannot be read: its field {key} {error}") from None
    if not isinstance(rows, list):
        raise Unreadable(f"cannot be read: its field {key} is not a list")
    return rows


def _entry(row: Any, key: str) -> Entry:
    if not (isinstance(row, list) and len(row) == 4 and all(isinstance(column, str) for column in row)):
        raise Unreadable(f"cannot be read: its field {key} lists something that does not name an object")
    return Entry(*row)


def _short(store: str) -> str:
    return store if len(store) <= _LONGEST_LABEL else _digest(store)


def _dump(rows: list[Any]) -> str:
    return json.dumps(rows, separators=(",", ":"))


def _row(entry: Entry) -> list[str]:
    return [entry.api_version, entry.kind, entry.namespace, entry.name]


def _sorted(entries: Iterable[Entry]) -> list[Entry]:
    return sorted(entries, key=_row)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:32]
