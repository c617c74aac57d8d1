"""The calls for one object: it is read, applied, deleted or given back.

kubernetes_standing.py decides who owns it.

An object that is recorded and was last seen as it should be is applied without reading it first, since the call names
its uid. So an object that is ours costs one call, and a new one two.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Final

from troth.api import Resource, TrothError
from troth.api.resources import NAMESPACE
from troth.stores.edits import Wish
from troth.stores.kubernetes_client import KubernetesClient, Object, is_missing, status_of
from troth.stores.kubernetes_failures import Foreign
from troth.stores.kubernetes_inventory import Inventories
from troth.stores.kubernetes_objects import Entry, Manifest, ObjectKey
from troth.stores.kubernetes_observation import Observations
from troth.stores.kubernetes_standing import (
    FIELD_MANAGER,
    Footing,
    Recorded,
    Seen,
    is_removable,
    judge,
    marked,
    refusal,
    release,
    see,
)

_RELEASES: Final = 3
_MISTAKEN: Final = frozenset({409, 422})
"""The API server's answers when an object is not the one that an apply names, or exists although it did not before."""


@dataclass(frozen=True, slots=True)
class Task:
    """A claim, with what is known of its objects.

    Attributes:
        wish: the claim.
        resources: the resources of the objects.
        recorded: what the owner's inventories say about the objects.
        names: the names of these inventories.
    """

    wish: Wish
    resources: Mapping[ObjectKey, Resource]
    recorded: Mapping[ObjectKey, Recorded]
    names: frozenset[str]

    @property
    def owner(self) -> str:
        """The claim's owner."""
        return self.wish.owner

    def judge(self, key: ObjectKey, there: Seen) -> Footing | None:
        """The footing on which an existing object may be applied; None when it is somebody else's."""
        return judge(
            there,
            names=self.names,
            recorded=self.recorded.get(key),
            owner=self.owner,
            adopts=self.wish.claim.adopts,
        )


class Conflict(TrothError):
    """Another owner has an object on record.

    Attributes:
        key: the object.
        first: the other owner.
        holder: the other owner's inventory.
        footing: the footing on which the object may be applied if the other owner releases it.
    """

    def __init__(self, key: ObjectKey, first: str, holder: str, footing: Footing) -> None:
        super().__init__(f"{key} is recorded as belonging to {first}")
        self.key = key
        self.first = first
        self.holder = holder
        self.footing = footing


class Objects:
    """Reads and writes the objects of one cluster, one at a time."""

    def __init__(self, client: KubernetesClient, inventories: Inventories, observations: Observations) -> None:
        self._client = client
        self._inventories = inventories
        self._observations = observations
        self._given_up: dict[ObjectKey, str] = {}

    async def look_at(self, task: Task, manifest: Manifest) -> Footing:
        """Reads an object and returns the footing on which it may be applied.

        Raises Foreign, Conflict or an error of the client.
        """
        key, resource = manifest.key, task.resources[manifest.key]
        try:
            there = see(await self._client.get(resource, key.name, key.namespace))
        except TrothError as error:
            if is_missing(error):
                return Footing()
            raise
        holder = "" if there.inventory in task.names else there.inventory
        if holder:
            other = await self._inventories.owner_of(holder)
            lists = other.recorded().get(key) if other else None
            if other is not None and lists is not None:
                raise Conflict(key, other.owner, holder, Footing(there.uid, there.adopted or lists.adopted))
            left = self._given_up.get(key) == holder or (other is not None and not other.problem)
            if left and there.applied:
                return Footing(there.uid, there.adopted)
        footing = task.judge(key, there)
        if footing is None:
            raise Foreign(refusal(key, resource, task.owner, inventory=there.inventory))
        return footing

    async def is_made(self, namespace: ObjectKey, labels: Collection[str]) -> bool:
        """Whether a Namespace exists and was created, or adopted, for one of these inventories."""
        try:
            there = see(await self._client.get(NAMESPACE, namespace.name))
        except TrothError as error:
            if is_missing(error):
                return False
            raise
        return there.inventory in labels and there.applied

    async def apply(self, task: Task, manifest: Manifest, footing: Footing) -> None:
        """Apply an object if its footing is still true; otherwise it is read once more."""
        try:
            await self._apply(task, manifest, footing)
        except TrothError as error:
            if status_of(error) not in _MISTAKEN:
                raise
            again = await self.look_at(task, manifest)
            if again == footing:
                raise
            await self._apply(task, manifest, again)

    async def _apply(self, task: Task, manifest: Manifest, footing: Footing) -> None:
        resource = task.resources[manifest.key]
        body = marked(manifest, self._inventories.name(task.owner), footing)
        there = await self._client.apply(resource, body, field_manager=FIELD_MANAGER)
        self._observations.note(resource, manifest.entry, there)
        self._given_up.pop(manifest.key, None)

    def give_up(self, key: ObjectKey, inventory: str) -> None:
        """Note that any claim may have an object, although it carries the label of this inventory."""
        self._given_up[key] = inventory

    async def remove(self, entry: Entry, recorded: Recorded | None, labels: Collection[str]) -> None:
        """Delete an object that was created by us, give back one that was adopted, and leave any other alone.

        Args:
            entry: the object.
            recorded: what its owner's inventory says about it.
            labels: the inventories whose label shows that it is the owner's.
        """
        resource = await self._client.find_resource(entry.api_version, entry.kind)
        if resource is None:
            return  # the kind is gone, and so are its objects
        try:
            there = await self._client.get(resource, entry.name, entry.namespace)
            seen = see(there)
            if seen.inventory in labels and not there["metadata"].get("deletionTimestamp"):
                if seen.adopted or (recorded is not None and recorded.adopted):
                    await self._give_back(resource, entry, there, labels)
                elif is_removable(seen):
                    await self._client.delete(resource, entry.name, entry.namespace, uid=seen.uid)
        except TrothError as error:
            if not is_missing(error):
                raise
        self._observations.forget(resource, entry)

    async def _give_back(self, resource: Resource, entry: Entry, there: Object, labels: Collection[str]) -> None:
        for attempt in range(_RELEASES):
            version = there["metadata"]["resourceVersion"]
            try:
                await self._client.merge_patch(
                    resource, entry.name, release(there), namespace=entry.namespace, resource_version=version
                )
            except TrothError as error:
                if status_of(error) != 409 or attempt == _RELEASES - 1:
                    raise
            else:
                return
            there = await self._client.get(resource, entry.name, entry.namespace)
            if see(there).inventory not in labels:
                return
