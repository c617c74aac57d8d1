"""Whose objects somebody else has changed, so that they are applied again.

There are two ways to find out. Before a claim is called unchanged, its objects are compared with what was last seen of
them (kubernetes_observation.py), which costs no call. From time to time everything that is ours is listed anew.

Rejected: watching every kind that is applied. That would be a watch for each of them on each cluster, for objects
that hardly ever change.
"""

from __future__ import annotations

import asyncio
from collections.abc import Container
from typing import Final

from troth.api import TrothError
from troth.stores.kubernetes_client import KubernetesClient
from troth.stores.kubernetes_failures import told
from troth.stores.kubernetes_inventory import Inventories, Inventory
from troth.stores.kubernetes_observation import Observations, is_intact
from troth.stores.kubernetes_ownership import ObjectOwnership
from troth.stores.kubernetes_serving import ServedKinds

_PAUSE: Final = 20
"""After a look that took long, the next one waits so many times as long."""


class Drift:
    """Compares a cluster with its inventories.

    Args of the constructor: ``look_interval`` is how often at most everything is listed, in seconds; 0 lists it
    whenever it is asked for.
    """

    def __init__(
        self,
        client: KubernetesClient,
        inventories: Inventories,
        observations: Observations,
        ownership: ObjectOwnership,
        served: ServedKinds,
        *,
        look_interval: float,
    ) -> None:
        self._client = client
        self._inventories = inventories
        self._observations = observations
        self._ownership = ownership
        self._served = served
        self._look_interval = look_interval
        self._look_after = 0.0
        self._drifted: set[str] = set()

    async def holds(self, owner: str, inventory: Inventory) -> bool:
        """Whether the cluster has all objects of an owner as they were applied. Raises StoreError."""
        if owner in self._drifted:
            return False
        name = self._inventories.name(owner)
        try:
            for entry in inventory.entries:
                resource = await self._served.find(entry)
                if resource is None:
                    return False
                there = (await self._observations.of(resource)).get((entry.namespace, entry.name))
                if not is_intact(entry, inventory, name, there):
                    return False
        except TrothError as error:
            raise told(error, doing="looking at what is there") from error
        return True

    def settled(self, owner: str) -> None:
        """The owner's objects are as it wants them."""
        self._drifted.discard(owner)

    async def look(self, *, busy: Container[str]) -> bool:
        """List what is ours, unless that was done just now; whether more owners than before have drifted.

        Owners that are ``busy`` once everything is listed are left out: their objects are being written. Raises
        StoreError.
        """
        clock = asyncio.get_running_loop().time
        if not self._inventories.is_read or (began := clock()) < self._look_after:
            return False
        try:
            drifted = {owner for owner in await self._find_drifted() if owner not in busy}
        except TrothError as error:
            raise told(error, doing="looking for changes") from error
        self._look_after = clock() + max(self._look_interval, _PAUSE * (clock() - began))
        if not self._look_interval:
            self._look_after = 0.0
        fresh = drifted - self._drifted
        self._drifted |= drifted
        return bool(fresh)

    async def _find_drifted(self) -> set[str]:
        """The owners of whose objects somebody else has changed one."""
        await self._inventories.load()
        done = {name: inventory for name, inventory in self._inventories.all().items() if inventory.digest}
        entries = {entry for inventory in done.values() for entry in inventory.entries}
        kinds = {(entry.api_version, entry.kind) for entry in entries}
        found = {kind: await self._client.find_resource(*kind) for kind in kinds}
        # a record of an older version has no stamps: then what was seen before has to do
        before = {
            entry: self._observations.last(resource, entry)
            for entry in entries
            if (resource := found[entry.api_version, entry.kind])
        }
        now = {
            resource: await self._observations.look(resource)
            for resource in dict.fromkeys(found.values())
            if resource is not None
        }
        drifted = {owner for owner in self._ownership.owners if self._inventories.get(owner) is None}
        for name, inventory in done.items():
            if self._inventories.get(inventory.owner) is not inventory:
                continue  # it was written while we looked
            for entry in inventory.entries:
                resource = found[entry.api_version, entry.kind]
                there = now[resource].get((entry.namespace, entry.name)) if resource else None
                then = None if entry in inventory.stamps else before.get(entry)
                if not is_intact(entry, inventory, name, there) or (then is not None and then != there):
                    drifted.add(inventory.owner)
                    break
        return drifted
