"""A cluster as a state store for tests, which is checked with a separate client."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import yaml

from tests.store_contract import object_name
from troth.api.resources import CONFIG_MAP
from troth.engine.yaml.manifests import load_documents
from troth.kube import Client
from troth.stores import Claim, StateStoreWriter
from troth.stores.content import blob_id
from troth.stores.kubernetes import KubernetesSettings, KubernetesWriter

Object = dict[str, Any]


def claim(owner: str, *objects: Object, **files: list[Object]) -> Claim:
    """A claim with one file of these objects, or several files."""
    named = {"all.yaml": list(objects)} if objects else {}
    named |= {f"{name}.yaml": content for name, content in files.items()}
    content = {name: yaml.safe_dump_all(objs).encode() for name, objs in named.items()}

    async def load() -> Mapping[str, bytes]:
        return content

    return Claim(owner, {name: blob_id(data) for name, data in content.items()}, load)


def config_map(name: str, namespace: str | None, **data: str) -> Object:
    metadata = {"name": name} | ({"namespace": namespace} if namespace else {})
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}


async def existing_objects(client: Client, namespace: str) -> set[str]:
    """The names of a test's ConfigMaps, without the inventories and those that Kubernetes creates."""
    listing = await client.list(CONFIG_MAP, namespace)
    found = {item["metadata"]["name"] for item in listing.items}
    return {name for name in found if not name.startswith(("troth-", "kube-root"))}


class ClusterStore:
    """A store in one namespace, which holds both the claimed objects and the inventories."""

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
