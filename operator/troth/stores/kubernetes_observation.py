"""Our objects on a cluster as they were last seen: listed once for each kind, and kept up to date by our own writes.

A stamp shows whether somebody has changed an object: its uid, and a hash of the fields that the API server has
recorded as applied by us. If somebody changes or removes one of these fields, they become its owner in this record,
so our set gets smaller; fields of others, the status, and what controllers fill in do not change it. The stamp is put
into the inventory with what was applied. So after a restart, changes that were made meanwhile are found without
loading any manifest.

Rejected: generations (kinds such as ConfigMap do not have them, and an autoscaler's change does not concern us),
resource versions (they change with every status, and with annotations of others), and comparing values (only the API
server knows defaults and normal forms, and every manifest would have to be loaded).
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Final

from troth.api import Resource, TrothError
from troth.stores.kubernetes_client import KubernetesClient, Object, is_missing
from troth.stores.kubernetes_inventory import Inventory
from troth.stores.kubernetes_objects import Entry
from troth.stores.kubernetes_standing import INVENTORY, Seen, is_same_stamp, see

_AT_ONCE: Final = 200

Place = tuple[str, str]


def is_intact(entry: Entry, inventory: Inventory, name: str, there: Seen | None) -> bool:
    """Whether an entry of the inventory of this name is as it was applied, as far as the inventory knows."""
    if there is None or there.inventory != name:
        return False
    return is_same_stamp(inventory.stamps.get(entry, there.stamp), there.stamp)


class Observations:
    """All objects with our label, by kind and place."""

    def __init__(self, client: KubernetesClient) -> None:
        self._client = client
        self._seen: dict[Resource, dict[Place, Seen]] = {}
        self._listed: set[Resource] = set()
        self._listing: dict[Resource, asyncio.Lock] = {}

    def note(self, resource: Resource, entry: Entry, obj: Object) -> None:
        """Note an object as our own write left it."""
        self._seen.setdefault(resource, {})[entry.namespace, entry.name] = see(obj)

    def forget(self, resource: Resource, entry: Entry) -> None:
        """Forget an object that is gone."""
        self._seen.get(resource, {}).pop((entry.namespace, entry.name), None)

    def last(self, resource: Resource, entry: Entry) -> Seen | None:
        """An object as it was last seen."""
        return self._seen.get(resource, {}).get((entry.namespace, entry.name))

    async def of(self, resource: Resource) -> Mapping[Place, Seen]:
        """All objects of a kind, which are listed if that was not done yet. Raises an error of the client."""
        async with self._listing.setdefault(resource, asyncio.Lock()):
            if resource not in self._listed:
                listed = await self._list(resource)
                self._seen[resource] = listed | self._seen.get(resource, {})
                self._listed.add(resource)
            return self._seen[resource]

    async def look(self, resource: Resource) -> Mapping[Place, Seen]:
        """Lists all objects of a kind. What is written meanwhile counts as newer. Raises an error of the client."""
        old = dict(self._seen.get(resource, {}))
        seen = await self._list(resource)
        newer = {place: each for place, each in self._seen.get(resource, {}).items() if old.get(place) != each}
        self._seen[resource] = seen | newer
        self._listed.add(resource)
        return seen

    async def _list(self, resource: Resource) -> dict[Place, Seen]:
        try:
            listing = await self._client.list(resource, label_selector=INVENTORY)
        except TrothError as error:
            if is_missing(error):
                return {}
            raise
        found: dict[Place, Seen] = {}
        for number, item in enumerate(listing.items):
            if number % _AT_ONCE == _AT_ONCE - 1:
                await asyncio.sleep(0)
            found[item["metadata"].get("namespace", ""), item["metadata"]["name"]] = see(item)
        return found
