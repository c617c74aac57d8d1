"""All hostile hands at once, for a minute, against one operator with the memory that the chart gives it.

Each of the attacks has a test of its own, and an operator that withstands each alone may fall to all of them: they
share its slots, the processes that render, the API server, its memory and its loop. So somebody honest is here as well,
with a namespace, a Promise and a repository of their own, and asks for something every few seconds.

What is promised:

* The process lives, the kernel kills nothing in its group, and `/healthz` answers within a second.
* Half of the honest requests are Ready within `USUAL`, counted without what the API server itself needs.
* The slowest is Ready within `SLOWEST`: it may come just when a dozen namespaces have asked for something, and wait for
  a turn of each, most of a second long, to be rendered.
* When the attackers have gone and others delete what they have left, it goes, and the operator has nothing to do.

All seconds are those of a machine of its own (`stretched`).
"""

from __future__ import annotations

import asyncio
import statistics
import threading
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.broken_secrets import marker, shapes
from tests.deep_objects import Hand, Kubectl
from tests.forging import MARK
from tests.hostile.attackers import Attack, Ground, editors, requesters, servers
from tests.hostile.limited import Limited, running_limited
from tests.idleness import idle
from tests.platforms import Platform, Repository, api_of, destination, git_store, is_ready, promise
from tests.waiting import eventually, stretched
from troth.api import Resource
from troth.api.resources import (
    CONFIG_MAP,
    CUSTOM_RESOURCE_DEFINITION,
    DESTINATION,
    EVENT,
    GIT_STATE_STORE,
    PROMISE,
    SECRET,
    WORK,
    WORK_PLACEMENT,
)
from troth.api.store_kinds import STORE_KINDS
from troth.dev import ControlPlane
from troth.dev.git_server import GitServer
from troth.kube import Client, load_credentials

STORES = tuple(kind.resource for kind in STORE_KINDS.values())
ATTACKS: tuple[Attack, ...] = (*requesters.ATTACKS, *editors.ATTACKS, *servers.ATTACKS)
LASTS = 60.0
STRIKES_APART = 0.5
REQUESTS_APART = 1.0
PROBES_APART = 0.25
PROBE = 1.0
USUAL = 3.0
SLOWEST = 8.0
LEAST = 5
WRITES = 8  # that a request needs until it is Ready (docs/benchmarks.md)
GONE = 60.0
pytestmark = [pytest.mark.timeout(900), pytest.mark.filterwarnings("ignore:Sending a large body")]


@dataclass
class Watch:
    """What was seen of the operator meanwhile.

    Attributes:
        slowest: of its probes, in seconds.
        late: those that were later than promised.
    """

    slowest: float = 0.0
    late: list[str] = field(default_factory=list)


@contextmanager
def watched(limited: Limited) -> Iterator[Watch]:
    """Looks at the operator's probe and its memory, in a thread: the loop is busy with the attackers."""
    watch, ended = Watch(), threading.Event()

    def probe() -> None:
        while not ended.wait(PROBES_APART):
            began = time.monotonic()
            status, _ = limited.process.get("/healthz")
            seconds = time.monotonic() - began
            watch.slowest = max(watch.slowest, seconds)
            if status != 200 or (seconds > PROBE and seconds > stretched(PROBE)):
                watch.late.append(f"{status} after {seconds:.2f} s")

    def weigh() -> None:
        while not ended.wait(0.02):
            limited.limit.look()

    threads = [threading.Thread(target=each) for each in (probe, weigh)]
    for thread in threads:
        thread.start()
    try:
        yield watch
    finally:
        ended.set()
        for thread in threads:
            thread.join()


@pytest.fixture
def limited(control_plane: ControlPlane, tmp_path: Path) -> Iterator[Limited]:
    """An operator under the chart's limit."""
    with running_limited(control_plane, tmp_path, flags=()) as limited:
        yield limited


@pytest.fixture
async def ground(
    control_plane: ControlPlane,
    limited: Limited,
    kubectl: Kubectl,
    git_server: GitServer,
    tmp_path: Path,
    unique: str,
) -> AsyncIterator[Ground]:
    """Where the attackers stand, with a client of their own."""
    client = Client(await load_credentials(control_plane.kubeconfig, None), user_agent="attackers")
    ground = Ground(Platform(client), Hand(kubectl, tmp_path), git_server, tmp_path, f"{unique}x")
    try:
        yield ground
    finally:
        limited.process.end()  # what it has not taken away by now is taken from it
        await asyncio.to_thread(sweep, ground, control_plane)
        await client.close()


def sweep(ground: Ground, control_plane: ControlPlane) -> None:
    """Takes away whatever attackers have made, and all finalizers."""
    api = control_plane.api
    there = {resource: set(api.names(resource.path())) for resource, _, _ in ground.platform.made()}
    left = [(resource, name) for resource, name, _ in ground.platform.made() if name in there[resource]]
    definitions = [name for name in api.names(CUSTOM_RESOURCE_DEFINITION.path()) if name.startswith(ground.name)]
    requests = [tuple(reversed(name.split(".", 1))) for name in definitions]
    for namespace in ground.namespaces:
        collections = [kind.path(namespace) for kind in (WORK_PLACEMENT, WORK, SECRET, EVENT)]
        collections += [f"/apis/{group}/v1/namespaces/{namespace}/{plural}" for group, plural in requests]
        control_plane.finish_namespace(namespace, strip_finalizers=True, collections=collections)
    left += [(CUSTOM_RESOURCE_DEFINITION, name) for name in definitions]
    for resource, name in left:
        api.request("DELETE", resource.path("", name), parse=False)
        api.request("PATCH", resource.path("", name), {"metadata": {"finalizers": None}}, parse=False)


@dataclass
class Honest:
    """Somebody with a Promise and a repository of their own.

    Attributes:
        seconds: how long each request took to be Ready, in seconds of a machine of its own. What the API server needs
            for as many writes as a request has, one after the other, is taken off: the operator cannot make that
            faster, and where others want the processors it is most of it.
    """

    platform: Platform
    repository: Repository
    namespace: str
    name: str
    seconds: list[float] = field(default_factory=list)

    async def ask(self) -> None:
        """One more request, which becomes Ready."""
        name = f"r{len(self.seconds)}"
        bare, seconds = await asyncio.gather(self._write(), self._ready(name))
        self.seconds.append((seconds - min(bare, seconds)) / stretched(1.0))
        load = (
            f"{seconds:.2f} s, of which {bare:.2f} s are the API server's; a second is {stretched(1.0):.1f} s now"
        )
        print(f"the honest request {name} was Ready after {load}", flush=True)

    async def _ready(self, name: str) -> float:
        began = time.monotonic()
        await self.platform.ask(self.name, name, self.namespace, size="small")
        await self.platform.ready(self.name, name, self.namespace, within=stretched(4 * SLOWEST))
        return time.monotonic() - began

    async def _write(self) -> float:
        began = time.monotonic()
        for number in range(WRITES):
            metadata = {"name": "bare", "namespace": self.namespace}
            body = {
                "apiVersion": "v1",
                "kind": "ConfigMap",
                "metadata": metadata,
                "data": {"n": f"{began}{number}"},
            }
            await self.platform.client.apply(CONFIG_MAP, body, field_manager="tests")
        return time.monotonic() - began


@pytest.fixture
async def honest(
    client: Client, limited: Limited, git_server: GitServer, namespace: str, unique: str
) -> AsyncIterator[Honest]:
    platform = Platform(client)
    repository = Repository(await asyncio.to_thread(git_server.create_repository, unique))
    await platform.make(GIT_STATE_STORE, git_store(unique, git_server.url(unique)))
    await platform.make(DESTINATION, destination(unique, store=unique, labels={"for": unique}))
    await platform.publish(promise(unique))
    yield Honest(platform, repository, namespace, unique)
    await platform.clean()


async def test_beside_all_attackers_at_once_the_operator_lives_and_serves_whoever_is_honest(
    limited: Limited, ground: Ground, honest: Honest, client: Client, control_plane: ControlPlane
) -> None:
    begun, ended = asyncio.Event(), asyncio.Event()
    left, strikes = set(ATTACKS), Counter[str]()

    async def drive(attack: Attack) -> None:
        async with aclosing(attack(ground)) as striking:
            await anext(striking)
            left.remove(attack)
            if not left:
                begun.set()
            await begun.wait()
            while not ended.is_set():
                await anext(striking)
                strikes[attack.__name__] += 1
                await pause(ended, stretched(STRIKES_APART))

    async with asyncio.TaskGroup() as group:
        with watched(limited) as watch:
            for attack in ATTACKS:
                group.create_task(drive(attack), name=attack.__name__)
            await begun.wait()
            end = time.monotonic() + LASTS
            while time.monotonic() < end or len(honest.seconds) < LEAST:
                await honest.ask()
                await pause(ended, REQUESTS_APART)
            ended.set()
    print(dict(strikes), watch, f"peak {limited.limit.peak >> 20} MiB")
    assert len(strikes) == len(ATTACKS)

    seconds = await take_away(ground, control_plane)
    print(f"gone after {seconds:.1f} s")
    await idle(limited.process, rounds=2, within=stretched(GONE))

    assert not watch.late
    assert limited.limit.kills() == 0
    assert limited.process.running
    assert statistics.median(honest.seconds) < USUAL, honest.seconds
    assert max(honest.seconds) < SLOWEST, honest.seconds
    await nothing_was_carried_over(limited, honest, client)


async def pause(ended: asyncio.Event, seconds: float) -> None:
    """Until something is over, and no longer than that."""
    try:
        await asyncio.wait_for(ended.wait(), seconds)
    except TimeoutError:
        return


async def take_away(ground: Ground, control_plane: ControlPlane) -> float:
    """Somebody deletes what the attackers have made, and all of it goes: nobody takes off a finalizer.

    The stores of servers that are gone go first: what was written there, if anything was, cannot be taken back.

    Returns:
        Seconds that it took.
    """
    platform, within, began = ground.platform, stretched(GONE), time.monotonic()

    async def go(*resources: Resource, of: str = "") -> None:
        made = [entry for entry in platform.made(*resources) if entry[1].startswith(of)]
        for resource, name, namespace in made:
            await platform.delete(resource, name, namespace=namespace)

        def gone() -> bool:
            there = {(each, name) for each in resources for name in control_plane.api.names(each.path())}
            left = [f"{resource.kind} {name}" for resource, name, _ in made if (resource, name) in there]
            assert not left, left
            return True

        left = max(1.0, began + within - time.monotonic())
        await eventually(
            lambda: asyncio.to_thread(gone), f"{resources[0].kind} and others go", within=left, every=0.5
        )

    def emptied() -> bool:
        collections = [kind.path(name) for name in ground.namespaces for kind in (WORK, WORK_PLACEMENT)]
        left = [collection for collection in collections if not control_plane.api.is_empty(collection)]
        assert not left, left
        return True

    await go(*STORES, of=f"{ground.name}served")
    await go(DESTINATION, of=f"{ground.name}served")
    await go(PROMISE)
    await eventually(lambda: asyncio.to_thread(emptied), "Works and placements go", within=within, every=0.5)
    await go(DESTINATION)
    await go(*STORES)
    return time.monotonic() - began


async def nothing_was_carried_over(limited: Limited, honest: Honest, client: Client) -> None:
    """What the attackers wrote is in nothing that is not theirs, and no Secret is in the log."""
    for number in range(len(honest.seconds)):
        assert is_ready(await client.get(api_of(honest.name), f"r{number}", honest.namespace))
    files = await asyncio.to_thread(honest.repository.files, f"{honest.name}/resources/")
    assert len([path for path, text in files.items() if "size: small" in text]) == len(honest.seconds)
    history = await asyncio.to_thread(honest.repository.git, "log", "--all", "-p", "--format=%B")
    assert MARK not in history
    assert MARK not in {item["metadata"]["name"] for item in (await client.list(CONFIG_MAP, "default")).items}
    log = await asyncio.to_thread(limited.process.text)
    assert requesters.PASSWORD not in log
    assert not [shape for number in range(20) for shape in shapes(marker(number)) if shape in log]
