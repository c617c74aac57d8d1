"""What one test has on the node's cluster: a namespace, a repository, and Promises as users write them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from tests.node.node import Node
from tests.node.platform import NodeOperator, SharedOperator
from tests.platforms import Platform, Repository, all_files, destination, git_store, is_ready
from tests.waiting import stretched
from troth.api.resources import DESTINATION, GIT_STATE_STORE, JOB, Resource
from troth.kube import Client

PROMISES = Path(__file__).with_name("promises")
WITHIN = 150.0  # seconds for a workflow, on a machine that does other things, too

Object = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Site:
    """What one test has.

    Attributes:
        node: the node.
        platform: makes objects, and removes them after the test.
        repository: where the manifests of this test's Destinations stand.
        namespace: for requests.
    """

    node: Node
    platform: Platform
    repository: Repository
    namespace: str

    @property
    def client(self) -> Client:
        """An administrator."""
        return self.platform.client

    async def add_destination(self, name: str, **labels: str) -> None:
        """Makes a Destination in the repository, whose path is its name without this test's namespace."""
        await self.platform.make(
            DESTINATION,
            destination(f"{self.namespace}-{name}", store=self.namespace, labels=labels, path=name),
        )

    async def publish(self, name: str) -> Resource:
        """Applies a Promise of ``promises/`` and waits until it is Available. Returns the resource of its requests."""
        return await self.publish_object(read_promise(name))

    async def publish_object(self, promise: Object) -> Resource:
        """The same with a Promise that a test has made."""
        await self.platform.publish(promise, within=stretched(WITHIN))
        return api_of(promise)

    async def ask(self, api: Resource, name: str, spec: Mapping[str, Any] | None = None) -> None:
        """Applies a request."""
        await self.platform.make(
            api,
            {
                "apiVersion": api.api_version,
                "kind": api.kind,
                "metadata": {"name": name, "namespace": self.namespace},
                "spec": dict(spec or {}),
            },
        )

    async def wait(
        self, api: Resource, name: str, test: Callable[[Object], bool], *, within: float = WITHIN
    ) -> Object:
        """Waits until a request passes a test; ``within`` is made longer on a busy machine."""
        return await self.platform.wait(api, name, test, namespace=self.namespace, within=stretched(within))

    async def ready(self, api: Resource, name: str, *, within: float = WITHIN) -> Object:
        """Waits until a request is Ready."""
        return await self.wait(api, name, is_ready, within=within)

    async def change(self, api: Resource, name: str, patch: Object) -> None:
        """Changes a request."""
        await self.client.merge_patch(api, name, patch, namespace=self.namespace)

    async def files(self, prefix: str = "") -> dict[str, str]:
        """The repository's files below a path, by their paths; without what Troth writes into every one."""
        found = await all_files(self.repository, prefix)
        return {path: text for path, text in found.items() if "/" in path and "kratix-canary" not in path}

    async def jobs(self) -> list[Object]:
        """The Jobs of the namespace, the oldest first."""
        found = (await self.client.list(JOB, self.namespace)).items
        return sorted(found, key=lambda job: str(job["metadata"]["creationTimestamp"]))

    async def kubectl(self, *arguments: str, check: bool = True) -> str:
        """The output of kubectl, as administrator."""
        return (await asyncio.to_thread(self.node.kubectl, *arguments, check=check)).stdout


async def made_site(operator: NodeOperator | SharedOperator, platform: Platform, namespace: str) -> Site:
    """A site with its repository."""
    repository = Repository(operator.stores / f"{namespace}.git")
    await platform.make(GIT_STATE_STORE, git_store(namespace, str(repository.path)))
    return Site(operator.node, platform, repository, namespace)


def read_promise(name: str, *, named: str = "") -> Object:
    """A Promise of ``promises/``.

    Args:
        name: of the file.
        named: the name that the Promise and its API get instead of their own. Tests run beside each other and Promises
            belong to no namespace, so two tests that use one file have to name it differently.
    """
    text = (PROMISES / f"{name}.yaml").read_text()
    found: Object = yaml.safe_load(text)
    if named:
        own = found["metadata"]["name"]
        found = yaml.safe_load(text.replace(own, named).replace(own.capitalize(), named.capitalize()))
    return found


def api_of(promise: Mapping[str, Any]) -> Resource:
    """The resource of a Promise's requests."""
    spec = promise["spec"]["api"]["spec"]
    names = spec["names"]
    return Resource(spec["group"], spec["versions"][0]["name"], names["plural"], names["kind"])
