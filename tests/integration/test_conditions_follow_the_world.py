"""Whatever happens to a platform, in whatever order: the Ready of every object says what is so.

The model (tests/world_model.py) walks at random; the same is done to a cluster, and after each step every object must
say what the model says, in its newest generation. Some steps happen while the operator is dead. The numbers of the
walks are printed; `TROTH_WORLD_WALKS` sets how many there are.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.operators import OperatorProcess
from tests.platforms import (
    Object,
    Platform,
    Repository,
    all_files,
    api_of,
    available,
    condition,
    destination,
    git_store,
    promise,
)
from tests.strangers import refuse_pushes
from tests.waiting import eventually
from tests.world_model import Told, World, walk
from troth.api import Resource
from troth.api.resources import DESTINATION, GIT_STATE_STORE, PROMISE, WORK, WORK_PLACEMENT
from troth.kube import Client, NotFound

SEED = 20261129
WALKS = int(os.environ.get("TROTH_WORLD_WALKS", "2"))
STEPS = 14
UNSEEN = 6  # every sixth step or so
WITHIN = 60.0
PAUSED = "kratix.io/paused"
TEMPLATE = """\
{% if spec.fails %}{{ fail("not this one") }}{% endif %}
kind: Thing
name: {{ name }}
size: {{ spec.size }}
"""


@dataclass
class Cluster:
    """The same world in a cluster."""

    platform: Platform
    repository: Repository
    name: str
    namespace: str
    begin: Callable[[], OperatorProcess]
    operator: OperatorProcess

    async def follow_unseen(self, world: World) -> None:
        """The same while the operator is dead."""
        await asyncio.to_thread(self.operator.kill)
        await self.follow(world)
        self.operator = await asyncio.to_thread(self.begin)

    @property
    def needed(self) -> str:
        return f"{self.name}n"

    async def follow(self, world: World) -> None:
        """Brings everything that people can touch to what the model says."""
        await self._store(world)
        if world.destination == "deleted":
            await self.platform.delete(DESTINATION, self.name)
            await self.platform.gone(DESTINATION, self.name)
        else:
            labels = {"for": self.name if world.destination == "labelled" else "others"}
            await self.platform.make(DESTINATION, destination(self.name, store=self.name, labels=labels))
        await self._needed(world)
        made = promise(
            self.name,
            template="a: {{ spec.size | nosuchfilter }}\n" if world.invalid else TEMPLATE,
            requiredPromises=[{"name": self.needed}],
        )
        await self.platform.make(PROMISE, _labelled(made, paused=world.paused))
        for asked in world.requests:
            body = {
                "apiVersion": api_of(self.name).api_version,
                "kind": api_of(self.name).kind,
                "metadata": {"name": asked.name, "namespace": self.namespace},
                "spec": {"size": f"v{asked.content}", "fails": asked.fails},
            }
            await self.platform.make(api_of(self.name), _labelled(body, paused=asked.paused))

    async def _store(self, world: World) -> None:
        away = self.repository.path.with_suffix(".away")
        if away.exists() and world.store != "away":
            away.rename(self.repository.path)
        hook = self.repository.path / "hooks" / "pre-receive"
        if world.store == "refusing":
            await asyncio.to_thread(refuse_pushes, self.repository, "frozen until Monday")
        elif hook.exists():
            hook.unlink()
        if world.store == "deleted":
            await self.platform.delete(GIT_STATE_STORE, self.name)
            await self.platform.gone(GIT_STATE_STORE, self.name)
        else:
            await self.platform.make(GIT_STATE_STORE, git_store(self.name, str(self.repository.path)))
        if world.store == "away" and not away.exists():
            self.repository.path.rename(away)

    async def _needed(self, world: World) -> None:
        if world.needed == "deleted":
            await self.platform.delete(PROMISE, self.needed)
            await self.platform.gone(PROMISE, self.needed)
            return
        made = promise(self.needed, selectors={"for": "nobody"})
        await self.platform.make(PROMISE, _labelled(made, paused=world.needed == "paused"))

    async def done(self, world: World) -> dict[str, tuple[int, str]]:
        """Of every request: which generation was carried out last, and what of it is in the repository."""
        away = self.repository.path.with_suffix(".away")
        files = await all_files(Repository(away) if world.store == "away" else self.repository)
        found = {}
        for live in (await self.platform.client.list(api_of(self.name), self.namespace)).items:
            name = live["metadata"]["name"]
            written = [text for path, text in files.items() if f"/{self.namespace}/{self.name}/{name}/" in path]
            size = written[0].rpartition("size: ")[2].strip() if written else ""
            found[name] = ((live.get("status") or {}).get("observedGeneration", 0), size)
        return found

    async def told(self) -> dict[tuple[str, str], Told]:
        """What every object says, by the model's names for it and its kind."""
        found: dict[tuple[str, str], Told] = {}
        fixed = {
            "promise": ("Promise", PROMISE, self.name),
            "needed": ("Promise", PROMISE, self.needed),
            "store": ("state store", GIT_STATE_STORE, self.name),
            "destination": ("Destination", DESTINATION, self.name),
        }
        for name, (kind, resource, called) in fixed.items():
            try:
                found[name, kind] = _ready(kind, await self.platform.client.get(resource, called))
            except NotFound:
                continue
        kinds: tuple[tuple[str, Resource], ...] = (
            ("request", api_of(self.name)),
            ("Work", WORK),
            ("WorkPlacement", WORK_PLACEMENT),
        )
        for kind, resource in kinds:
            for live in (await self.platform.client.list(resource, self.namespace)).items:
                if kind == "WorkPlacement" and "deletionTimestamp" in live["metadata"]:
                    continue
                name = live["metadata"]["name"] if kind == "request" else live["spec"]["resourceName"]
                found[name, kind] = _ready(kind, live)
        return found


@pytest.fixture
async def cluster(
    client: Client, operator: Callable[..., OperatorProcess], unique: str, namespace: str, tmp_path: Path
) -> AsyncIterator[Cluster]:
    def begin() -> OperatorProcess:
        return operator("--local-stores", tmp_path, "--store-poll", "1", "--failing-store-poll", "0.5")

    platform = Platform(client)
    repository = await asyncio.to_thread(Repository, tmp_path / "gitops.git")
    yield Cluster(platform, repository, unique, namespace, begin, await asyncio.to_thread(begin))
    await platform.clean()


@pytest.mark.parametrize("seed", range(SEED, SEED + WALKS))
async def test_ready_of_every_object_follows_the_world(cluster: Cluster, seed: int, record_property: Any) -> None:
    story: list[str] = []
    await cluster.follow(World())
    await cluster.platform.wait(PROMISE, cluster.name, available)
    for world, happened in walk(seed, STEPS):
        story.append(happened)
        # A Promise goes only with the help of the operator.
        if len(story) % UNSEEN == 0 and happened != "the required Promise is deleted":
            story.append("(unseen)")
            await cluster.follow_unseen(world)
        else:
            await cluster.follow(world)
        expected = {(name, told.kind): told for name, told in world.told()}

        async def look(expected: Mapping[tuple[str, str], Told] = expected, world: World = world) -> bool:
            actual = await cluster.told()
            wrong = {
                f"{kind} {name}": f"says {actual.get((name, kind))}, not {expected.get((name, kind))}"
                for name, kind in sorted(expected.keys() | actual.keys())
                if actual.get((name, kind)) != expected.get((name, kind))
            }
            done = {
                asked.name: (asked.carried_out, f"v{asked.written}" if asked.written else "")
                for asked in world.requests
            }
            assert await cluster.done(world) == done
            assert not wrong, f"{wrong}\nafter: {'; '.join(story)} (walk {seed})"
            return True

        await eventually(look, "every object says what is so", within=WITHIN, every=0.1)
    record_property("told", f"world walk {seed}: {len(story)} steps")


def _labelled(body: Object, *, paused: bool) -> Object:
    body["metadata"]["labels"] = {PAUSED: "true"} if paused else {}
    return body


def _ready(kind: str, live: Mapping[str, Any]) -> Told:
    ready = condition(live, "Ready")
    status = str(ready.get("status"))
    observed = (live.get("status") or {}).get("observedGeneration")
    if status == "True" and observed != live["metadata"]["generation"]:
        status = f"True of generation {observed} and not of {live['metadata']['generation']}"
    return Told(kind, status, str(ready.get("reason")))
