"""Whatever fails between the operator and the API server, the outcome is the same as if nothing had failed."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

import pytest

from tests.faults import (
    CutWatch,
    Delay,
    EndWatch,
    ExpireWatch,
    Fault,
    FaultProxy,
    LoseAnswer,
    Refuse,
    SilenceWatch,
    conflict,
    gone,
    server_error,
    too_many_requests,
)
from tests.operators import OperatorProcess
from tests.outcomes import Auditor
from tests.platforms import Object, Platform, Repository, api_of, destination, git_store, promise
from tests.waiting import eventually
from troth.api.resources import DESTINATION, GIT_STATE_STORE, PROMISE, WORK, WORK_PLACEMENT
from troth.dev import ControlPlane
from troth.kube import Client

WRITES = "POST|PATCH|PUT|DELETE"
LISTS = r"[?&](limit|watch)="
TEMPLATE = "kind: Thing\nname: {{ name }}\nsize: {{ spec.size }}\nrevision: REVISION\n"
FLAGS = ("--store-poll", "1", "--failing-store-poll", "0.5")


@dataclass(frozen=True, slots=True)
class Trouble:
    """A fault and when it happens."""

    fault: Fault
    method: str = ".*"
    path: str = ""
    probability: float = 0.25
    times: int | None = None


TROUBLES: dict[str, list[Trouble]] = {
    "watches are cut in the middle of an event": [Trouble(CutWatch(after=3), probability=0.7)],
    "watches end early": [Trouble(EndWatch(after=3), probability=0.7)],
    "watches expire": [Trouble(ExpireWatch(after=3), probability=0.7)],
    "watches fail on the server": [Trouble(ExpireWatch(2, 500, "InternalError"), probability=0.7)],
    "watches fall silent": [Trouble(SilenceWatch(after=2), probability=0.5)],
    "410 to lists and watches": [Trouble(gone(), "GET", LISTS)],
    "429 with Retry-After": [Trouble(too_many_requests(1), probability=0.1)],
    "500 to reads": [Trouble(server_error(500), "GET")],
    "500 to writes": [Trouble(server_error(500), WRITES)],
    "503 to everything": [Trouble(server_error(503))],
    "409 to writes": [Trouble(conflict(), "PATCH|PUT|DELETE")],
    "409 to deletions": [
        Trouble(conflict(), "DELETE", f"/{kind.plural}/", probability=1.0, times=12)
        for kind in (WORK, WORK_PLACEMENT)
    ],
    "answers to creations are lost": [Trouble(LoseAnswer(), "POST", probability=0.4)],
    "answers to changes are lost": [Trouble(LoseAnswer(), "PATCH|PUT", probability=0.4)],
    "answers to deletions are lost": [Trouble(LoseAnswer(), "DELETE", probability=1.0, times=4)],
    "connections are cut before anything is done": [Trouble(Refuse())],
    "everything takes long": [Trouble(Delay(0.2), probability=0.5)],
    "everything at once": [
        Trouble(Delay(0.1), probability=0.1),
        Trouble(CutWatch(after=5), probability=0.2),
        Trouble(ExpireWatch(after=5), probability=0.2),
        Trouble(too_many_requests(1), probability=0.02),
        Trouble(gone(), "GET", LISTS, probability=0.05),
        Trouble(server_error(500), probability=0.05),
        Trouble(conflict(), "PATCH|PUT|DELETE", probability=0.05),
        Trouble(LoseAnswer(), probability=0.05),
        Trouble(Refuse(), probability=0.05),
    ],
}


@dataclass(slots=True)
class Site:
    """One Promise on two destinations of one repository; people go around the proxy, the operator through it."""

    platform: Platform
    proxy: FaultProxy
    name: str
    namespace: str
    auditor: Auditor
    begin: Callable[..., OperatorProcess]

    async def start(self, *flags: str) -> OperatorProcess:
        """Starts the operator behind the proxy and waits until it is ready."""
        return await asyncio.to_thread(self.begin, *flags)

    def promise(self, revision: str) -> Object:
        return promise(self.name, template=TEMPLATE.replace("REVISION", revision))

    async def ask(self, numbers: range, size: str) -> None:
        """Applies requests, all at once."""
        async with asyncio.TaskGroup() as group:
            for number in numbers:
                group.create_task(self.platform.ask(self.name, f"r{number}", self.namespace, size=size))

    async def delete(self, numbers: range) -> None:
        """Deletes requests, all at once."""
        async with asyncio.TaskGroup() as group:
            for number in numbers:
                group.create_task(self.platform.delete(api_of(self.name), f"r{number}", namespace=self.namespace))

    async def strip(self, resource: Any, name: str) -> None:
        """Deletes an object in spite of its finalizers, as people do who are in a hurry."""
        await self.platform.client.delete(resource, name, self.namespace)
        await self.platform.client.merge_patch(
            resource, name, {"metadata": {"finalizers": None}}, namespace=self.namespace
        )


@pytest.fixture
async def proxy(control_plane: ControlPlane, tmp_path: Path) -> AsyncIterator[FaultProxy]:
    async with FaultProxy(control_plane.kubeconfig, tmp_path) as proxy:
        yield proxy


@pytest.fixture
async def site(
    client: Client,
    control_plane: ControlPlane,
    proxy: FaultProxy,
    operator: Callable[..., OperatorProcess],
    unique: str,
    namespace: str,
    tmp_path: Path,
) -> AsyncIterator[Site]:
    platform = Platform(client)
    repository = await asyncio.to_thread(Repository, tmp_path / "gitops.git")
    await platform.make(GIT_STATE_STORE, git_store(unique, str(repository.path)))
    destinations = [f"{unique}-{place}" for place in ("one", "two")]
    for name in destinations:
        await platform.make(DESTINATION, destination(name, store=unique, labels={"for": unique}))
    auditor = Auditor(
        client,
        repository,
        apis={unique: api_of(unique)},
        destinations=destinations,
        namespaces=[namespace],
    )
    started: list[OperatorProcess] = []

    def start(*flags: str) -> OperatorProcess:
        arguments = (*FLAGS, "--local-stores", tmp_path, "--system-namespace", f"{unique}-system", *flags)
        started.append(operator(*arguments, kubeconfig=proxy.kubeconfig))
        return started[-1]

    yield Site(platform, proxy, unique, namespace, auditor, start)
    proxy.heal()
    await platform.clean()
    for process in started:  # here, because its way to the API server leads through this event loop
        await asyncio.to_thread(process.end)
    await asyncio.to_thread(control_plane.finish_namespace, f"{unique}-system", strip_finalizers=True)


@pytest.mark.parametrize("troubles", TROUBLES.values(), ids=TROUBLES)
async def test_the_outcome_is_the_same_when(site: Site, troubles: list[Trouble]) -> None:
    seed = secrets.randbelow(10**6)
    print(f"random seed: {seed}")
    rules = [
        site.proxy.add(
            trouble.fault,
            method=trouble.method,
            path=trouble.path,
            times=trouble.times,
            probability=trouble.probability,
            random=Random(seed + index),
        )
        for index, trouble in enumerate(troubles)
    ]
    await site.start("--resync-interval", "4")
    await site.platform.publish(site.promise("one"), within=40)
    await site.ask(range(8), "small")
    for number in range(2, 5):
        await site.platform.ready(site.name, f"r{number}", site.namespace, within=40)
    await site.ask(range(4), "large")
    await site.delete(range(2, 5))
    await site.platform.make(PROMISE, site.promise("two"))
    await site.ask(range(8, 10), "late")
    await site.auditor.settled(within=60)
    assert sum(rule.hits for rule in rules) >= len(rules), "it was too quiet"


@pytest.mark.parametrize("forgotten", [False, True], ids=["and-the-watch-goes-on", "and-the-server-forgot-them"])
async def test_what_vanished_while_the_operator_could_not_see_is_made_up_for(site: Site, forgotten: bool) -> None:
    await site.start()
    await site.platform.publish(site.promise("one"))
    await site.ask(range(6), "small")
    await site.auditor.settled(within=30)
    client, namespace = site.platform.client, site.namespace
    works = sorted(obj["metadata"]["name"] for obj in (await client.list(WORK, namespace)).items)
    placed = sorted(obj["metadata"]["name"] for obj in (await client.list(WORK_PLACEMENT, namespace)).items)
    blind = site.proxy.add(Refuse(), method="GET")
    site.proxy.cut_watches()
    await eventually(lambda: blind.hits >= 8, "the operator tries to see", within=20)
    await site.strip(api_of(site.name), "r0")
    await site.strip(WORK, next(name for name in works if "-r1-" in name))
    await site.strip(WORK_PLACEMENT, next(name for name in placed if "-r2-" in name))
    await site.delete(range(3, 4))
    await site.ask(range(5, 7), "unseen")
    site.proxy.remove(blind)
    if forgotten:
        site.proxy.add(gone(), method="GET", path="watch=1", times=8)
    await site.auditor.settled(within=45)


async def test_an_api_server_that_is_away_for_seconds_delays_everything_and_changes_nothing(
    site: Site,
) -> None:
    operator = await site.start()
    await site.platform.publish(site.promise("one"))
    await site.ask(range(6), "small")
    await site.auditor.settled(within=30)
    await site.proxy.stop_listening()
    await site.ask(range(4, 9), "meanwhile")
    await site.delete(range(2))
    await site.platform.make(PROMISE, site.promise("two"))
    before = operator.text().count("\n")
    await asyncio.sleep(4)  # the length of the outage, not a synchronisation
    assert operator.running
    assert operator.get("/healthz")[0] == 200
    assert operator.text().count("\n") - before < 100, "an outage must not flood the log"
    await site.proxy.listen_again()
    await site.auditor.settled(within=45)
