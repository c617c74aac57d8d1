"""Whether a cluster serves the kinds that a claim has just defined: it says so a while before it takes objects."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from troth.api import Resource, TrothError
from troth.stores.kubernetes_client import KubernetesClient, status_of
from troth.stores.kubernetes_failures import ObjectFailure
from troth.stores.kubernetes_objects import Manifest, own_resources
from troth.stores.kubernetes_standing import INVENTORY


class ServedKinds:
    """Waits for kinds.

    Args of the constructor: ``timeout`` is how long a kind may take, ``interval`` how often it is looked; in seconds.
    """

    def __init__(self, client: KubernetesClient, *, timeout: float, interval: float) -> None:
        self._client = client
        self._timeout = timeout
        self._interval = interval

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
