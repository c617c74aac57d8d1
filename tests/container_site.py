"""A Promise of container pipelines with a repository, on a real API server: what tests of such pipelines start from."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.job_player import JobPlayer
from tests.operators import OperatorProcess
from tests.platforms import (
    Platform,
    Repository,
    all_files,
    api_of,
    destination,
    git_store,
    promise,
)
from troth.api import Resource
from troth.api.resources import DESTINATION, GIT_STATE_STORE, WORK
from troth.dev import ControlPlane
from troth.kube import Client

IMAGE = "registry.example.com/troth:1"
MANUAL = "kratix.io/manual-reconciliation"
SUSPENDED = "kratix.io/workflow-suspended"
WRITE = """\
size=$(sed -n 's/^  size: //p' /kratix/input/object.yaml)
printf 'kind: Made\\nmetadata: {name: %s}\\nsize: %s\\n' "$KRATIX_OBJECT_NAME" "$size" > /kratix/output/made.yaml
printf 'url: https://%s.example.com\\n' "$KRATIX_OBJECT_NAME" > /kratix/metadata/status.yaml
"""
CORE_EVENT = Resource("", "v1", "events", "Event")  # in which the Job controller and the kubelet write
ROLL = "kind: Rolled\nname: {{ name }}\n"

Object = dict[str, Any]


def containers(name: str, script: str = WRITE, **spec: Any) -> Object:
    """A pipeline with one container, which runs a script."""
    one = {"name": "one", "image": "registry.example.com/shell:1", "command": ["sh", "-ec", script]}
    return {
        "apiVersion": "platform.kratix.io/v1alpha1",
        "kind": "Pipeline",
        "metadata": {"name": name},
        "spec": {"containers": [one], **spec},
    }


def jinja(name: str) -> Object:
    """A pipeline of templates with one file."""
    return {
        "apiVersion": "troth.dev/v1alpha1",
        "kind": "JinjaPipeline",
        "metadata": {"name": name},
        "spec": {"files": [{"path": "rolled.yaml", "template": ROLL}]},
    }


def phases(live: Object) -> dict[str, str]:
    """The phase of each pipeline."""
    entries = live.get("status", {}).get("kratix", {}).get("workflows", {}).get("pipelines") or ()
    return {entry["name"]: entry["phase"] for entry in entries}


@dataclass
class Site:
    """A Promise of container pipelines with a repository, in a namespace whose Jobs are played.

    Attributes:
        start: starts an operator that runs containers, with more arguments if there are any; ``kubeconfig`` says how it
            reaches the API server.
    """

    platform: Platform
    player: JobPlayer
    repository: Repository
    name: str
    namespace: str
    start: Callable[..., OperatorProcess]

    def promise(self, *pipelines: Object) -> Object:
        """A Promise whose requests are carried out by these pipelines."""
        found = promise(self.name)
        found["spec"]["workflows"]["resource"]["configure"] = list(pipelines)
        return found

    async def ask(self, *pipelines: Object) -> None:
        """Publishes a Promise of these pipelines, and asks for ``cache``."""
        await self.platform.publish(self.promise(*pipelines))
        await self.platform.ask(self.name, "cache", self.namespace, size="small")

    async def request(self, test: Callable[[Object], bool], *, within: float = 60) -> Object:
        """Waits until the request passes a test."""
        return await self.platform.wait(api_of(self.name), "cache", test, namespace=self.namespace, within=within)

    async def ready(self, name: str = "cache", *, within: float = 60) -> Object:
        """Waits until a request is Ready."""
        return await self.platform.ready(self.name, name, self.namespace, within=within)

    async def change(self, patch: Object) -> None:
        """Changes the request."""
        await self.platform.client.merge_patch(api_of(self.name), "cache", patch, namespace=self.namespace)

    async def label(self, name: str, value: str | None) -> None:
        """Sets a label of the request, or takes it off."""
        await self.change({"metadata": {"labels": {name: value}}})

    async def works(self) -> list[Object]:
        """The Works of the namespace."""
        return (await self.platform.client.list(WORK, self.namespace)).items

    async def edit_work(self, groups: list[Object]) -> None:
        """Edits the only Work as somebody else would."""
        (work,) = await self.works()
        patch = {"spec": {"workloadGroups": groups}}
        await self.platform.client.merge_patch(WORK, work["metadata"]["name"], patch, namespace=self.namespace)

    async def files(self, name: str = "cache") -> dict[str, Any]:
        """The manifests of a request, by the names of their files."""
        found = await all_files(self.repository)
        return {Path(path).name: yaml.safe_load(text) for path, text in found.items() if f"/{name}/" in path}


async def warn(site: Site, about: Object, kind: str, reason: str, message: str) -> None:
    """Writes an Event as the Job controller and the kubelet do."""
    meta = about["metadata"]
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    await site.platform.client.create(
        CORE_EVENT,
        {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {"generateName": "warning-", "namespace": site.namespace},
            "involvedObject": {
                "kind": kind,
                "name": meta["name"],
                "namespace": site.namespace,
                "uid": meta["uid"],
            },
            "type": "Warning",
            "reason": reason,
            "message": message,
            "count": 1,
            "firstTimestamp": now,
            "lastTimestamp": now,
            "source": {"component": "test"},
        },
    )


@pytest.fixture
async def site(
    control_plane: ControlPlane,
    client: Client,
    operator: Callable[..., OperatorProcess],
    tmp_path: Path,
    unique: str,
    namespace: str,
) -> AsyncIterator[Site]:
    stores = tmp_path / "stores"
    stores.mkdir()

    def start(*more: str | Path, **how: Any) -> OperatorProcess:
        return operator("--local-stores", stores, "--store-poll", "1", "--adapter-image", IMAGE, *more, **how)

    platform, repository = Platform(client), Repository(stores / f"{unique}.git")
    await platform.make(GIT_STATE_STORE, git_store(unique, str(repository.path)))
    await platform.make(DESTINATION, destination(unique, store=unique, labels={"for": unique}))
    async with JobPlayer(control_plane, client, namespace, tmp_path / "pods") as player:
        yield Site(platform, player, repository, unique, namespace, start)
        await platform.clean()
