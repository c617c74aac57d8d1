"""Attackers, each of which attacks again and again.

An attack is an asynchronous generator: before its first ``yield`` it makes what it needs, and between two of them it
attacks once. It never ends by itself; the caller decides how often it attacks and when it ends. What it leaves behind
is in a namespace of `Ground`, or was made with its `Platform`, so that the caller can remove it.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.deep_objects import Hand, Refused
from tests.forging import Corner
from tests.platforms import Object, Platform, Repository, api_of, destination, git_store, promise, request
from troth.api.resources import DESTINATION, GIT_STATE_STORE, NAMESPACE
from troth.dev.git_server import GitServer
from troth.kube import Client, KubeError

SETTING_UP = 120.0
IN_FLIGHT = 8


@dataclass(frozen=True, slots=True)
class Ground:
    """What attackers share.

    Attributes:
        platform: makes objects without a namespace, and remembers them.
        hand: writes objects that Python could not write.
        server: serves the repositories.
        folder: a folder for files of the attackers.
        name: the beginning of the names of everything that they make.
        namespaces: the namespaces that they have made.
    """

    platform: Platform
    hand: Hand
    server: GitServer
    folder: Path
    name: str
    namespaces: list[str] = field(default_factory=list)

    @property
    def client(self) -> Client:
        return self.platform.client

    async def namespace(self, suffix: str) -> str:
        """Makes a namespace that an attacker may edit."""
        name = f"{self.name}{suffix}"
        await self.client.create(NAMESPACE, {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
        self.namespaces.append(name)
        return name

    async def corner(self, suffix: str, *, at: Mapping[str, Any] | None = None, **spec: Any) -> Corner:
        """Makes a namespace, a repository, and a Promise whose requests are written from the one to the other.

        Args:
            suffix: the suffix of the name that all of them have.
            at: the spec of the Destination.
            spec: the arguments of `promise`.
        """
        name = await self.namespace(suffix)
        repository = Repository(await asyncio.to_thread(self.server.create_repository, name))
        await self.platform.make(GIT_STATE_STORE, git_store(name, self.server.url(name)))
        target = destination(name, store=name, labels={"for": name}, **(at or {}))
        await self.platform.make(DESTINATION, target)
        await self.platform.publish(promise(name, **spec), within=SETTING_UP)
        return Corner(self.platform, repository, name)


Attack = Callable[[Ground], AsyncGenerator[None, None]]


@contextlib.contextmanager
def tried() -> Iterator[None]:
    """Ignores that the API server refuses something, or is too slow for it: it was tried."""
    with contextlib.suppress(KubeError, Refused):
        yield


async def flood(client: Client, promise_name: str, namespace: str, specs: list[Object]) -> None:
    """Creates a request ``r<number>`` for each of the specs, a few at once."""
    numbered = iter(enumerate(specs))

    async def send() -> None:
        for number, spec in numbered:
            with tried():
                body = request(promise_name, f"r{number}", namespace, **spec)
                await client.create(api_of(promise_name), body)

    await asyncio.gather(*(send() for _ in range(IN_FLIGHT)))


async def edit(client: Client, promise_name: str, namespace: str, name: str, **spec: Any) -> None:
    """Changes some fields of a request."""
    with tried():
        await client.merge_patch(api_of(promise_name), name, {"spec": spec}, namespace=namespace)
