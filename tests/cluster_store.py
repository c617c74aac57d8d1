"""A cluster as a state store for tests, looked at with a client of its own."""

from __future__ import annotations

from tests.store_contract import object_name
from troth.api.resources import CONFIG_MAP
from troth.engine.manifests import load_documents
from troth.kube import Client
from troth.stores import StateStoreWriter
from troth.stores.kubernetes import KubernetesSettings, KubernetesWriter


class ClusterStore:
    """One namespace holds both what is claimed and the inventories."""

    def __init__(self, client: Client, namespace: str) -> None:
        self.client = client
        self.namespace = namespace
        self._writers: list[KubernetesWriter] = []

    def writer(self, *, store: str = "", settings: KubernetesSettings | None = None) -> KubernetesWriter:
        writer = KubernetesWriter(
            self.client,
            store=store or self.namespace,
            parse=load_documents,
            namespace=self.namespace,
            settings=settings or KubernetesSettings(look_interval=0.0),
        )
        self._writers.append(writer)
        return writer

    async def open(self) -> StateStoreWriter:
        return self.writer()

    async def contents(self) -> dict[str, str]:
        listing = await self.client.list(CONFIG_MAP, self.namespace)
        found = [item["data"] for item in listing.items if "value" in (item.get("data") or {})]
        return {data["path"]: data["value"] for data in found}

    async def revision(self) -> object:
        listing = await self.client.list(CONFIG_MAP, self.namespace)
        return sorted((item["metadata"]["name"], item["metadata"]["resourceVersion"]) for item in listing.items)

    async def vandalise(self, path: str) -> None:
        await self.client.delete(CONFIG_MAP, object_name(path), self.namespace)

    async def close(self) -> None:
        for writer in self._writers:
            await writer.close()
