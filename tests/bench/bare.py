"""Measures the lower limit: a loop that makes the same writes and pushes without deciding anything.

The loop copies what the operator wrote for one request (its Work, its WorkPlacement, its statuses, an Event) under
other names, with the same client and the same Git writer, while the operator does not run and nothing is watched. The
time that the operator needs beyond that is the cost of reconciling: reading back, deciding, rendering, queueing.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

from tests.bench.processes import Neighbours
from tests.bench.requests import API, BAD_SIZE, FILES, GOOD_SIZE, IN_FLIGHT, NAMESPACE, bench_request
from tests.bench.site import Site
from tests.platforms import Object
from troth.api import Resource
from troth.api.resources import EVENT, WORK, WORK_PLACEMENT
from troth.dev.git_server import git
from troth.engine.placement.work import blob_id
from troth.kube import Client
from troth.stores import Claim
from troth.stores.git import GitWriter
from troth.stores.git_remote import open_remote
from troth.stores.git_repository import Author

_OURS = ("uid", "resourceVersion", "managedFields", "creationTimestamp", "generation", "selfLink")


@dataclass(frozen=True, slots=True)
class BareBurst:
    """The seconds from the first POST until everything was pushed, and until everything was done; and the commits."""

    committed: float
    done: float
    commits: int


@dataclass(slots=True)
class Bare:
    """The times of the loop, in seconds.

    Attributes:
        committed: the time from the POST to the push of each request, one after another.
        done: the time from the POST to the last write of each request.
        bursts: the times of bursts, by the number of requests at once.
        cpu: the processor time of the loop's own thread for each request of the last burst, without git.
        listed: the time to read everything that a restart reads.
        failed: the time of each edit with the one status that answers it.
        others: the number of cores that other programs kept busy meanwhile.
    """

    committed: list[float] = field(default_factory=list)
    done: list[float] = field(default_factory=list)
    bursts: dict[int, BareBurst] = field(default_factory=dict)
    cpu: float | None = None
    listed: float = 0.0
    failed: list[float] = field(default_factory=list)
    others: float | None = None


@dataclass(frozen=True, slots=True)
class Model:
    """What the operator wrote for one request, as JSON that contains the request's name."""

    name: str
    request: bytes
    work: bytes
    placement: bytes
    event: bytes

    def copy(self, part: bytes, name: str) -> Object:
        """A part with the name of another request, without what the server fills in."""
        obj: Object = orjson.loads(part.replace(self.name.encode(), name.encode()))
        for key in _OURS:
            obj["metadata"].pop(key, None)
        return obj


async def read_model(client: Client, name: str) -> Model:
    """Reads what belongs to a request that is Ready and does not change any more."""

    async def find(resource: Resource) -> bytes:
        items = (await client.list(resource, NAMESPACE)).items
        found = next(item for item in items if f"{name}-" in item["metadata"]["name"])
        return orjson.dumps(found)

    events = (await client.list(EVENT, NAMESPACE)).items
    event = next(item for item in events if item["regarding"]["name"] == name)
    return Model(
        name=name,
        request=orjson.dumps(await client.get(API, name, NAMESPACE)),
        work=await find(WORK),
        placement=await find(WORK_PLACEMENT),
        event=orjson.dumps(event),
    )


class Loop:
    """The loop, with the repository to which it pushes."""

    def __init__(self, client: Client, writer: GitWriter, model: Model) -> None:
        self._client = client
        self._writer = writer
        self._model = model
        self._flight = asyncio.Semaphore(IN_FLIGHT)

    async def one(self, name: str) -> tuple[float, float]:
        """Does everything for one request. Returns the seconds until it was pushed, and until all was done."""
        began = time.monotonic()
        async with self._flight:
            await self._before(name)
        await self._writer.write(_claim(name))
        pushed = time.monotonic() - began
        async with self._flight:
            await self._after(name)
        return pushed, time.monotonic() - began

    async def many(self, names: Iterable[str]) -> tuple[float, float]:
        """Does everything for several requests, with 32 calls in flight. Returns the times of the last one as `one`."""
        times = await asyncio.gather(*(self.one(name) for name in names))
        return max(pushed for pushed, _ in times), max(done for _, done in times)

    async def _before(self, name: str) -> None:
        client, model = self._client, self._model
        await client.create(API, bench_request(name))
        request = model.copy(model.request, name)
        metadata = {"finalizers": request["metadata"]["finalizers"], "labels": request["metadata"]["labels"]}
        await client.merge_patch(API, name, {"metadata": metadata}, namespace=NAMESPACE)
        await client.create(WORK, model.copy(model.work, name))
        await client.create(WORK_PLACEMENT, model.copy(model.placement, name))

    async def _after(self, name: str) -> None:
        model = self._model
        for resource, part in ((WORK_PLACEMENT, model.placement), (WORK, model.work), (API, model.request)):
            obj = model.copy(part, name)
            await self._client.merge_patch(
                resource,
                obj["metadata"]["name"],
                {"status": obj["status"]},
                namespace=NAMESPACE,
                subresource="status",
            )
        event = model.copy(model.event, name)
        event["metadata"]["name"] = f"{name}.bare"
        await self._client.create(EVENT, event)


async def measure_bare(site: Site, *, model: str, singles: int, bursts: Iterable[int]) -> Bare:
    """Measures everything, after the operator has been ended. ``model`` is the name of the request to copy."""
    site.say("bare limit: the same writes without an operator")
    result, neighbours = Bare(), Neighbours()
    began = time.monotonic()
    await asyncio.gather(*(_read_all(site.client, kind) for kind in (API, WORK, WORK_PLACEMENT)))
    result.listed = time.monotonic() - began
    copied = await read_model(site.client, model)
    async with _writer(site) as (writer, count):
        loop = Loop(site.client, writer, copied)
        await loop.one("bare-warm")
        for number in range(singles):
            pushed, done = await loop.one(f"bare-single-{number}")
            result.committed.append(pushed)
            result.done.append(done)
        for number in range(singles):
            result.failed.append(await _fail(site.client, f"bare-single-{number}"))
        for size in bursts:
            site.say(f"bare limit: {size} at once")
            before, cpu = count(), time.thread_time()
            pushed, done = await loop.many(f"bare-of{size}-{number}" for number in range(size))
            result.bursts[size] = BareBurst(pushed, done, count() - before)
            result.cpu = (time.thread_time() - cpu) / size
    result.others = neighbours.cores()
    return result


async def _read_all(client: Client, resource: Resource) -> None:
    async for _ in client.list_pages(resource):
        pass


async def _fail(client: Client, name: str) -> float:
    began = time.monotonic()
    for size in (BAD_SIZE, GOOD_SIZE):
        await client.merge_patch(API, name, {"spec": {"size": size}}, namespace=NAMESPACE)
        failure: Mapping[str, Any] = {"message": "a template failed", "troth": {"phase": size}}
        await client.merge_patch(API, name, {"status": failure}, namespace=NAMESPACE, subresource="status")
    return (time.monotonic() - began) / 2


@asynccontextmanager
async def _writer(site: Site) -> AsyncIterator[tuple[GitWriter, Callable[[], int]]]:
    path = await asyncio.to_thread(site.git.create_repository, "bare")
    writer = GitWriter(
        remote=open_remote(site.git.url("bare"), None),
        branch="main",
        author=Author("bench", "bench@example.com"),
        workspace=site.folder / "bare-workspace",
        surroundings=dict(os.environ),
    )
    try:
        yield writer, lambda: _commits(path)
    finally:
        await writer.close()


def _claim(name: str) -> Claim:
    folder = f"bench/resources/{NAMESPACE}/bench/{name}/instance/5058f"
    files = {f"{folder}/{number}.yaml": f"name: {name}\n{'# ' * 40}{number}\n".encode() for number in range(FILES)}

    async def load() -> Mapping[str, bytes]:
        return files

    return Claim(
        owner=name, files={path: blob_id(data) for path, data in files.items()}, load=load, directory=folder
    )


def _commits(path: Path) -> int:
    return int(git(path, "rev-list", "--count", "main"))
