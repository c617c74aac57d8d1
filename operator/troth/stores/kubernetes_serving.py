"""Which kinds a cluster serves, also those that a claim has just defined.

Where a kind lives is what the API server says, and not what a definition in a claim says. And it says so a while before
it takes objects of the kind.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping, Sequence

from troth.api import Resource, TrothError
from troth.stores.kubernetes_client import KubernetesClient, status_of
from troth.stores.kubernetes_failures import ObjectFailure, told
from troth.stores.kubernetes_objects import Entry, Manifest, ObjectKey, own_resources
from troth.stores.kubernetes_standing import INVENTORY

Kind = tuple[str, str]
"""An API version and a kind."""


class ServedKinds:
    """Looks for kinds, and waits for them.

    Args of the constructor: ``timeout`` is how long a kind may take, ``interval`` how often it is looked; in seconds.
    """

    def __init__(self, client: KubernetesClient, *, timeout: float, interval: float) -> None:
        self._client = client
        self._timeout = timeout
        self._interval = interval

    async def find(self, entry: Entry, *, refresh: bool = False) -> Resource | None:
        """Where the objects of an entry's kind live; None when the kind is not served. Raises StoreError."""
        try:
            return await self._client.find_resource(entry.api_version, entry.kind, refresh=refresh)
        except TrothError as error:
            raise told(error, doing=f"looking for the kind {entry.kind}") from error

    async def mismatched(
        self, manifests: Sequence[Manifest], resources: Mapping[ObjectKey, Resource], kinds: Collection[Kind]
    ) -> list[ObjectFailure]:
        """The objects of these kinds that the cluster does not serve as ``resources`` has them. Raises StoreError."""
        failures = []
        served: dict[Kind, Resource | None] = {}
        for manifest in manifests:
            kind = (manifest.entry.api_version, manifest.entry.kind)
            if kind in kinds:
                if kind not in served:
                    served[kind] = await self.find(manifest.entry)
                if served[kind] != resources[manifest.key]:
                    problem = "the cluster does not serve its kind as its CustomResourceDefinition says"
                    failures.append(ObjectFailure(manifest.key, problem, missing_kind=True, follows=True))
        return failures

    async def wait(self, definitions: Sequence[Manifest]) -> list[ObjectFailure]:
        """Until the kinds are served; those that are not in time are returned."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._timeout
        failures = []
        for manifest in definitions:
            for resource in own_resources([manifest]).values():
                while not await self._is_served(resource):
                    if loop.time() >= deadline:
                        problem = f"{resource.kind} was not served within {self._timeout:g} s"
                        failures.append(ObjectFailure(manifest.key, problem))
                        break
                    await asyncio.sleep(self._interval)
        return failures

    async def _is_served(self, resource: Resource) -> bool:
        try:
            if await self._client.find_resource(resource.api_version, resource.kind) is None:
                return False
            # discovery is ahead of the storage: only an answered read proves that writes will be
            await self._client.list(resource, label_selector=INVENTORY, limit=1)
        except TrothError as error:
            if status_of(error) in {404, 429, 503}:
                return False
            return status_of(error) == 403  # we may not list it, so it is there
        return True
