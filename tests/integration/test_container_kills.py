"""Killed before or after any of its writes, an operator runs no container pipeline twice and skips none.

A proxy in front of the API server counts the writes about one request. At the chosen one it cuts the connection, before
the API server gets the write or after it has carried it out, and lets no other write through; then the operator is
killed with SIGKILL and another one goes on. The kubelet's part goes on meanwhile, as it would.
"""

from __future__ import annotations

import asyncio
import os
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final

import pytest

from tests.container_site import Site, containers, jinja
from tests.faults import Fault, FaultProxy, LoseAnswer, Refuse
from tests.operators import OperatorProcess
from tests.platforms import api_of, is_ready
from tests.waiting import eventually
from troth.api.resources import JOB, WORK, WORK_PLACEMENT
from troth.dev import ControlPlane

pytestmark = [pytest.mark.integration, pytest.mark.timeout(1200)]

_WRITES: Final = "POST|PUT|PATCH|DELETE"
_MOST_WRITES: Final = 60
_STEP: Final = int(os.environ.get("TROTH_KILL_STEP", "3"))
"""Every how many writes the operator is killed; 1 takes some minutes."""


class Killing:
    """One site whose operator reaches the API server through a proxy."""

    def __init__(self, site: Site, proxy: FaultProxy) -> None:
        self.site = site
        self._proxy = proxy
        self._operator: OperatorProcess | None = None

    async def start(self) -> None:
        """Starts an operator, in a thread: its way to the API server leads through this event loop."""
        self._operator = await asyncio.to_thread(self.site.start, kubeconfig=self._proxy.kubeconfig)

    async def kill(self) -> None:
        """Kills the operator."""
        if self._operator is not None:
            await asyncio.to_thread(self._operator.kill)

    async def kill_at(self, write: int, fault: Fault, name: str, ended: object) -> bool:
        """Kills the operator at a write since now, and starts another; False if all was done before that write came.

        Args:
            write: the number of the write, from 0 on.
            fault: what becomes of that write.
            name: the request.
            ended: whether the request is expected to be there in the end.
        """
        path = rf"/namespaces/{self.site.namespace}/(?!.*events)"
        rule = self._proxy.add(fault, method=_WRITES, path=path, times=1, skip=write)
        self._proxy.add(Refuse(), method=_WRITES, path=path, skip=write)
        await self._act(name, ended)
        done = self._is_ready if ended else self._is_gone

        async def reached() -> bool:
            return rule.hits > 0 or await done(name)

        await eventually(reached, f"write {write}, or the end", within=60)
        killed = rule.hits > 0
        if killed:
            await self.kill()
        self._proxy.heal()
        if killed:
            await self.start()

        async def ready() -> bool:
            return await done(name)

        what = f"{name} is {'Ready' if ended else 'gone'} after the operator was killed at write {write}"
        await eventually(ready, what, within=60)
        return killed

    async def _act(self, name: str, ended: object) -> None:
        if ended:
            await self.site.platform.ask(self.site.name, name, self.site.namespace, size="small")
        else:
            await self.site.platform.delete(api_of(self.site.name), name, namespace=self.site.namespace)

    async def _is_ready(self, name: str) -> bool:
        found = await self.site.platform.client.list(api_of(self.site.name), self.site.namespace)
        return any(live["metadata"]["name"] == name and is_ready(live) for live in found.items)

    async def _is_gone(self, name: str) -> bool:
        found = await self.site.platform.client.list(api_of(self.site.name), self.site.namespace)
        return all(live["metadata"]["name"] != name for live in found.items)

    def runs(self, name: str) -> Counter[str]:
        """How often each pipeline of a request has begun to run."""
        prefix = f"kratix-{self.site.name}-{name}-"
        return Counter(
            job.removeprefix(prefix).split("-")[0] for job in self.site.player.ran if job.startswith(prefix)
        )

    async def left(self, name: str) -> list[str]:
        """What is left of a request: Jobs, Works and WorkPlacements with its label, and files."""
        left = list(await self.site.files(name))
        for resource in (JOB, WORK):
            listed = await self.site.platform.client.list(
                resource, self.site.namespace, label_selector=f"kratix.io/resource-name={name}"
            )
            left += [f"{resource.kind} {obj['metadata']['name']}" for obj in listed.items]
        placements = await self.site.platform.client.list(WORK_PLACEMENT, self.site.namespace)
        return left + [
            f"WorkPlacement {obj['metadata']['name']}"
            for obj in placements.items
            if f"-{name}-" in obj["metadata"]["name"]
        ]


@pytest.fixture
async def killing(site: Site, control_plane: ControlPlane, tmp_path: Path) -> AsyncIterator[Killing]:
    async with FaultProxy(control_plane.kubeconfig, tmp_path) as proxy:
        killing = Killing(site, proxy)
        await killing.start()
        yield killing
        await site.platform.clean()
        await killing.kill()


async def test_killed_at_any_write_no_pipeline_runs_twice_or_is_skipped_and_nothing_is_left_behind(
    killing: Killing,
) -> None:
    site = killing.site
    promise = site.promise(containers("first"), jinja("middle"), containers("second", "true"))
    promise["spec"]["workflows"]["resource"]["delete"] = [containers("farewell", "true")]
    await site.platform.publish(promise)
    faults = (Refuse(), LoseAnswer())

    killed = 0
    for write in range(0, _MOST_WRITES, _STEP):
        name, fault = f"r{write}", faults[killed % 2]
        if not await killing.kill_at(write, fault, name, ended=True):
            break
        killed += 1
        assert killing.runs(name) == {"first": 1, "second": 1}, f"{fault} at write {write}"
        assert set(await site.files(name)) == {"made.yaml", "rolled.yaml"}
    assert killed * _STEP >= 12, "fewer writes than a workflow has"

    killed = 0
    for write in range(0, _MOST_WRITES, _STEP):
        name, fault = f"r{write}", faults[killed % 2]
        if not await killing.kill_at(write, fault, name, ended=False):
            break
        killed += 1
        assert killing.runs(name)["farewell"] == 1, f"{fault} at write {write}"
        assert await killing.left(name) == []
    assert killed * _STEP >= 6, "fewer writes than a deletion has"
